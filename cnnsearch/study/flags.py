"""How does a command line become a plan? Flags, help and checks all come from the plan's own fields.

Flag over file over default. A value is one YAML value, read as it would be in the plan file, so that any field that
may hold a hole takes one: `--recipe.learning-rate '{float: [0.001, 0.1], log: true}'`.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cnnsearch.check.reading import RefusedError, reading
from cnnsearch.datasets import FACTS
from cnnsearch.defaults import DEFAULTS
from cnnsearch.docstrings import docstrings
from cnnsearch.errors import Fault, InvalidSpecError, faults_of
from cnnsearch.parts import Finals
from cnnsearch.plan import Plan
from cnnsearch.plan_file import read_plain_plan, with_start_networks
from cnnsearch.recipe import Recipe
from cnnsearch.text import Plain, read_yaml

SHORT = {
    "budget.trials": "--trials",
    "budget.minutes": "--minutes",
    "budget.until_flat": "--until-flat",
    "executor.workers": "--workers",
    "executor.device": "--device",
    "imports": "--import",
}
WORDS_WITHIN = {"recipe": Recipe, "finals": Finals}
"""Of fields that may be something else than the word whose fields have flags: data with holes, or null."""
OF_THE_COMMAND = frozenset({"plan", "dry_run", "no_finals"})
SEVERAL = frozenset({"imports", "start"})
VERBATIM = frozenset({"dataset", "name", "runs", "storage", "data_root", "executor.device", "imports", "start"})


class Command(NamedTuple):
    """What a command line asks for."""

    plan: Plain
    """Plain data of the plan, not yet checked."""
    names_dataset: bool
    dry_run: bool
    source: str
    """The plan's file, or nothing where there is none."""


def read_command(arguments: Sequence[str]) -> Command:
    """Read the command line; raise InvalidSpecError where a file or value cannot be read."""
    parser = _parser(helps=any(argument.startswith(("-h", "--help")) for argument in arguments))
    given, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(_unknown(unknown[0], parser))
    flags = {path: text for path, text in vars(given).items() if path not in OF_THE_COMMAND and text is not None}
    for path, field, _ in _leaves(Plan):
        if field.annotation is bool and flags.get(path, "true") not in {"true", "false"}:
            law = f"takes true or false, or nothing for true, not {flags[path]!r}"
            parser.error(f"{SHORT.get(path) or path} {law}; a plan stands before the flags")
    if found := [fault for flag in flags.items() for fault in faults_of(partial(_value, *flag))]:
        raise InvalidSpecError(tuple(found))
    plan: dict[str, Plain] = _of_file(Path(given.plan)) if given.plan else {}
    if isinstance(plan, dict):  # pyright: ignore[reportUnnecessaryIsInstance] (a file may hold anything)
        for path, text in flags.items():
            _put(plan, path.split("."), _value(path, text))
        if given.no_finals:
            if told := [path for path in flags if path.startswith("finals.")]:
                parser.error(f"--no-finals and --{told[0].replace('_', '-')} contradict each other; leave one out")
            plan["finals"] = None
        plan = with_start_networks(plan, Path())
    names_dataset = isinstance(plan, dict) and "dataset" in plan  # pyright: ignore[reportUnnecessaryIsInstance]
    return Command(plan, names_dataset, given.dry_run, _told_as(given.plan, flags))


def _of_file(path: Path) -> Plain:
    if path.suffix == ".npz":
        raise InvalidSpecError((Fault(str(path), "no plan but images; a data set is named by --dataset"),))
    try:
        data = read_plain_plan(path)
    except InvalidSpecError as error:
        fault = error.faults[0]
        if fault.place == str(path) and (path.is_dir() or str(path) in FACTS):
            told = fault._replace(message=f"{fault.message}; a data set is named by --dataset")
            raise InvalidSpecError((told,)) from None
        if fault.place == str(path):  # not there: says so itself
            raise
        raise RefusedError(path, "not a plan", error) from None
    if (noun := reading(data).noun) != "plan":
        law = "a study takes a plan, in which a network may stand in `start` and a space in `space`"
        raise RefusedError(path, f"a {noun}, not a plan", InvalidSpecError((Fault("", law),)))
    return data


def _told_as(file: str | None, flags: Mapping[str, object]) -> str:
    """Name what a fault of the whole plan is a fault of."""
    given = [file] if file else []
    return " with ".join([*given, "the flags given"] if flags and file else given)


def _parser(*, helps: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m cnnsearch.study",
        usage="%(prog)s [PLAN.yaml] [--dry-run] [flags]",
        description="Search for the best small convolutional network. The same command again continues the same study.",
        epilog="A value is one YAML value; a field of space or recipe may hold a hole: '{choice: [...]}', "
        "'{int: [low, high]}', '{float: [low, high], log: true}'.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", nargs="?", metavar="PLAN.yaml", help="a plan; without one, the data set's default plan")
    parser.add_argument("--dry-run", action="store_true", help="show what would be done, and train nothing")
    parser.add_argument("--no-finals", action="store_true", help="end with the search; nothing is tested")
    for path, field, word in _leaves(Plan):
        names = [f"--{path.replace('_', '-')}"]
        names[:0] = [SHORT[path]] if path in SHORT else []
        parser.add_argument(
            *names,
            dest=path,
            action="append" if path in SEVERAL else "store",
            nargs="?" if field.annotation is bool else None,
            const="true" if field.annotation is bool else None,
            metavar=_metavar(path),
            help=_help(path, field, word) if helps else None,
        )
    return parser


def _unknown(argument: str, parser: argparse.ArgumentParser) -> str:
    if not argument.startswith("-"):
        return f"{argument!r} is one plan too many; give one file"
    flags = [name for action in parser._actions for name in action.option_strings]  # noqa: SLF001 (no public list)
    flag = argument.partition("=")[0]
    near = get_close_matches(flag, flags, n=1)
    return f"there is no flag {flag}; {f'perhaps you meant {near[0]}' if near else '--help lists all flags'}"


def _leaves(word: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo, type[BaseModel]]]:
    for name, field in word.model_fields.items():
        inner = WORDS_WITHIN.get(name, field.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _leaves(inner, f"{prefix}{name}.")
        elif name != "data":
            yield f"{prefix}{name}", field, word


def _metavar(path: str) -> str:
    return {"start": "NETWORK.json", "imports": "MODULE"}.get(path, path.rpartition(".")[2].upper())


def _help(path: str, field: FieldInfo, word: type[BaseModel]) -> str:
    text = " ".join(docstrings(word).get(path.rpartition(".")[2], "").split()).replace("%", "%%")
    if get_origin(field.annotation) is Literal:
        text += f" One of {', '.join(get_args(field.annotation))}."
    default = field.get_default(call_default_factory=False)
    if any(_stands(path.split("."), plan) for plan in DEFAULTS.values()):
        return f"{text} (default: follows from the data set)"
    simple = isinstance(default, int | float | str) and not isinstance(default, bool)
    return f"{text} (default: {default})" if simple else text


def _stands(path: list[str], plan: Plain) -> bool:
    return not path or (isinstance(plan, dict) and path[0] in plan and _stands(path[1:], plan[path[0]]))


def _value(path: str, text: Any) -> Plain:  # noqa: ANN401 (argparse gives text, or a list of it)
    if path in VERBATIM and text != "null":
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
        if plan.get(key) is None:  # `finals: null` of a file too
            plan[key] = {}
        inner = plan[key]
        if not isinstance(inner, dict):
            return
        plan = cast("dict[str, Plain]", inner)
    plan[last] = value
