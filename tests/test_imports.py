"""What an import costs, and that the order of imports does not matter."""

import pkgutil
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from amount import MORE
from commands import ROOT, python

import cnnsearch

WORDS = [
    *("errors", "text", "word", "shapes", "layers", "flow", "cost", "blocks", "network", "recipe", "holes", "options"),
    *(
        "fit",
        "space",
        "size",
        "plan",
        "splits",
        "own.keep",
        "own.image",
        "messages",
        "record",
        "datasets",
        "devices",
        "defaults",
        "events",
        "history",
    ),
]
HEAVY = ["torch", "torchvision", "optuna", "plotly", "sklearn"]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_words_import_neither_torch_nor_optuna() -> None:
    imports = "; ".join(f"import cnnsearch.{word}" for word in WORDS)
    assert run(f"import sys; {imports}; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_the_package_alone_loads_no_room() -> None:
    assert run("import sys, cnnsearch; print([name for name in sys.modules if name.startswith('cnnsearch.')])") == "[]"
    assert run(f"import sys, cnnsearch; print([name for name in {HEAVY} if name in sys.modules])") == "[]"


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(AttributeError) as caught:
        _ = cnnsearch.nothing
    assert str(caught.value) == f"module 'cnnsearch' has no attribute 'nothing'; it has {', '.join(cnnsearch.__all__)}"


@pytest.mark.parametrize(
    ("verb", "given", "told"),
    [
        ("search", "studies/digits.yaml", "Plan, not 'studies/digits.yaml'; cnnsearch.read_plan(path) reads one"),
        ("search", {"dataset": "digits"}, "Plan, not {'dataset': 'digits'}; cnnsearch.read_plan(path) reads one"),
        (
            "build",
            {"classes": 2},
            "Network, not {'classes': 2}; cnnsearch.Network.model_validate({...}) or model_valid",
        ),
        (
            "figures",
            "runs/x",
            "Run, not 'runs/x'; cnnsearch.read_run(\"runs/NAME\") reads one, and cnnsearch.search(pl",
        ),
        (
            "decided",
            "runs/x",
            "Run, not 'runs/x'; cnnsearch.read_run(\"runs/NAME\") reads one, and cnnsearch.search(pl",
        ),
    ],
)
def test_a_public_verb_says_what_it_takes(verb: str, given: object, told: str) -> None:
    with pytest.raises(TypeError) as caught:
        getattr(cnnsearch, verb)(given)
    assert str(caught.value).startswith(f"takes a cnnsearch.{told}")


def test_the_package_itself_lists_its_commands(tmp_path: Path) -> None:
    said = python(["-m", "cnnsearch"], tmp_path)
    named = re.findall(r"^python -m cnnsearch\.(\w+) ", said.stdout, re.MULTILINE)
    assert set(named) == {file.parent.name for file in ROOT.glob("cnnsearch/*/__main__.py")} - {"worker"}


def test_public_names_are_listed_in_order() -> None:
    assert sorted(cnnsearch.__all__) == cnnsearch.__all__
    assert set(dir(cnnsearch)) == {*cnnsearch.__all__, "__version__"}


def every_room() -> list[str]:
    folder = [str(Path(cnnsearch.__file__).parent)]
    found = pkgutil.walk_packages(folder, "cnnsearch.", onerror=lambda _: None)
    return sorted(room.name for room in found if not room.name.endswith("__main__"))


ORDERS = [*range(2 * MORE)]


@pytest.mark.parametrize("order", ORDERS)
def test_public_names_work_in_whatever_order_rooms_were_imported(order: int) -> None:
    rooms = every_room()
    random.Random(order).shuffle(rooms)
    code = f"""
import importlib, types, cnnsearch
for room in {rooms}:
    importlib.import_module(room)
wrong = [name for name in cnnsearch.__all__ if not callable(getattr(cnnsearch, name))]
wrong += [name for name in cnnsearch.__all__ if isinstance(getattr(cnnsearch, name), types.ModuleType)]
print(wrong)
"""
    assert run(code) == "[]"
