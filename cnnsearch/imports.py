"""Which kinds of blocks of one's own are there? Modules named in a plan or flag, and those of installed packages.

A package offers its kinds by an entry point of the group `cnnsearch.blocks`. A network file never causes an import.
"""

import sysconfig
from collections.abc import Callable, Container, Iterable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from traceback import extract_tb

from cnnsearch.blocks import KINDS
from cnnsearch.errors import Fault, InvalidSpecError

GROUP = "cnnsearch.blocks"


def import_kinds(modules: Iterable[str]) -> None:
    """Import the modules, whose import registers their kinds; raise InvalidSpecError where one cannot be imported."""
    for offer in entry_points(group=GROUP):
        _load(offer.load, "", offer.value, f"an installed package offers it in {GROUP}: repair or remove that package")
    for module in modules:
        way_out = "give it as `import` would, from the folder it lies in"
        _load(partial(import_module, module), "imports", module, way_out)


def refuse_unknown_to_workers(kinds: Container[object], modules: Iterable[str]) -> None:
    """Raise InvalidSpecError for a kind of block, by its name, that surely no worker would know.

    A worker imports these modules and what installed packages offer. Which kinds these register in turn is not known
    here, so that only a kind of the program itself, or one where nothing is named at all, is surely unknown to it.
    """
    named = [*modules, *entry_points(group=GROUP)]
    for kind in (kind for name, kind in KINDS.items() if name in kinds):
        home = kind.__module__
        if home == "__main__":
            law = f"{kind.__name__} is a class of the program itself, which workers do not run"
            raise InvalidSpecError((Fault("imports", f"{law}; put it into a module, and name that: [my_blocks]"),))
        if not named and not home.startswith("cnnsearch."):
            law = f"{kind.__name__} is a class of {home}, which workers import only where a plan names it"
            raise InvalidSpecError((Fault("imports", f"{law}: ['{home}']"),))


def _load(load: Callable[[], object], place: str, name: str, way_out: str) -> None:
    try:
        load()
    except (Exception, SystemExit) as error:  # whatever a module of one's own does wrong, it has a name
        where = _line_of(error)
        told = f"{f'{where}: ' if where else ''}{type(error).__name__}: {error}"
        law = f"{name!r} cannot be imported ({told})"
        raise InvalidSpecError((Fault(place, f"{law}; {'mend it there' if where and place else way_out}"),)) from error


def _line_of(error: BaseException) -> str:
    """Say in which line of a module of one's own it went wrong; nothing where none was found."""
    lines = [(frame.filename, frame.lineno) for frame in extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        lines.append((error.filename or "", error.lineno))
    others = [Path(__file__).parent, *(Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib"))]
    own = [(file, line) for file, line in lines if Path(file).is_file() and not {*others} & {*Path(file).parents}]
    return f"{own[-1][0]}, line {own[-1][1]}" if own else ""
