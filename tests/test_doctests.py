"""Every example in a docstring gives what it says."""

import doctest
import pkgutil
from importlib import import_module
from pathlib import Path

import pytest

import cnnsearch

ROOMS = sorted(
    room.name
    for room in pkgutil.walk_packages([str(Path(cnnsearch.__file__).parent)], "cnnsearch.")
    if not room.name.endswith("__main__")
)


@pytest.mark.parametrize("room", ["cnnsearch", *ROOMS])
def test_examples_in_docstrings_are_true(room: str) -> None:
    assert doctest.testmod(import_module(room), optionflags=doctest.ELLIPSIS).failed == 0
