"""Finds the best small convolutional network for your images.

The public names load when first used, so that `import cnnsearch` needs neither torch nor optuna.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnsearch.module import build as build
    from cnnsearch.network import Network as Network

_ROOMS = {
    "Network": "network",
    "build": "module",
}

__all__ = ["Network", "build"]  # noqa: PLE0604, RUF100
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module 'cnnsearch' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"cnnsearch.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
