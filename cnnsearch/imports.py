"""Which kinds of blocks of one's own are there? Modules named in a plan or flag, and those of installed packages.

A package offers its kinds by an entry point of the group `cnnsearch.blocks`. A network file never causes an import.
"""

from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import entry_points

from cnnsearch.errors import Fault, InvalidSpecError

GROUP = "cnnsearch.blocks"


def import_kinds(modules: Iterable[str]) -> None:
    """Import the modules, whose import registers their kinds; raise InvalidSpecError where one cannot be imported."""
    for offer in entry_points(group=GROUP):
        offer.load()
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            law = f"{module!r} cannot be imported ({error}); give it as `import` would, from the folder it lies in"
            raise InvalidSpecError((Fault("imports", law),)) from None
