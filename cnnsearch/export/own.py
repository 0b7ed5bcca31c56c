"""Which modules, other than torch's, does a network take its layers from?"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from cnnsearch.export.calls import NN
from cnnsearch.flow import Flow
from cnnsearch.layers import Layer
from cnnsearch.network import Network


def modules(network: Network) -> list[str]:
    """Name them, in order."""
    found: set[str] = set()
    shape = network.input.shape
    for block, after in zip(network.blocks, network.shapes, strict=True):
        found.update(layer.torch_class.partition(":")[0] for layer in _layers(block.flow(shape)))
        shape = after
    return sorted(found - {NN})


def sources(network: Network) -> dict[str, Path]:
    """Give those that are one file each, by the name under which they are imported; the rest is installed packages."""
    files = {f"{name}.py": Path(import_module(name).__file__ or "") for name in modules(network)}
    return {name: file for name, file in files.items() if name == file.name}


def _layers(flow: Flow) -> Iterator[Layer]:
    for step in flow:
        if isinstance(step.what, Layer):
            yield step.what
        else:
            for _, branch in step.what.branches:
                yield from _layers(branch)
