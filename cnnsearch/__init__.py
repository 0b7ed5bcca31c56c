"""Finds the best small convolutional network for your images.

The public names load when first used, so that `import cnnsearch` needs neither torch nor optuna.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cnnsearch.blocks import Block as Block
    from cnnsearch.blocks import register as register
    from cnnsearch.errors import CnnsearchError as CnnsearchError
    from cnnsearch.flow import Step as Step
    from cnnsearch.flow import Sum as Sum
    from cnnsearch.history import read_run as read_run
    from cnnsearch.layers import BatchNorm as BatchNorm
    from cnnsearch.layers import Conv as Conv
    from cnnsearch.layers import Layer as Layer
    from cnnsearch.layers import MaxPool as MaxPool
    from cnnsearch.layers import ReLU as ReLU
    from cnnsearch.module import build as build
    from cnnsearch.network import Network as Network
    from cnnsearch.plan import Plan as Plan
    from cnnsearch.plan_file import read_plan as read_plan
    from cnnsearch.report.write import figures as figures
    from cnnsearch.shapes import Shape as Shape
    from cnnsearch.study.conduct import search as search
    from cnnsearch.verdict import decided as decided
    from cnnsearch.weights import load as load

_ROOMS = {
    "BatchNorm": "layers",
    "Block": "blocks",
    "CnnsearchError": "errors",
    "Conv": "layers",
    "Layer": "layers",
    "MaxPool": "layers",
    "Network": "network",
    "Plan": "plan",
    "ReLU": "layers",
    "Shape": "shapes",
    "Step": "flow",
    "Sum": "flow",
    "build": "module",
    "decided": "verdict",
    "figures": "report.write",
    "load": "weights",
    "read_plan": "plan_file",
    "read_run": "history",
    "register": "blocks",
    "search": "study.conduct",
}

__all__ = [
    "BatchNorm",
    "Block",
    "CnnsearchError",
    "Conv",
    "Layer",
    "MaxPool",
    "Network",
    "Plan",
    "ReLU",
    "Shape",
    "Step",
    "Sum",
    "build",
    "decided",
    "figures",
    "load",
    "read_plan",
    "read_run",
    "register",
    "search",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name not in _ROOMS:
        raise AttributeError(f"module 'cnnsearch' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(import_module(f"cnnsearch.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
