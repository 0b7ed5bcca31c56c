"""Which kinds of blocks of one's own are there? Modules named in a plan or flag, and those of installed packages.

A package offers its kinds by an entry point of the group `cnnsearch.blocks`. A network file never causes an import.
"""

from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points

from cnnsearch.errors import Fault, InvalidSpecError

GROUP = "cnnsearch.blocks"


def import_kinds(modules: Iterable[str]) -> None:
    """Import the modules, whose import registers their kinds; raise InvalidSpecError where one cannot be imported."""
    for offer in entry_points(group=GROUP):
        _load(offer.load, "", offer.value, f"an installed package offers it in {GROUP}: repair or remove that package")
    for module in modules:
        way_out = "give it as `import` would, from the folder it lies in"
        _load(partial(import_module, module), "imports", module, way_out)


def _load(load: Callable[[], object], place: str, name: str, way_out: str) -> None:
    try:
        load()
    except (Exception, SystemExit) as error:  # whatever a module of one's own does wrong, it has a name
        law = f"{name!r} cannot be imported ({type(error).__name__}: {error})"
        raise InvalidSpecError((Fault(place, f"{law}; {way_out}"),)) from error
