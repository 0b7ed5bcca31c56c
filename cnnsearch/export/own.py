"""Which modules, other than torch's, does a network take its layers from?"""

from importlib import import_module
from pathlib import Path

from cnnsearch.export.calls import NN
from cnnsearch.network import Network


def modules(network: Network) -> list[str]:
    """Name them, in order."""
    found = {row.layer.torch_class.partition(":")[0] for row in network.layers if row.layer}
    return sorted(found - {NN})


def sources(network: Network) -> dict[str, Path]:
    """Give those that are one file each, by the name under which they are imported; the rest is installed packages."""
    files = {f"{name}.py": Path(import_module(name).__file__ or "") for name in modules(network)}
    return {name: file for name, file in files.items() if name == file.name}
