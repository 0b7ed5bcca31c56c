import json
import re
import runpy
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from made_runs import STATES, asked, draw, network, write_run

from cnnsearch import record
from cnnsearch.dashboard.copy import Networks, artifact_id
from cnnsearch.dashboard.serve import Dashboard
from cnnsearch.errors import RunError
from cnnsearch.events import Epoch, Finished, Started
from cnnsearch.history import read

pytest.importorskip("optuna_dashboard", reason="the extra `dashboard` is not installed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "mnist-1a2b3c", notice="on digits")


@pytest.fixture
def dashboard(folder: Path) -> Generator[Dashboard]:
    with Dashboard(folder) as served:
        yield served


def _ask(dashboard: Dashboard, path: str, method: str = "GET", **headers: str) -> bytes:
    request = urllib.request.Request(dashboard.url + path, method=method, headers=headers)  # noqa: S310 (our own)
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
        return answer.read()


def _study(dashboard: Dashboard) -> dict[str, Any]:
    (study,) = json.loads(_ask(dashboard, "api/studies"))["study_summaries"]
    return json.loads(_ask(dashboard, f"api/studies/{study['study_id']}")) | {"study_id": study["study_id"]}


def test_it_lists_every_trial_of_the_record(dashboard: Dashboard) -> None:
    study = _study(dashboard)
    states = {"complete": "Complete", "failed": "Fail"}
    assert study["name"] == "mnist-1a2b3c"
    assert study["objective_names"] == ["validation accuracy"]
    assert [trial["state"] for trial in study["trials"]] == [states.get(state, "Pruned") for state in STATES]
    assert [trial["number"] for trial in study["trials"]] == list(range(len(STATES)))


def test_a_trial_carries_its_costs_and_whether_it_was_feasible(dashboard: Dashboard, folder: Path) -> None:
    told = [{a["key"]: a["value"] for a in trial["user_attrs"]} for trial in _study(dashboard)["trials"]]
    trial = read(folder).trials[0]
    assert told[0]["parameters"] == str(trial.parameters)
    assert told[0]["macs"] == str(trial.macs)
    assert told[0]["weight_bytes"] == str(trial.weight_bytes)
    assert [attributes["feasible"] for attributes in told] == ["True"] * 4 + ["False", "False", "True"]


def test_a_trials_network_is_its_note_and_its_artifact(dashboard: Dashboard, folder: Path) -> None:
    study, trial = _study(dashboard), read(folder).trials[2]
    told = study["trials"][2]
    (artifact,) = told["artifacts"]
    body = _ask(dashboard, f"artifacts/{study['study_id']}/{told['trial_id']}/{artifact['artifact_id']}")
    assert json.loads(body) == trial.network_data
    assert artifact["filename"] == "trial-2.json"
    assert told["note"]["body"] == (
        f"`{trial.short}`, stopped: worse than others at epoch 3\n\n```json\n{body.decode()}```\n"
    )
    assert study["note"]["body"] == "**on digits**\n\n`mnist-1a2b3c`: complete, 3 complete. Read-only copy."


def test_its_page_is_served(dashboard: Dashboard) -> None:
    assert b"<html" in _ask(dashboard, "dashboard")
    assert _ask(dashboard, "dashboard", method="HEAD") == b""


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "api/studies"),
        ("DELETE", "api/studies/0"),
        ("POST", "api/studies/0/rename"),
        ("POST", "api/trials/0/tell"),
        ("POST", "api/trials/0/user-attrs"),
        ("PUT", "api/studies/0/0/note"),
        ("POST", "api/artifacts/0/0"),
        ("DELETE", "api/artifacts/0/0/00000000-0000"),
        ("PATCH", ""),
        ("OPTIONS", ""),
    ],
)
def test_nothing_but_looking_is_allowed(dashboard: Dashboard, method: str, path: str) -> None:
    before = _study(dashboard)
    with pytest.raises(urllib.error.HTTPError) as refused:
        _ask(dashboard, path, method)
    with refused.value as answer:
        assert (answer.code, answer.headers["Allow"]) == (405, "GET, HEAD")
        assert answer.read() == b"a run's dashboard is for looking only\n"
    assert _study(dashboard) == before


def test_a_page_elsewhere_cannot_look_under_its_own_name(dashboard: Dashboard) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        _ask(dashboard, "api/studies", Host="evil.example:8080")
    with refused.value as answer:
        assert (answer.code, answer.read()) == (403, b"ask under the name 127.0.0.1 or localhost\n")


def test_it_listens_on_this_machine_only(dashboard: Dashboard) -> None:
    assert dashboard.url.startswith("http://127.0.0.1:")


