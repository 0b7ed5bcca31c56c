"""Every example does what its first sentence says, from an empty folder, in seconds."""

import ast
import re
from pathlib import Path

import pytest
from commands import ROOT, python

from cnnsearch import history
from cnnsearch.text import read_file

EXAMPLES = ROOT / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


def run(name: str, folder: Path, *arguments: str) -> str:
    said = python(["-W", "error", str(EXAMPLES / name), *arguments], folder)
    assert said.returncode == 0, said.stderr
    return said.stdout


def test_a_model_is_built_from_json(tmp_path: Path) -> None:
    said = run("build_a_model.py", tmp_path)
    assert "after each block (channels x height x width): 16x14x14, 32x8x8, 32x8x8" in said
    assert "29,354 parameters, 2,800,512 multiply-adds an image" in said
    assert "(2, 10) logits; the first parameters are blocks.0.conv.weight" in said
    assert "what a slip looks like: blocks[0].maxpool.kernel_size: window 32 is wider than its 28x28 input" in said
    assert list(tmp_path.iterdir()) == []


def test_a_study_runs_from_python_and_again_from_its_record(tmp_path: Path) -> None:
    said = run("search_from_python.py", tmp_path)
    assert "Classifier for the classes 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in said
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "best" / "weights.safetensors").exists()
    assert (folder / "report.html").exists()
    assert run("search_from_python.py", tmp_path, "runs").splitlines()[-2:] == said.splitlines()[-2:]


def test_a_study_with_a_block_of_ones_own_runs(tmp_path: Path) -> None:
    said = run("own_block.py", tmp_path, "given")
    (folder,) = (tmp_path / "given").iterdir()
    assert {path.name for path in tmp_path.iterdir()} <= {"given", "state"}
    kinds = {
        block.get("kind", "plain") for trial in history.read(folder).trials for block in trial.network_data["blocks"]
    }
    assert kinds == {"plain", "excited"}
    assert "right on validation" in said


def test_a_study_on_pictures_of_ones_own_runs(tmp_path: Path) -> None:
    said = run("own_images.py", tmp_path, "given").splitlines()
    assert "504 images to train with, 108 to choose by" in said
    assert re.fullmatch(r"one/\d+\.png is taken for '(zero|one|two|three)'", said[-1])
    assert {path.name for path in (tmp_path / "given").iterdir()} == {"my_images", "runs", "cache"}
    assert len(list((tmp_path / "given/my_images").glob("*/*.png"))) == 720


def test_the_plan_of_the_own_block_is_a_command_too(tmp_path: Path) -> None:
    command = ["-m", "cnnsearch.study", str(EXAMPLES / "own_block.yaml"), "--dry-run", "--device", "cpu"]
    said = python(command, tmp_path, PYTHONPATH=str(EXAMPLES))
    assert said.returncode == 0, said.stderr
    assert "10 networks drawn uniformly:" in said.stdout


def test_the_own_block_keeps_the_laws_of_every_kind(tmp_path: Path) -> None:
    said = python(["-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLES / "test_own_block.py")], tmp_path)
    assert (said.returncode, said.stdout.splitlines()[-1].startswith("1 passed")) == (0, True), said.stdout


def test_the_whole_idea_fits_on_a_page_without_the_library(tmp_path: Path) -> None:
    text = (EXAMPLES / "whole_idea.py").read_text()
    assert len(text.splitlines()) <= 70
    assert "import cnnsearch" not in text
    said = run("whole_idea.py", tmp_path)
    assert len([line for line in said.splitlines() if line.startswith("trial ")]) == 6
    assert said.splitlines()[-1].startswith("best: trial ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_script_opens_with_what_it_shows(path: Path) -> None:
    first = (ast.get_docstring(ast.parse(path.read_text())) or "").splitlines()[0]
    assert first.startswith("Shows ")
    assert first.endswith(".")


def test_every_script_is_run_here() -> None:
    mine = Path(__file__).read_text()
    run_otherwise = {"own_block_torch.py", "test_own_block.py"}
    assert [path.name for path in SCRIPTS if path.name not in run_otherwise and f'run("{path.name}"' not in mine] == []


@pytest.mark.parametrize(
    "path", sorted([*EXAMPLES.glob("*.json"), *EXAMPLES.glob("*.yaml")]), ids=lambda path: path.name
)
def test_every_file_of_the_examples_can_be_read(path: Path) -> None:
    assert read_file(path)
