"""Which kinds of blocks of one's own are there? Modules named in a plan or flag, and those of installed packages.

A package offers its kinds by an entry point of the group `cnnsearch.blocks`. A network file never causes an import.
"""

from collections.abc import Iterable
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points

from cnnsearch.errors import Fault, InvalidSpecError

GROUP = "cnnsearch.blocks"


def import_kinds(modules: Iterable[str]) -> None:
    """Import the modules, whose import registers their kinds; raise InvalidSpecError where one cannot be imported."""
    offers = {offer.value: offer.load for offer in entry_points(group=GROUP)}
    for name, load in (offers | {module: partial(import_module, module) for module in modules}).items():
        try:
            load()
        except Exception as error:  # whatever a module of one's own does wrong, it has a name
            law = f"{name!r} cannot be imported ({type(error).__name__}: {error})"
            way = "give it as `import` would, from the folder it lies in"
            raise InvalidSpecError((Fault("imports", f"{law}; {way}"),)) from error
