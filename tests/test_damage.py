"""What becomes of a run whose files were damaged, replaced or made by somebody else: noticed, located, or repaired."""

import errno
import json
import os
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from commands import python
from made_runs import write_run
from study_rig import SIX_NETWORKS, plan, search

from cnnsearch import history, weights
from cnnsearch.errors import RunError
from cnnsearch.events import from_line, to_line
from cnnsearch.places import WEIGHTS
from cnnsearch.plan import Plan
from cnnsearch.record import EPOCHS, RECORD, own
from cnnsearch.report.write import write_report
from cnnsearch.sameness import fingerprint_of

OLD = Path(__file__).parent / "runs" / "0.1.0" / "digits"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def flipped(whole: bytes, dice: random.Random) -> bytes:
    damaged = bytearray(whole)
    damaged[dice.randrange(len(whole) - 1)] ^= 1 << dice.randrange(8)  # the last line's end is a torn line, not a flip
    return bytes(damaged)


@pytest.mark.parametrize("name", [RECORD, EPOCHS])
def test_any_flipped_bit_of_a_record_is_noticed_with_its_line(folder: Path, name: str) -> None:
    whole, dice = (folder / name).read_bytes(), random.Random(1)
    for _ in range(300):
        (folder / name).write_bytes(flipped(whole, dice))
        with pytest.raises(RunError, match=rf"{name}, line \d+: not an event of a run: .*restore it from a copy$"):
            history.read(folder)


def test_without_its_checksum_a_flipped_bit_would_be_believed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, before = (folder / RECORD).read_bytes(), history.read(folder)
    changed = whole.replace(b'"score":0.9', b'"score":0.8', 1)
    assert changed != whole
    (folder / RECORD).write_bytes(changed)
    with pytest.raises(RunError, match="not an event of a run"):
        history.read(folder)
    believing = lambda line: from_line(line.rpartition(b',"crc":')[0] + b"}")  # noqa: E731 (the guard taken away)
    monkeypatch.setattr(history, "from_line", believing)
    assert history.read(folder).trials != before.trials


def test_a_line_of_the_version_without_checksums_is_read() -> None:
    line = b'{"time":1.0,"event":"closed","state":"complete"}'
    now = b'{"time":1.0,"event":"closed","state":"complete","seconds":null,"crc":"bbfe2f05"}\n'
    assert to_line(from_line(line)) == now


def test_a_training_that_is_complete_has_accuracies(folder: Path) -> None:
    with (folder / RECORD).open("ab") as record:
        record.write(b'{"event":"retrained","entrant":"trial 0","seed":0,"state":"complete","parameters":1,"macs":1}\n')
    with pytest.raises(RunError, match=r"record.jsonl, line \d+: not an event of a run: .*\"entrant\":\"trial 0\""):
        history.read(folder)


def test_a_record_cut_off_anywhere_is_read_up_to_there(folder: Path) -> None:
    whole = (folder / RECORD).read_bytes()
    trials = history.read(folder).trials
    for length in range(0, len(whole), len(whole) // 50):
        (folder / RECORD).write_bytes(whole[:length])
        (folder / EPOCHS).unlink(missing_ok=True)
        kept = history.read(folder).trials
        assert [trial.number for trial in kept] == [trial.number for trial in trials[: len(kept)]]


@pytest.mark.parametrize(
    ("content", "law"),
    [
        (b"", "not readable as JSON (Expecting value: line 1 column 1 (char 0))"),
        (b"[" * 100_000, "not readable as JSON (maximum recursion depth exceeded"),
        (b"[1]", "holds no plan but a list"),
        (b'{"seed": 8}', "is not the plan of this run, so damaged or edited"),
    ],
)
def test_a_damaged_plan_is_noticed(tmp_path: Path, content: bytes, law: str) -> None:
    wanted = plan(tmp_path, SIX_NETWORKS, budget={"trials": 1})
    search(wanted)
    (wanted.folder / history.PLAN).write_bytes(content)
    with pytest.raises(RunError) as error:
        history.read(wanted.folder)
    assert str(error.value).startswith(f"{wanted.folder / history.PLAN}: {law}")
    assert str(error.value).endswith("; restore it from a copy, or remove it and give the study's command again")
    (wanted.folder / history.PLAN).unlink()
    search(wanted)
    assert history.read(wanted.folder).count("complete") == 1


def test_a_plan_that_only_runs_longer_is_the_same(tmp_path: Path) -> None:
    wanted = plan(tmp_path, SIX_NETWORKS, budget={"trials": 1})
    search(wanted)
    stored = json.loads((wanted.folder / history.PLAN).read_text())
    (wanted.folder / history.PLAN).write_text(json.dumps({**stored, "budget": {"trials": 9, "minutes": None}}))
    assert history.read(wanted.folder).plan["budget"]["trials"] == 9
    assert fingerprint_of(stored) == wanted.fingerprint


@pytest.mark.parametrize("damage", ["garbage", "empty pages", "cut off"])
def test_a_damaged_storage_of_the_run_s_own_is_made_anew_from_the_record(tmp_path: Path, damage: str) -> None:
    wanted = plan(tmp_path, SIX_NETWORKS, budget={"trials": 2}, storage=None)
    search(wanted)
    storage = wanted.folder / "storage.sqlite3"
    whole = storage.read_bytes()
    harm = {"garbage": b"x" * 5000, "empty pages": whole[:4096] + bytes(len(whole) - 4096), "cut off": whole[:9000]}
    storage.write_bytes(harm[damage])
    run, _ = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 3}, storage=None, name=wanted.run_name))
    with closing(sqlite3.connect(storage)) as connection:
        assert connection.execute("SELECT COUNT(*) FROM trials").fetchone() == (len(run.trials),)
    assert (wanted.folder / "storage.sqlite3.damaged").read_bytes() == harm[damage]


