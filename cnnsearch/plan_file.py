"""How is a plan read from a file?"""

from functools import partial
from pathlib import Path
from typing import cast

from cnnsearch.errors import Fault, InvalidSpecError, faults_of
from cnnsearch.imports import import_kinds
from cnnsearch.plan import Plan
from cnnsearch.text import Plain, read_file


def read_plan(path: str | Path) -> Plan:
    """Read a plan file (.yaml or .json), and import the kinds of blocks that it names.

    Raises InvalidSpecError with every place found, DataError for images of one's own that cannot be used.
    """
    try:
        data = read_plain_plan(Path(path))
        import_kinds(imports_of(data))
        return Plan.model_validate(data)
    except InvalidSpecError as error:
        raise InvalidSpecError(error.faults, str(path)) from None


def read_plain_plan(path: Path) -> Plain:
    """Read a plan file without checking it; networks that `start` names by file are put in their place."""
    data = read_file(path)
    return with_start_networks(data, path.parent)


def with_start_networks(data: Plain, folder: Path) -> Plain:
    """Replace the file names in `start`, relative to `folder`, by the networks in these files."""
    plan = cast("dict[str, Plain]", data) if isinstance(data, dict) else {}
    if not isinstance(plan.get("start"), list):
        return cast("Plain", data)
    start = cast("list[Plain]", plan["start"])
    if found := [fault for place in enumerate(start) for fault in faults_of(partial(_start_network, folder, *place))]:
        raise InvalidSpecError(tuple(found))
    return {**plan, "start": [_start_network(folder, number, item) for number, item in enumerate(start)]}


def _start_network(folder: Path, number: int, item: Plain) -> Plain:
    if not isinstance(item, str):
        return item
    path = folder / item
    try:
        return read_file(path)
    except InvalidSpecError as error:
        found = (str(fault).removeprefix(f"{path}: ") for fault in error.faults)
        raise InvalidSpecError(tuple(Fault(f"start[{number}]", f"{path}: {text}") for text in found)) from None


def imports_of(data: Plain) -> list[str]:
    """Give the modules that a plan's plain data names; what is no list of names is left to the plan's own check."""
    given: Plain = cast("dict[str, Plain]", data).get("imports") if isinstance(data, dict) else None
    names = cast("list[Plain]", given) if isinstance(given, list) else []
    return [name for name in names if isinstance(name, str)]
