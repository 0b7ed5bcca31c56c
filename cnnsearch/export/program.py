"""How is a network written as a program in plain torch? `model.py`, to be read, and pasted into a project.

Its layers have the names they have in the weights' file. A module of one's own that a layer comes from is copied
beside it where it is a single file.
"""

import shutil
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import indent
from typing import cast

from torch import Tensor, nn

from cnnsearch.errors import ExportError
from cnnsearch.export import own
from cnnsearch.export.bench import Bench
from cnnsearch.export.calls import chain, literal, tuple_of
from cnnsearch.flow import Sum
from cnnsearch.network import Network
from cnnsearch.places import WEIGHTS
from cnnsearch.shapes import Shape
from cnnsearch.weights import Classifier

PROGRAM = "model.py"

_PAGE = '''\
"""A convolutional network: {network}.

{parameters:,} parameters and {macs:,} multiply-adds an image. Needs torch, safetensors and {beside} beside it:

    from model import CLASSES, load

    model = load()
    logits = model(pixels)  # float pixels from 0 to 1, of shape (images, {image})
    names = [CLASSES[number] for number in logits.argmax(dim=1)]
"""

from collections import OrderedDict
from pathlib import Path

{imports}import torch
from safetensors.torch import load_file
from torch import Tensor, nn

CLASSES = {labels}
# Of each channel's pixels, from 0 to 1, over the training images:
MEAN = {mean}
STD = {std}


def chain(**layers: nn.Module) -> nn.Sequential:
    """One layer after the other, under their names in the weights' file."""
    return nn.Sequential(OrderedDict(layers))

{sums}
class Model(nn.Module):
    """Pixels of shape (N, {image}) in, a logit for each class out: (N, {classes})."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(STD).view(-1, 1, 1), persistent=False)
        self.blocks = nn.Sequential(
{blocks}
        )
        self.head = {head}

    def forward(self, pixels: Tensor) -> Tensor:
        if not isinstance(pixels, Tensor) or pixels.dtype != self.mean.dtype or pixels.shape[1:] != ({image}):
            given = f"{{pixels.dtype}} of shape {{tuple(pixels.shape)}}" if isinstance(pixels, Tensor) else type(pixels)
            law = f"the pixels must be a {{self.mean.dtype}} tensor of shape (images, {image}), from 0 to 1"
            raise ValueError(f"{{law}}, not {{given}}")
        return self.head(self.blocks((pixels - self.mean) / self.std))


def load(weights: Path = Path(__file__).with_name("weights.safetensors")) -> Model:
    """The trained network, ready to be used."""
    model = Model()
    model.load_state_dict(load_file(weights))
    return model.eval()
'''

_SUM = '''
class Sum(nn.Module):
    """Adds up what its branches make of the same map."""

    def __init__(self, /, **branches: nn.Module) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, maps: Tensor) -> Tensor:
        first, *others = self.children()
        total = first(maps)
        for branch in others:
            total = total + branch(maps)
        return total

'''


def write_program(bench: Bench) -> None:
    """Write `model.py` for a trained network, and the modules of one's own that it needs.

    Raises ExportError where one of these has the program's own name.
    """
    sources = own.sources(bench.classifier.network)
    if PROGRAM in sources:
        raise ExportError(f"would take the place of {sources[PROGRAM]}, which it imports; rename that module")
    (bench.folder / PROGRAM).write_text(text_of(bench.classifier), encoding="utf-8")
    for name, file in sources.items():
        shutil.copyfile(file, bench.folder / name)


def load_program(path: Path) -> nn.Module:
    """Run a `model.py` and give the trained module that it makes of the weights beside it."""
    spec = spec_from_file_location("model", path)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("nn.Module", module.load())


def text_of(classifier: Classifier) -> str:
    """Write the text of `model.py`."""
    network = classifier.network
    blocks, last = _blocks(network)
    head, _ = chain(network.head.flow(network.classes), last)
    return _PAGE.format(
        network=network,
        parameters=network.cost.parameters,
        macs=network.cost.macs,
        beside=" and ".join([WEIGHTS, *own.sources(network)]),
        image=", ".join(str(axis) for axis in network.input.shape),
        imports="".join(f"import {name}\n" for name in own.modules(network)),
        labels=tuple_of([literal(name) for name in classifier.classes]),
        mean=_numbers(classifier.mean_C11),
        std=_numbers(classifier.std_C11),
        sums=_SUM if any(row.kind == Sum.__name__ for row in network.layers) else "",
        classes=network.classes,
        blocks=indent(blocks, " " * 12),
        head=indent(head, " " * 8).lstrip(),
    )


def _blocks(network: Network) -> tuple[str, Shape]:
    lines: list[str] = []
    shape = network.input.shape
    for block, after in zip(network.blocks, network.shapes, strict=True):
        text, _ = chain(block.flow(shape), shape)
        lines.append(f"# {shape} to {after}\n{text},")
        shape = after
    return "\n".join(lines), shape


def _numbers(values_C11: Tensor) -> str:
    return tuple_of([repr(value.item()) for value in values_C11.flatten()])