def test_serving_changes_no_byte_of_the_run(folder: Path) -> None:
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}
    with Dashboard(folder) as served:
        _study(served)
        served.refresh()
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()} == before


def test_it_follows_a_run_that_lives(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", states=("complete",), closed=None)
    with record.own(folder) as to, Dashboard(folder) as served:
        assert not served.refresh()
        to.append(asked(1, network(draw(5))))
        to.append(Started(trial=1, attempt=1, slot=0))
        to.append(Epoch(trial=1, epoch=1, loss=1, validation_accuracy=0.5, validation_loss=1, seconds=1))
        assert served.refresh()
        running = _study(served)["trials"][1]
        assert (running["state"], running["intermediate_values"]) == ("Running", [{"step": 1, "value": 0.5}])
        to.append(Finished(trial=1, state="complete", score=0.75))
        assert served.refresh()
        assert _study(served)["trials"][1]["values"] == [0.75]
        assert _study(served)["best_trials"][0]["number"] == read(folder).ranked[0].number


def test_a_record_that_is_damaged_meanwhile_leaves_the_last_copy(dashboard: Dashboard, folder: Path) -> None:
    with (folder / record.RECORD).open("ab") as file:
        file.write(b"nonsense\n")
    with pytest.raises(RunError, match="not an event of a run: 'nonsense'"):
        dashboard.refresh()
    assert len(_study(dashboard)["trials"]) == len(STATES)


def test_artifacts_can_only_be_read(folder: Path) -> None:
    run = read(folder)
    networks, name = Networks(run), artifact_id(run.trials[0])
    with pytest.raises(PermissionError, match=f"artifact {name}: a run's dashboard is read-only"):
        networks.remove(name)
    with pytest.raises(PermissionError, match=f"artifact {name}: a run's dashboard is read-only"):
        networks.write(name, networks.open_reader(name))


def _main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["dashboard", *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("cnnsearch.dashboard", run_name="__main__")
    return ended.value.code


def test_without_the_extra_it_says_how_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cnnsearch.dashboard.serve.find_spec", dict[str, None]().get)
    assert _main(monkeypatch, str(folder), "--no-browser", "--port", "0") == 1
    error = "optuna-dashboard is not installed: pip install -e '.[dashboard]'\n"
    assert capsys.readouterr().err == error


def test_a_port_that_is_taken_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert _main(monkeypatch, str(folder), "--no-browser", "--port", str(port)) == 1
    error = f"port {port} of 127.0.0.1 cannot be had (Address already in use); take another with --port\n"
    assert capsys.readouterr().err == error


def test_a_port_that_cannot_be_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _main(monkeypatch, str(folder), "--no-browser", "--port", "99999") == 2
    assert capsys.readouterr().err.endswith("error: --port: from 0 to 65,535, not 99,999\n")


def test_what_is_no_folder_is_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert _main(monkeypatch, str(tmp_path / "file"), "--no-browser", "--port", "0") == 1
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'file'}: no plan.json in it")


def test_it_opens_a_browser_and_serves_until_it_is_interrupted(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []

    def interrupted(dashboard: Dashboard) -> None:
        assert opened == [dashboard.url]
        raise KeyboardInterrupt

    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(Dashboard, "wait", interrupted)
    assert _main(monkeypatch, str(folder), "--port", "0") == 0
    assert capsys.readouterr().out == f"{opened[0]} shows {folder}; Ctrl-C ends it\n"


STUDY = "/api/studies/0"


def _status(dashboard: Dashboard, method: str, path: str, body: str = "", **headers: str) -> int:
    port = int(dashboard.url.rstrip("/").rpartition(":")[2])
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        content = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**content, **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body.encode())
        return connection.getresponse().status
    finally:
        connection.close()


def test_its_own_pages_are_answered_and_run_their_own_scripts_only(dashboard: Dashboard) -> None:
    assert _status(dashboard, "GET", "/dashboard", Origin=dashboard.url.rstrip("/")) == 200
    with urllib.request.urlopen(f"{dashboard.url}dashboard", timeout=30) as answer:  # noqa: S310
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2]


def test_a_filter_that_lets_orders_pass_is_noticed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnsearch.dashboard.serve.looking_only", lambda app: app)  # the guard taken away
    with Dashboard(folder) as served:
        assert _status(served, "PUT", f"{STUDY}/note", '{"body": "theirs", "version": 2}') == 204
        assert _study(served)["note"]["body"] == "theirs"


def test_broken_requests_end_in_an_answer(dashboard: Dashboard) -> None:
    port = int(dashboard.url.rstrip("/").rpartition(":")[2])
    for request in (b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
            line.sendall(request)
            assert re.search(rb" 4\d\d |: 505 ", line.recv(1000))
    assert _study(dashboard)["trials"]
