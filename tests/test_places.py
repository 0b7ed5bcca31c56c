"""Odd places to work in: paths that others stumble over, no home, no password entry, folders one may only read."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import ROOT, heavy_imports, python
from made_runs import write_run
from study_rig import TINY, plan, search, write_plan

from cnnsearch.datasets import data_root
from cnnsearch.errors import RunError

NOBODY = ("unshare", "--user", "--map-user=54321", "--map-group=54321")  # a user that no password file knows
ODD = ("with space", "what?", "a#b", "100%", "a%20b", "it's", "semi;colon&", "{brace}", "\U0001f980", "é", "x" * 200)
PATHS = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])


def small(runs: Path, **fields: object) -> dict[str, object]:
    return {**TINY, "budget": {"trials": 1}, "runs": str(runs), "name": "here", **fields}


@pytest.mark.parametrize("name", ODD)
def test_a_study_works_in_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    wanted = plan(tmp_path / name, budget={"trials": 1}, storage=None)
    told, _ = search(wanted)
    assert told.count("complete") == 1
    assert (wanted.folder / "storage.sqlite3").exists()
    assert {path.name for path in tmp_path.iterdir()} == {name}
    assert {path.name for path in (tmp_path / name).iterdir()} == {wanted.run_name}


def test_the_command_works_in_such_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a b?c#d%20 \U0001f980"
    folder.mkdir()
    write_plan(folder, small(Path("runs")))
    done = python(["-m", "cnnsearch.study", "tiny.json"], folder, PYTHONPATH=PATHS)
    assert done.returncode == 0, done.stderr
    made = {"best/network.json", "best/weights.safetensors", "report.html", "storage.sqlite3", "summary.json"}
    assert {name for name in made if (folder / "runs/here" / name).exists()} == made


def as_nobody(arguments: list[str], folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command without a home, as a user that no password file knows and that may not write everywhere."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    return subprocess.run(
        [*NOBODY, sys.executable, *arguments],
        cwd=folder,
        env={**kept, "CNNSEARCH_NATIVE": "0", "PYTHONPATH": PATHS, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def open_folder(tmp_path: Path) -> Path:
    """Give a folder to work in; without Linux's user namespaces these tests are skipped."""
    if (
        shutil.which(NOBODY[0]) is None
        or subprocess.run([*NOBODY, "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("needs Linux and its user namespaces (unshare --user)")
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_a_study_needs_no_home_no_password_entry_and_no_locale(open_folder: Path, locale: str) -> None:
    write_plan(open_folder, small(Path("runs")))
    done = as_nobody(["-m", "cnnsearch.study", "tiny.json"], open_folder, LC_ALL=locale)
    assert done.returncode == 0, done.stderr
    assert (open_folder / "runs/here/best/weights.safetensors").exists()
    assert {path.name for path in open_folder.iterdir()} <= {"tiny.json", "runs"}


def test_a_home_that_may_only_be_read_is_no_fault(open_folder: Path) -> None:
    home = open_folder.parent / "home"
    home.mkdir(mode=0o555)
    write_plan(open_folder, small(Path("runs")))
    done = as_nobody(["-m", "cnnsearch.study", "tiny.json"], open_folder, HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert list(home.iterdir()) == []


def test_a_run_that_may_only_be_read_is_reported_elsewhere(open_folder: Path) -> None:
    folder = write_run(open_folder.parent / "given")
    folder.chmod(0o555)
    refused = as_nobody(["-m", "cnnsearch.report", str(folder)], open_folder)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"{folder}: Permission denied; --to FILE writes the page elsewhere\n"
    done = as_nobody(["-m", "cnnsearch.report", str(folder), "--to", "page.html"], open_folder)
    assert (done.returncode, done.stdout) == (0, "page.html\n"), done.stderr
    assert "<!doctype html>" in (open_folder / "page.html").read_text()
    assert not (folder / "report.html").exists()


def test_a_page_that_can_be_written_nowhere_names_where(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    done = python(["-m", "cnnsearch.report", str(folder), "--to", "no/such/page.html"], tmp_path, PYTHONPATH=PATHS)
    assert (done.returncode, done.stderr) == (1, "no/such/page.html: No such file or directory\n")


def test_a_study_where_nothing_may_be_written_is_refused_with_the_place(open_folder: Path) -> None:
    write_plan(open_folder, small(Path("runs")))
    open_folder.chmod(0o555)
    done = as_nobody(["-m", "cnnsearch.study", "tiny.json"], open_folder)
    assert done.returncode == 1
    assert done.stderr == "runs/here: cannot be made (Permission denied); permit it, or name another place\n"
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["report", "evaluate", "explain", "export", "dashboard"])
def test_every_command_names_a_missing_run_in_the_same_words(command: str, tmp_path: Path) -> None:
    done = python(["-m", f"cnnsearch.{command}", "nowhere"], tmp_path)
    law = "nowhere: no such folder; give the folder of a run, such as runs/NAME\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", law)


ENDED_BY_CTRL_C = """
import runpy, signal, sys

class Loading:
    def find_spec(self, name, path, target=None):
        if name == MODULE:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Loading())
sys.argv = [COMMAND, "nowhere"]
runpy.run_module(f"cnnsearch.{COMMAND}", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("command", "module"),
    [
        ("study", "cnnsearch.plan"),
        ("check", "cnnsearch.check.describe"),
        ("report", "cnnsearch.report.write"),
        ("evaluate", "cnnsearch.evaluate.conduct"),
        ("explain", "cnnsearch.explain.conduct"),
        ("export", "cnnsearch.terminal"),
        ("dashboard", "cnnsearch.dashboard.serve"),
    ],
)
def test_ctrl_c_while_a_command_loads_ends_it_without_a_traceback(command: str, module: str, tmp_path: Path) -> None:
    script = f"COMMAND, MODULE = {command!r}, {module!r}\n{ENDED_BY_CTRL_C}"
    done = python(["-c", script], tmp_path)
    status = 0 if command == "dashboard" else -signal.SIGINT
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


def test_a_home_that_nobody_has_is_told(tmp_path: Path) -> None:
    law = "~nosuchuser/d: there is no such home; write the folder's whole path"
    done = python(["-m", "cnnsearch.study", "--dataset", "digits", "--dry-run", "--runs", "~nosuchuser/d"], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"{law}\n")
    with pytest.raises(RunError) as caught:
        data_root("~nosuchuser/d")
    assert str(caught.value) == law


@pytest.mark.parametrize("command", ["study", "check", "report", "evaluate", "export", "explain", "dashboard"])
def test_every_command_helps_without_what_takes_long_to_import(command: str, tmp_path: Path) -> None:
    done = python(["-X", "importtime", "-m", f"cnnsearch.{command}", "--help"], tmp_path)
    assert (done.returncode, done.stdout.split()[:4]) == (0, ["usage:", "python", "-m", f"cnnsearch.{command}"])
    assert set(heavy_imports(done.stderr)) <= {"rich"}
    takes_run = command not in {"study", "check"}
    assert ("such as runs/mnist-1a2b3c" in " ".join(done.stdout.split())) == takes_run


@pytest.mark.parametrize("command", ["study", "check", "report", "evaluate", "export", "explain", "dashboard"])
def test_every_command_names_itself_where_a_flag_is_not_known(command: str, tmp_path: Path) -> None:
    done = python(["-m", f"cnnsearch.{command}", "x", "--nope"], tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith(f"python -m cnnsearch.{command}: error: ")
    assert "--nope" in done.stderr
