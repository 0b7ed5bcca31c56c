"""`python -m cnnsearch.check FILE ...`: what is this file, or what is wrong in it? Nothing imports this file."""

import argparse
import json
import signal
import sys

if __name__ == "__main__":  # until there is something to end in order, Ctrl-C ends at once and without a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from cnnsearch.check.describe import describe
from cnnsearch.check.reading import RefusedError, read
from cnnsearch.errors import CnnsearchError, status_of
from cnnsearch.files import write_whole
from cnnsearch.imports import import_kinds
from cnnsearch.signals import end_with_reader, obeying


def main(arguments: Sequence[str]) -> int:
    """Run one command line; give the exit status: 0 fine, 2 something is wrong in a file, else as everywhere."""
    given = _given(arguments)
    tasks = [partial(_describe, path, given.imports, named=len(given.files) > 1) for path in given.files]
    if given.write_schemas:
        tasks.insert(0, partial(_write_schemas, given.write_schemas, given.imports))
    return obeying(lambda: max(map(_status_of, tasks)), lambda: print("\nstopped.", file=sys.stderr))


def _status_of(task: Callable[[], None]) -> int:
    try:
        task()
    except (RefusedError, CnnsearchError, OSError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, RefusedError) else status_of(error)
    return 0


def _describe(path: Path, imports: Sequence[str], *, named: bool) -> None:
    lines = describe(read(path, imports))
    for line in (f"{path}:", *lines, "") if named else lines:
        print(line)


class _Given(argparse.Namespace):
    files: list[Path]
    imports: list[str]
    write_schemas: Path | None


def _given(arguments: Sequence[str]) -> _Given:
    parser = argparse.ArgumentParser(
        prog="python -m cnnsearch.check",
        description="Say what a network, space or plan file (JSON or YAML) is, or what is wrong in it.",
        epilog="A file with one of input, blocks, head, classes at its top, and no key of a plan, is a network, or "
        "with holes a space; any other is a plan.",
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="what to check")
    parser.add_argument(
        "--import", dest="imports", action="append", default=[], metavar="MODULE",
        help="a module of one's own that registers kinds of blocks; may be given several times",
    )  # fmt: skip
    parser.add_argument(
        "--write-schemas", type=Path, metavar="FOLDER",
        help="write network.schema.json and plan.schema.json for editors, with the kinds of blocks imported",
    )  # fmt: skip
    given = parser.parse_args(arguments, namespace=_Given())
    if not (given.files or given.write_schemas):
        parser.error("what is to be checked? give a FILE, or --write-schemas FOLDER")
    return given


def _write_schemas(folder: Path, imports: Sequence[str]) -> None:
    from cnnsearch.schema import network_schema, plan_schema

    import_kinds(imports)
    for name, schema in (("network", network_schema()), ("plan", plan_schema())):
        path = folder / f"{name}.schema.json"
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(schema, indent=2) + "\n")
        print(path)


if __name__ == "__main__":
    end_with_reader()
    sys.exit(main(sys.argv[1:]))
