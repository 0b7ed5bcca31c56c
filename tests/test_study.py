"""The command as a user gives it, on real digits: its doors, its results, its refusals."""

import json
import os
import pty
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import pytest
import torch
from commands import python
from study_rig import PATIENCE, SIX_NETWORKS, STUDY, TINY, contents, environment, events, plan, run, search, write_plan

import cnnsearch
from cnnsearch import history
from cnnsearch.data import load
from cnnsearch.datasets import MNIST_FILES
from cnnsearch.errors import RunError
from cnnsearch.lock import owned
from cnnsearch.plan import Plan
from cnnsearch.units import percent

HERE = Path(__file__).parent
OWN_KIND = """
from typing import ClassVar, Literal

from torch import nn

from cnnsearch.blocks import Block, register
from cnnsearch.flow import Step
from cnnsearch.layers import Layer


class TimesModule(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, maps):
        return maps * self.factor


class TimesLayer(Layer):
    torch_class: ClassVar[str] = "my_blocks:TimesModule"
    factor: float


@register
class Times(Block):
    kind: Literal["times"] = "times"
    factor: float = 2.0

    def flow(self, shape):
        return (Step("times", TimesLayer(factor=self.factor)),)
"""
WITH_OWN_KIND: dict[str, Any] = {
    **TINY,
    "imports": ["my_blocks"],
    "space": {"blocks": [*TINY["space"]["blocks"], {"kind": "times", "factor": {"choice": [0.5, 1.5]}}]},
    "budget": {"trials": 3},
    "name": "mine",
}


class Study(NamedTuple):
    """A finished study: its folder, and what the command said."""

    folder: Path
    status: int
    out: str
    err: str

    @property
    def summary(self) -> dict[str, Any]:
        return json.loads((self.folder / "summary.json").read_text())


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Run three trials with a kind of block that lies in the current folder, its output no terminal."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "my_blocks.py").write_text(OWN_KIND)
    return Study(folder / "runs" / "mine", *run(folder, write_plan(folder, WITH_OWN_KIND)))


