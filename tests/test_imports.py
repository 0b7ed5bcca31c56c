"""What an import costs, and that the order of imports does not matter."""

import pkgutil
import random
import subprocess
import sys
from pathlib import Path

import pytest
from amount import MORE

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
