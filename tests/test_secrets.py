"""The password of a storage's URL, and what its query holds, stand in no output, whether it is reached or not."""

import copy
import os
import traceback
from pathlib import Path
from typing import Any

import pytest
from commands import python
from sqlalchemy.exc import OperationalError
from study_rig import SIX_NETWORKS, plan, search

from cnnsearch.errors import InvalidSpecError, RunError
from cnnsearch.plan import Plan
from cnnsearch.study import proposer, storage

CANARIES = ("p4ss-word", "qu3ry-token", "p4ss%2Fword", "p4ss/word")
UNREACHED = (
    "postgresql://user:p4ss-word@127.0.0.1:1/db?sslpassword=qu3ry-token",
    "mysql+nosuchdriver://user:p4ss%2Fword@127.0.0.1:1/db?token=qu3ry-token",
    "sqlite:////no/such/folder/x.db?token=qu3ry-token",
    "nosuch://user:p4ss-word@host/db",
)


def leaks(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


@pytest.mark.filterwarnings("ignore:Query string argument")
@pytest.mark.parametrize("url", UNREACHED)
def test_a_storage_that_cannot_be_reached_tells_no_secret(url: str, tmp_path: Path) -> None:
    wanted = plan(tmp_path, SIX_NETWORKS, budget={"trials": 1}, storage=url)
    with pytest.raises(RunError, match=r"^storage .* cannot be used \(") as error:
        search(wanted)
    told = [str(error.value), repr(error.value), repr(wanted), str(wanted), repr(copy.copy(wanted))]
    assert leaks("\n".join([*told, *traceback.format_exception(error.value)])) == []
    written = [path.read_bytes().decode(errors="replace") for path in tmp_path.rglob("*") if path.is_file()]
    assert leaks("\n".join(written)) == []


@pytest.mark.parametrize("form", ["p4ss/word", "p4ss%2Fword", "qu3ry-token"])
def test_what_a_driver_says_is_told_without_the_secrets(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreached(**_: object) -> None:
        raise OperationalError("connect", {}, ValueError(f"cannot connect to 'dsn password={form}'"))

    url = "mysql+nosuchdriver://user:p4ss%2Fword@127.0.0.1:1/db?token=qu3ry-token"
    wanted = plan(tmp_path, SIX_NETWORKS, storage=url)
    create = proposer.optuna.create_study
    monkeypatch.setattr(
        proposer.optuna, "create_study", lambda **given: create(**given) if "sampler" in given else unreached()
    )
    with pytest.raises(RunError) as error:
        proposer.Proposer(wanted, tmp_path, (), {})
    assert leaks(str(error.value)) == []
    assert "cannot connect to 'dsn password=***'" in str(error.value)
    monkeypatch.setattr(storage, "_scrubbed", lambda text, _: text)  # the guard taken away
    with pytest.raises(RunError) as error:
        proposer.Proposer(wanted, tmp_path, (), {})
    assert leaks(str(error.value))


@pytest.mark.parametrize(
    "fields", [{"storage": ["x://u:p4ss-word@h/d"]}, {"storage": "p4ss-word"}, {"seed": -1, "storage": UNREACHED[0]}]
)
def test_a_plan_that_is_refused_tells_no_secret(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError) as error:
        Plan.model_validate({"dataset": "digits", **fields})
    assert leaks(str(error.value) + "".join(traceback.format_exception(error.value))) == []


def test_the_command_and_its_workers_tell_no_secret(tmp_path: Path) -> None:
    url = f"sqlite:///file:{tmp_path}/own.db?uri=true&cache=private&token=qu3ry-token"
    (tmp_path / "plan.yaml").write_text(
        f"dataset: digits\nname: told\nstorage: {url!r}\n"
        "space: {blocks: [{conv: {out_channels: 2, kernel_size: 3}}]}\n"
        "recipe: {epochs: 1, learning_rate: 0.01, augmentation: null}\nexecutor: {workers: 1, device: cpu}\n"
    )
    secret = {"DATABASE_PASSWORD": "p4ss-word", "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = python(["-m", "cnnsearch.study", "plan.yaml", "--trials", "1"], tmp_path, **secret)
    assert done.returncode == 0, done.stderr
    report = python(["-m", "cnnsearch.report", "runs/told"], tmp_path, **secret)
    files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert {"report.html", "plan.json", "record.jsonl", "summary.json"} <= {path.name for path in files}
    texts = [path.read_bytes().decode(errors="replace") for path in files]
    assert leaks("\n".join([done.stdout, done.stderr, report.stdout, report.stderr, *texts])) == []
