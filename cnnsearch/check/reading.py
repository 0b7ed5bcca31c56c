"""As what is a file read?

By the keys at its top alone, so that a slip further down does not change it:

1. With one of `input`, `blocks`, `head`, `classes`, and no key of a plan, it is a network, or a space when a hole
   (`choice`, `int`, `float`) or a `repeat` stands anywhere in it.
2. Else it is a plan.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from cnnsearch.errors import InvalidSpecError
from cnnsearch.imports import import_kinds
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.plan_file import imports_of, with_start_networks
from cnnsearch.space import Space
from cnnsearch.text import Plain, read_file
from cnnsearch.word import HOLES


class Reading(NamedTuple):
    """What a file is taken for, and why."""

    noun: str
    why: str


class RefusedError(Exception):
    """A file is not what it was read as; says so, then one fault a line."""

    def __init__(self, path: Path | str, as_what: str, error: InvalidSpecError) -> None:
        faults = (str(fault).removeprefix(f"{path}: ") for fault in error.faults)
        super().__init__("\n".join([f"{path}: {as_what}", *(f"  {fault}" for fault in faults)]))


def reading(data: Plain) -> Reading:
    """Choose by the rules above.

    >>> reading({"blocks": []})
    Reading(noun='network', why='it has `blocks` at its top and no hole')
    """
    mapping = cast("dict[str, Plain]", data) if isinstance(data, dict) else {}
    named = [f"`{key}`" for key in Network.model_fields if key in mapping]
    of_plan = [f"`{key}`" for key in Plan.model_fields if key in mapping]
    if named and of_plan:
        return Reading("plan", f"it has {of_plan[0]} at its top")
    if not named:
        keys = ", ".join(Network.model_fields)
        return Reading("plan", f"none of {keys} stands at its top")
    opener = next(_openers(data), None)
    if opener:
        return Reading("space", f"it has {named[0]} at its top and a `{opener}`")
    return Reading("network", f"it has {named[0]} at its top and no hole")


def _openers(data: Plain) -> Iterator[str]:
    if isinstance(data, dict):
        mapping = cast("dict[str, Plain]", data)
        yield from (key for key in HOLES if key in mapping)
        for value in mapping.values():
            yield from _openers(value)
    elif isinstance(data, list):
        for value in cast("list[Plain]", data):
            yield from _openers(value)


def read(path: Path, imports: Sequence[str] = ()) -> Network | Space | Plan:
    """Read a file as what it is; raise RefusedError where it is not that."""
    import_kinds(imports)
    try:
        data = read_file(path)
    except InvalidSpecError as error:
        raise RefusedError(path, "neither network, space nor plan", error) from None
    noun, why = reading(data)
    try:
        return _read_as(noun, data, path.parent)
    except InvalidSpecError as error:
        raise RefusedError(path, f"no valid {noun} (read as a {noun}: {why})", error) from None


def _read_as(noun: str, data: Plain, folder: Path) -> Network | Space | Plan:
    if noun == "network":
        return Network.model_validate(data)
    if noun == "space":
        return Space({key: value for key, value in data.items() if key != "$schema"})
    import_kinds(imports_of(data))
    return Plan.model_validate(with_start_networks(data, folder))