def test_a_storage_newer_than_a_record_that_was_put_back_is_set_aside(tmp_path: Path) -> None:
    wanted = plan(tmp_path, SIX_NETWORKS, budget={"trials": 2}, storage=None)
    search(wanted)
    older = tmp_path / "older"
    shutil.copytree(wanted.folder, older)
    more = plan(tmp_path, SIX_NETWORKS, budget={"trials": 4}, storage=None, name=wanted.run_name)
    search(more)
    newer = (wanted.folder / "storage.sqlite3").read_bytes()
    for name in ("record.jsonl", "epochs.jsonl"):
        shutil.copy(older / name, wanted.folder / name)
    run, _ = search(plan(tmp_path, SIX_NETWORKS, budget={"trials": 3}, storage=None, name=wanted.run_name))
    with closing(sqlite3.connect(wanted.folder / "storage.sqlite3")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM trials").fetchone() == (len(run.trials),)
    assert (wanted.folder / "storage.sqlite3.unknown").read_bytes() == newer


# Folders from somebody else


@pytest.mark.parametrize("name", ["lock", RECORD, EPOCHS, "log", "best", "weights", "log/worker-0.log"])
def test_a_study_writes_through_no_link_out_of_its_folder(tmp_path: Path, name: str) -> None:
    wanted = plan(tmp_path / "runs", SIX_NETWORKS, budget={"trials": 1})
    outside = tmp_path / "outside"
    outside.mkdir()
    target = outside if name in {"log", "best", "weights"} else outside / "file"
    (outside / "file").write_text("mine")
    (wanted.folder / name).parent.mkdir(parents=True)
    (wanted.folder / name).symlink_to(target)
    with pytest.raises(RunError) as error:
        search(wanted)
    law = "no file of the run's own but a link, a folder or a pipe; remove it, or put the file in its place"
    assert str(error.value) == f"{wanted.folder / name}: {law}"
    assert [path.name for path in outside.iterdir()] == ["file"]
    assert (outside / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["lock", history.PLAN, RECORD, EPOCHS])
def test_a_report_reads_through_no_link(folder: Path, tmp_path: Path, name: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes((folder / name).read_bytes() + b"secret")
    (folder / name).unlink()
    (folder / name).symlink_to(secret)
    with pytest.raises(RunError, match=f"{name}: no file of the run's own but a link") as error:
        history.read(folder)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("name", ["lock", history.PLAN, RECORD, EPOCHS])
def test_a_pipe_in_a_file_s_place_is_refused_and_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(RunError, match=f"{name}: no file of the run's own but a link, a folder or a pipe"):
        history.read(folder)


@pytest.mark.parametrize("name", ["lock", history.PLAN, RECORD, EPOCHS])
def test_a_file_that_nobody_may_read_is_told(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = os.open

    def refuse(path: Path, *how: int) -> int:
        if path == folder / name:
            raise PermissionError(errno.EACCES, "Permission denied")  # root may read everything
        return begin(path, *how)

    monkeypatch.setattr("cnnsearch.files.os.open", refuse)
    with pytest.raises(RunError) as error:
        history.read(folder)
    way = "permit it, or ask its owner for a copy"
    assert str(error.value) == f"{folder / name}: cannot be read (Permission denied); {way}"


def test_a_report_replaces_a_link_and_not_what_it_points_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (folder / "report.html").symlink_to(tmp_path / "mine")
    write_report(folder)
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (folder / "report.html").is_symlink()


def test_weights_that_are_a_pickle_run_no_code(folder: Path, tmp_path: Path) -> None:
    gadget = b"cos\nsystem\n(S'touch " + str(tmp_path / "canary").encode() + b"'\ntR."
    (folder / WEIGHTS).write_bytes(gadget)
    with pytest.raises(RunError, match="damaged or cut off"):
        weights.load(folder / WEIGHTS)
    assert not (tmp_path / "canary").exists()


def test_a_plan_in_a_run_s_folder_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "gadget.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')")
    write_run(tmp_path / "run", plan={"imports": ["gadget"]})
    done = python(["-m", "cnnsearch.report", "run"], tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path), *_here()]))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "canary").exists()


def _here() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


# Runs of released versions


def test_a_run_of_version_0_1_0_opens_with_the_same_result(tmp_path: Path) -> None:
    folder = shutil.copytree(OLD, tmp_path / "small")
    run = history.read(folder)
    told = json.loads((folder / "summary.json").read_text())
    best = run.ranked[0]
    assert (run.state, len(run.trials)) == ("complete", 3)
    assert (best.number, best.score, best.parameters) == (0, 0.2866666666666667, 76)
    assert told["best"]["validation_accuracy"] == best.score
    assert weights.load(folder / "best").network == best.network
    write_report(folder)


def test_a_run_of_version_0_1_0_goes_on(tmp_path: Path) -> None:
    shutil.copytree(OLD, tmp_path / "small")
    stored = json.loads((OLD / "plan.json").read_text())
    run, _ = search(Plan.model_validate({**stored, "runs": str(tmp_path), "budget": {"trials": 4}}))
    assert run.count("complete") == 4
    assert [trial.score for trial in run.trials[:3]] == [0.2866666666666667, 0.1, 0.09666666666666666]


def test_a_record_that_somebody_else_owns_is_still_read(folder: Path) -> None:
    with own(folder):
        assert len(history.read(folder).trials) == 7