@pytest.fixture(scope="module")
def twin(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Run the same study in another folder, on a terminal."""
    folder = tmp_path_factory.mktemp("twin")
    shutil.copy(study.folder.parents[1] / "my_blocks.py", folder)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*STUDY, write_plan(folder, WITH_OWN_KIND)],
        cwd=folder,
        env={**environment(folder), "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        said = _all_of(ours)
        return Study(folder / "runs" / "mine", process.wait(PATIENCE), said, "")


def _all_of(terminal: int) -> str:
    said = b""
    try:
        while piece := os.read(terminal, 65536):
            said += piece
    except OSError:  # how Linux says that nobody holds the other end
        pass
    finally:
        os.close(terminal)
    return said.decode()


# Results


def test_a_study_ends_with_a_table_and_what_lies_where(study: Study) -> None:
    assert (study.status, study.err) == (0, "")
    found = history.read(study.folder)
    best = found.ranked[0]
    assert re.search(rf"│ +{best.number} │ +{percent(best.score)} │ +{best.parameters} │ +{best.macs}", study.out)
    assert "Complete: the budget is spent. 3 complete, 0 stopped, 0 failed; 0 turned away, 0 repeated;" in study.out
    assert "In runs/mine:\n" in study.out
    for name in ("report.html", "best/network.json", "best/weights.safetensors", "summary.json", "plan.json", "log"):
        assert f"\n  {name} " in study.out
        assert (study.folder / name).exists()


def test_without_a_terminal_every_trial_is_a_plain_line(study: Study) -> None:
    told = [line for line in study.out.splitlines() if "] trial " in line]
    assert [line.partition(":")[0] for line in told[:3]] == ["[1/3] trial 0", "[2/3] trial 1", "[3/3] trial 2"]
    assert "\x1b" not in study.out
    assert "; best " in told[0]


def test_on_a_terminal_there_is_a_bar(twin: Study) -> None:
    assert twin.status == 0
    assert "\x1b[" in twin.out
    assert "━" in twin.out
    assert "3/3" in twin.out


def test_the_same_seed_and_one_worker_find_the_same(study: Study, twin: Study) -> None:
    one, other = history.read(study.folder), history.read(twin.folder)
    assert [(trial.asked, trial.score) for trial in one.trials] == [
        (trial.asked, trial.score) for trial in other.trials
    ]
    for name in ("best/weights.safetensors", "best/network.json"):
        assert (study.folder / name).read_bytes() == (twin.folder / name).read_bytes()


def test_the_best_network_has_the_accuracy_that_is_told_of_it(study: Study) -> None:
    folder = study.folder.parents[1]
    code = (
        "import json, sys, torch, my_blocks, cnnsearch\n"
        "from pathlib import Path\n"
        "from cnnsearch.data import load\n"
        "model = cnnsearch.load('runs/mine/best')\n"
        "split = load('digits', Path('.'), torch.device('cpu')).validation\n"
        "with torch.no_grad():\n"
        "    right = model(split.images_NCHW / 255).argmax(1) == split.labels_N\n"
        "text = Path('runs/mine/best/network.json').read_text()\n"
        "same = model.network == cnnsearch.Network.model_validate_json(text)\n"
        "print(json.dumps([right.float().mean().item(), same, model.training, list(model.classes)]))\n"
    )
    told = subprocess.run(
        [STUDY[0], "-c", code], cwd=folder, env=environment(folder), capture_output=True, text=True, check=True
    )
    accuracy, same, training, classes = json.loads(told.stdout)
    # Training may round otherwise (bfloat16): at most one image in 300 is seen otherwise.
    assert accuracy == pytest.approx(study.summary["best"]["validation_accuracy"], abs=1.1 / 300)
    assert (same, training, classes) == (True, False, list("0123456789"))


def test_what_a_worker_and_optuna_know_lies_in_the_run(study: Study) -> None:
    found = history.read(study.folder)
    stored = optuna.load_study(storage=f"sqlite:///{study.folder}/storage.sqlite3", study_name="mine").get_trials()
    assert [(trial.params, trial.value) for trial in stored] == [(trial.asked, trial.score) for trial in found.trials]
    assert [len(trial.epochs) for trial in found.trials] == [2, 2, 2]
    assert (study.folder / "log" / "worker-0.log").exists()
    assert not (study.folder / "weights").exists()
    assert (study.folder / "report.html").stat().st_size > 1_000_000


def test_the_same_command_again_prints_the_result_and_trains_nothing(study: Study) -> None:
    before = (study.folder / "record.jsonl").read_bytes()
    status, out, err = run(study.folder.parents[1], "tiny.json")
    assert (status, err) == (0, "")
    assert out.startswith("the search of runs/mine is over with 3 trials; --trials N asks for more\n")
    assert out.endswith(study.out[study.out.index("The best networks of mine") :])
    assert (study.folder / "record.jsonl").read_bytes() == before


# Refusals: none needs a process of its own


def test_a_changed_plan_is_another_run_unless_it_is_named(tmp_path: Path) -> None:
    names = {plan(tmp_path, **fields).run_name for fields in ({}, {"seed": 1}, {"pruner": {"kind": "none"}})}
    same = {
        plan(tmp_path, **fields).run_name for fields in ({}, {"budget": {"trials": 3}}, {"executor": {"workers": 2}})
    }
    assert (len(names), len(same)) == (3, 1)
    assert all(re.fullmatch("digits-[0-9a-f]{8}", name) for name in names)


def test_a_changed_plan_under_the_same_name_is_refused_naming_each_difference(tmp_path: Path) -> None:
    search(plan(tmp_path, name="mine", budget={"trials": 1}))
    before = contents(tmp_path)
    changed: dict[str, Any] = {**TINY, "recipe": {**TINY["recipe"], "epochs": 3, "learning_rate": 0.01}}
    with pytest.raises(RunError) as error:
        search(plan(tmp_path, changed, name="mine", seed=4, budget={"trials": 9}, limits={"max_parameters": 70}))
    assert str(error.value) == (
        f"{tmp_path}/mine was made by another plan, and results of two plans cannot be compared:\n"
        "  recipe.epochs: 2 before, 3 now\n"
        '  recipe.learning_rate: {"float": [0.003, 0.03], "log": true} before, 0.01 now\n'
        "  limits.max_parameters: null before, 70 now\n"
        "  seed: 0 before, 4 now\n"
        "take another --name, or none for one that follows from the plan"
    )
    assert contents(tmp_path) == before
    named = ("--dataset", "digits", "--name", "mine", "--runs", str(tmp_path), "--dry-run")
    status, shown, told = run(tmp_path, *named)
    assert (status, shown) == (1, "")
    assert told.startswith(f"{tmp_path}/mine was made by another plan, and results of two plans cannot be compared:\n")


def test_blocks_that_were_changed_since_are_refused_with_what_they_cost(tmp_path: Path) -> None:
    search(plan(tmp_path, name="mine", budget={"trials": 1}))
    record = tmp_path / "mine" / "record.jsonl"
    told = [json.loads(line) for line in record.read_text().splitlines()]
    (asked,) = [line for line in told if line["event"] == "asked"]
    for line in told:
        del line["crc"]  # it is right for what the line said before
    before = dict(asked)
    asked["parameters"] = 7  # as if the block had been another one then
    record.write_text("".join(f"{json.dumps(line)}\n" for line in told))
    with pytest.raises(RunError) as error:
        search(plan(tmp_path, name="mine", budget={"trials": 2}))
    law = f"blocks of the kinds plain: trial 0 had 7 parameters and {before['macs']:,} multiply-adds, now "
    assert f"  {law}{before['parameters']:,} and {before['macs']:,}\n" in str(error.value)


def test_a_block_that_was_changed_so_that_nothing_fits_is_told_with_its_trial(tmp_path: Path) -> None:
    search(plan(tmp_path, name="mine", budget={"trials": 1}))
    record = tmp_path / "mine" / "record.jsonl"
    told = [json.loads(line) for line in record.read_text().splitlines()]
    for line in told:
        del line["crc"]
        if line["event"] == "asked":
            line["network"]["blocks"][0]["conv"] = {"out_channels": 1, "kernel_size": 99}
            cost = f"{line['parameters']:,} parameters and {line['macs']:,} multiply-adds"
    record.write_text("".join(f"{json.dumps(line)}\n" for line in told))
    with pytest.raises(RunError) as error:
        search(plan(tmp_path, name="mine", budget={"trials": 2}))
    law = f"blocks of the kinds plain: trial 0 had {cost}, and is no valid network now (blocks[0].conv"
    assert f"  {law}" in str(error.value)


def test_a_second_coordinator_is_refused_naming_the_first(tmp_path: Path) -> None:
    wanted = plan(tmp_path, name="mine")
    wanted.folder.mkdir()
    with owned(wanted.folder) as owner, pytest.raises(RunError) as error:
        search(wanted)
    law = f"{wanted.folder}: {owner} owns this run"
    assert str(error.value) == f"{law}; wait for it or stop it; a new study can take another --name"
    assert f"process {os.getpid()} on {socket.gethostname()} (since " in str(error.value)


def test_a_plan_file_that_was_damaged_is_named(tmp_path: Path) -> None:
    wanted = plan(tmp_path, name="mine")
    wanted.folder.mkdir()
    (wanted.folder / "plan.json").write_text("{")
    with pytest.raises(RunError, match="^" + re.escape(f"{wanted.folder}/plan.json: not readable as JSON (")):
        search(wanted)


# Data


def test_without_mnist_the_study_falls_back_to_digits_and_says_so_everywhere(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    fallen = {name: value for name, value in TINY.items() if name != "dataset"}
    process = subprocess.run(
        [*STUDY, write_plan(tmp_path, fallen), "--trials", "1"],
        cwd=tmp_path,
        env={**environment(tmp_path), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    notice = (
        "MNIST is not on disk and could not be downloaded, so this study is on DIGITS (8x8 images, 1,197 for training):"
        " its"
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr.startswith(f"\n*** {notice} results say nothing about MNIST.")
    assert f"\n*** {notice}" in process.stdout[: process.stdout.index("The best networks of digits-")]
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("digits-")
    told = json.loads((folder / "summary.json").read_text())
    assert (told["dataset"], told["notice"][: len(notice)]) == ("digits", notice)
    assert notice in (folder / "report.html").read_text()


NO_NETWORK = """
import urllib.request

def refuse(address, timeout):
    raise OSError("no network")

urllib.request.urlopen = refuse
"""


def test_with_mnist_asked_for_and_not_to_be_had_the_study_stops(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    process = subprocess.run(
        [*STUDY, "--dataset", "mnist", "--data-root", "here"],
        cwd=tmp_path,
        env={**environment(tmp_path), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (process.returncode, process.stdout) == (1, "")
    assert process.stderr.startswith("MNIST is not in here/MNIST/raw and could not be downloaded (")
    names = ", ".join(file.name for file in MNIST_FILES)
    assert process.stderr.endswith(
        f"Put the files {names} there, as they are or as .gz, or name the folder that holds MNIST/raw by"
        " --data-root; or use --dataset digits, which needs no download\n"
    )
    assert "Traceback" not in process.stderr


def test_a_damaged_file_of_mnist_is_named_and_no_other_data_set_is_taken(tmp_path: Path) -> None:
    damaged = tmp_path / "here/MNIST/raw" / MNIST_FILES[0].name
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"x")
    done = python([*STUDY[1:], "--data-root", "here"], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"here/MNIST/raw/{MNIST_FILES[0].name} is damaged or not MNIST's: the sha256 of its")
    assert done.stderr.endswith("; delete it and run again\n")
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif("CNNSEARCH_DATA" not in os.environ, reason="CNNSEARCH_DATA names no folder with MNIST")
def test_two_trials_on_the_real_mnist(tmp_path: Path) -> None:
    tiny: dict[str, Any] = {
        "space": {"blocks": [{"conv": {"out_channels": {"choice": [2, 4]}, "kernel_size": 3, "stride": 2}}]},
        "recipe": {"epochs": 1, "augmentation": None},
        "budget": {"trials": 2},
        "executor": {"workers": 2, "device": "cpu"},
        "finals": None,
    }
    root = os.environ["CNNSEARCH_DATA"]
    status, _, err = run(tmp_path, write_plan(tmp_path, tiny), "--data-root", root, "--name", "real")
    assert (status, err) == (0, "")
    told = json.loads((tmp_path / "runs/real/summary.json").read_text())
    assert (told["dataset"], told["notice"], told["trials"]["complete"]) == ("mnist", "", 2)
    assert told["best"]["validation_accuracy"] > 0.2
    model = cnnsearch.load(tmp_path / "runs/real/best")
    with torch.no_grad():
        split = load("mnist", Path(root), torch.device("cpu")).validation
        right = (model(split.images_NCHW / 255).argmax(1) == split.labels_N).float().mean().item()
    assert right == pytest.approx(told["best"]["validation_accuracy"], abs=0.002)


# In code


def test_the_same_plan_in_code_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    data: dict[str, Any] = {**SIX_NETWORKS, "runs": str(tmp_path), "budget": {"trials": 1}}
    first = cnnsearch.search(Plan.model_validate(data), quiet=True)
    assert (first.state, first.count("complete"), len(first.trials)) == ("complete", 1, 1)
    assert [line["event"] for line in events(Plan.model_validate(data).folder)] == [
        "opened", "asked", "started", "finished", "closed",
    ]  # fmt: skip
    assert cnnsearch.load(first.folder / "best").classes == tuple("0123456789")


OF_THE_PROGRAM = """
from typing import Literal
import cnnsearch

@cnnsearch.register
class Twice(cnnsearch.Block):
    kind: Literal["twice"] = "twice"
    conv: cnnsearch.Conv

    def flow(self, shape):
        return (cnnsearch.Step("conv", self.conv), cnnsearch.Step("again", self.conv))

kind = {"choice": ["separable", {"choice": ["plain", "twice"]}]}  # a choice among choices
space = {"blocks": [{"kind": kind, "conv": {"out_channels": {"choice": [2, 4]}, "kernel_size": 1}}]}
plan = cnnsearch.Plan.model_validate({"dataset": "digits", "space": space})
try:
    cnnsearch.search(plan)
except cnnsearch.CnnsearchError as error:
    print(error)
"""


@pytest.mark.parametrize("home", ["__main__", "mine"])
def test_a_kind_that_workers_would_not_know_is_refused_before_they_start(home: str, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OF_THE_PROGRAM)
    done = python(["mine.py"] if home == "__main__" else ["-c", "import mine"], tmp_path)
    told = {
        "__main__": "Twice is a class of the program itself, which workers do not run; put it into a module, and name"
        " that: [my_blocks]",
        "mine": "Twice is a class of mine, which workers import only where a plan names it: ['mine']",
    }
    assert (done.returncode, done.stdout, done.stderr) == (0, f"imports: {told[home]}\n", "")
    assert not (tmp_path / "runs").exists()
