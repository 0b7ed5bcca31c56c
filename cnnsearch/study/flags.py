"""How does a command line become a plan? Flags, help and checks all come from the plan's own fields.

Flag over file over default. A value is one YAML value, read as it would be in the plan file, so that any field that
may hold a hole takes one: `--recipe.learning-rate '{float: [0.001, 0.1], log: true}'`.
"""

import argparse
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cnnsearch.defaults import DEFAULTS
from cnnsearch.errors import Fault, InvalidSpecError
from cnnsearch.plan import Plan, read_plain_plan, with_start_networks
from cnnsearch.recipe import Recipe
from cnnsearch.text import Plain, read_yaml

SHORT = {
    "budget.trials": "--trials",
    "budget.minutes": "--minutes",
    "executor.workers": "--workers",
    "executor.device": "--device",
    "imports": "--import",
}
SEVERAL = frozenset({"imports", "start"})
VERBATIM = frozenset({"dataset", "name", "runs", "storage", "data_root", "executor.device", "imports", "start"})


class Command(NamedTuple):
    """What a command line asks for."""

    plan: Plain
    """Plain data of the plan, not yet checked."""
    names_dataset: bool
    dry_run: bool


def read_command(arguments: Sequence[str]) -> Command:
    """Read the command line; raise InvalidSpecError where a file or value cannot be read."""
    parser = _parser()
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(_unknown(unknown[0], parser))
    plan: dict[str, Plain] = read_plain_plan(Path(given.plan)) if given.plan else {}
    if isinstance(plan, dict):  # pyright: ignore[reportUnnecessaryIsInstance] (a file may hold anything)
        for path, text in vars(given).items():
            if path not in {"plan", "dry_run"} and text is not None:
                _put(plan, path.split("."), _value(path, text))
        plan = with_start_networks(plan, Path())
    return Command(plan, isinstance(plan, dict) and "dataset" in plan, given.dry_run)  # pyright: ignore[reportUnnecessaryIsInstance]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cnnsearch.study",
        usage="%(prog)s [PLAN.yaml] [--dry-run] [flags]",
        description="Search for the best small convolutional network. The same command again continues the same study.",
        epilog="A value is one YAML value; a field of space or recipe may hold a hole: '{choice: [...]}', "
        "'{int: [low, high]}', '{float: [low, high], log: true}'.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", nargs="?", metavar="PLAN.yaml", help="a plan; without one, the data set's default plan")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and do nothing")
    for path, field in _leaves(Plan):
        names = [f"--{path.replace('_', '-')}"]
        names[:0] = [SHORT[path]] if path in SHORT else []
        action = "append" if path in SEVERAL else "store"
        parser.add_argument(*names, dest=path, action=action, metavar=_metavar(path), help=_help(path, field))
    return parser


def _unknown(argument: str, parser: argparse.ArgumentParser) -> str:
    if not argument.startswith("-"):
        return f"{argument!r} is one plan too many; give one file"
    flags = [name for action in parser._actions for name in action.option_strings]  # noqa: SLF001 (no public list)
    flag = argument.partition("=")[0]
    near = get_close_matches(flag, flags, n=1, cutoff=0.5)
    return f"there is no flag {flag}; {f'perhaps you meant {near[0]}' if near else '--help lists all flags'}"


def _leaves(word: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in word.model_fields.items():
        inner = Recipe if name == "recipe" else field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _leaves(inner, f"{prefix}{name}.")
        elif name != "data":
            yield f"{prefix}{name}", field


def _metavar(path: str) -> str:
    return {"start": "NETWORK.json", "imports": "MODULE"}.get(path, path.rpartition(".")[2].upper())


def _help(path: str, field: FieldInfo) -> str:
    text = " ".join((field.description or "").split()).replace("%", "%%")
    default = field.get_default(call_default_factory=False)
    if any(_stands(path.split("."), plan) for plan in DEFAULTS.values()):
        return f"{text} (default: follows from the data set)"
    simple = isinstance(default, int | float | str) and not isinstance(default, bool)
    return f"{text} (default: {default})" if simple else text


def _stands(path: list[str], plan: Plain) -> bool:
    return not path or (isinstance(plan, dict) and path[0] in plan and _stands(path[1:], plan[path[0]]))


def _value(path: str, text: Any) -> Plain:  # noqa: ANN401 (argparse gives text, or a list of it)
    if path in VERBATIM:
        return text
    try:
        return read_yaml(text)
    except InvalidSpecError as error:
        flag = f"--{path.replace('_', '-')}"
        raise InvalidSpecError(tuple(Fault(flag, str(fault)) for fault in error.faults)) from None


def _put(plan: dict[str, Plain], path: list[str], value: Plain) -> None:
    """Put a value where a flag points; what is in the way and is no mapping is left to the plan's own check."""
    *outer, last = path
    for key in outer:
        inner = plan.setdefault(key, {})
        if not isinstance(inner, dict):
            return
        plan = cast("dict[str, Plain]", inner)
    plan[last] = value
