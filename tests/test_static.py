"""What must not stand in the library: words that run what a file brought, and versions with known advisories."""

import ast
import re
import tomllib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest
from commands import ROOT

FORBIDDEN_MODULES = {
    "pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "yaml",
    "xml",
    "commands",
}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "torch.load",
}
LOADS = {"np.load", "numpy.load"}
"""They read pickles where they are allowed to, which must be refused in so many words."""
FORBIDDEN_ARGUMENTS = {("shell", True), ("weights_only", False), ("allow_pickle", True), ("verify", False)}
FLOORS = {"torch": (2, 10), "pillow": (12, 3), "onnx": (1, 21)}
"""The oldest versions without a known advisory that would matter here."""
SECURITY_EXCEPTIONS = {"S108", "S310", "S311", "S603"}
"""Rules of ruff that some line may be excused from: a known folder, a checked download, dice, a process of our own."""


def faults(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name.partition(".")[0] in FORBIDDEN_MODULES)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in FORBIDDEN_MODULES:
            yield node.module or ""
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in FORBIDDEN_CALLS:
                yield name
            if name in LOADS and "allow_pickle=False" not in ast.unparse(node):
                yield name
            for word in node.keywords:
                if isinstance(word.value, ast.Constant) and (word.arg, word.value.value) in FORBIDDEN_ARGUMENTS:
                    yield f"{word.arg}={word.value.value}"
            if name == "YAML" and "typ='safe'" not in ast.unparse(node):
                yield "YAML that is not safe"


FILES = sorted((ROOT / "cnnsearch").rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_of_the_library_runs_what_a_file_brings(path: Path) -> None:
    assert list(faults(path.read_text())) == []


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("import pickle", "pickle"),
        ("from dill import loads", "dill"),
        ("import yaml", "yaml"),
        ("eval('1')", "eval"),
        ("torch.load(path)", "torch.load"),
        ("run(command, shell=True)", "shell=True"),
        ("read(path, weights_only=False)", "weights_only=False"),
        ("YAML(typ='unsafe')", "YAML that is not safe"),
        ("YAML()", "YAML that is not safe"),
    ],
)
def test_such_a_word_would_be_noticed(source: str, word: str) -> None:
    assert list(faults(source)) == [word]


def test_no_line_is_excused_from_another_rule_of_security() -> None:
    excused = {
        code
        for path in FILES
        for line in re.findall(r"noqa: ([A-Z0-9, ]+)", path.read_text())
        for code in line.split(",")
    }
    assert {code.strip() for code in excused if re.fullmatch(r" *S\d+ *", code)} <= SECURITY_EXCEPTIONS


def test_a_file_is_excused_from_no_rule_of_security() -> None:
    assert not [path for path in FILES if re.search(r"ruff: noqa(?!: RUF00)", path.read_text())]


def bounds() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give every dependency, those of the extras too, with its lower bound; () where it has none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for each in [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]:
        name, _, bound = each.partition(">=")
        yield name, tuple(int(number) for number in bound.partition(",")[0].split(".") if number)


def test_every_dependency_has_a_lower_bound_and_none_one_with_a_known_advisory() -> None:
    assert [name for name, bound in bounds() if not bound] == []
    assert {name for name, _ in bounds()} >= FLOORS.keys()
    assert [(name, bound) for name, bound in bounds() if bound < FLOORS.get(name, ())] == []
