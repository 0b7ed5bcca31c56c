"""How does a network become an nn.Module?

Axes: N images, C channels, H height, W width, K classes.
"""

from collections import OrderedDict
from functools import partial
from importlib import import_module

import torch
from torch import Tensor, nn

from cnnsearch.errors import Fault, InvalidSpecError, refuse_unlike
from cnnsearch.flow import Flow, Step, Sum
from cnnsearch.layers import Layer
from cnnsearch.network import Network
from cnnsearch.shapes import Shape


class Branches(nn.Module):
    """Adds up what its branches make of one map."""

    def __init__(self, branches: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, branch in branches.items():
            self.add_module(name, branch)

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        """Sum over the branches; they agree on the shape, which the network has checked."""
        first, *others = self.children()
        sum_NCHW = first(maps_NCHW)
        for branch in others:
            sum_NCHW = sum_NCHW + branch(maps_NCHW)
        return sum_NCHW


def build(network: Network) -> nn.Module:
    """Make the module: float images (N, C, H, W) in, logits (N, K) out.

    Its state_dict reads like the network: `blocks.0.conv.weight`, in the order of the data's way. Initial weights are
    torch's own and come from torch's global generator: call `torch.manual_seed` before. Raises TypeError for what is no
    Network, and InvalidSpecError, with the place, for a layer of one's own that cannot be made, or whose module does
    not keep what the layer promises: another one like it is tried on zeros, where it is made (on the CPU, in a study).
    """
    refuse_unlike(network, Network, "cnnsearch.Network.model_validate({...}) or model_validate_json(text) makes one")
    blocks: list[nn.Module] = []
    shape = network.input.shape
    for number, (block, after) in enumerate(zip(network.blocks, network.shapes, strict=True)):
        blocks.append(_sequence(block.flow(shape), shape, f"blocks[{number}]"))
        shape = after
    head = _sequence(network.head.flow(network.classes), shape, "head")
    return nn.Sequential(OrderedDict(blocks=nn.Sequential(*blocks), head=head))


def _sequence(flow: Flow, shape: Shape, place: str) -> nn.Sequential:
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for step in flow:
        modules[step.name], shape = _module(step, shape, f"{place}.{step.name}")
    return nn.Sequential(modules)


def _module(step: Step, shape: Shape, place: str) -> tuple[nn.Module, Shape]:
    if isinstance(step.what, Sum):
        branches: dict[str, nn.Module] = {
            name: _sequence(flow, shape, f"{place}.{name}") for name, flow in step.what.branches
        }
        return Branches(branches), _out(step.what, shape)
    make = make_layer if type(step.what).__module__ == Layer.__module__ else partial(_make_own_layer, place)
    return make(step.what, shape), step.what.out(shape)


def make_layer(layer: Layer, shape: Shape) -> nn.Module:
    """Make the torch layer for an input of `shape`."""
    module, _, name = layer.torch_class.partition(":")
    return getattr(import_module(module), name)(**layer.arguments(shape))


def _make_own_layer(place: str, layer: Layer, shape: Shape) -> nn.Module:
    """Make a layer of one's own, and hold its module to what the layer promises: costs would not be exact otherwise."""
    try:
        module = make_layer(layer, shape)
        seen = _seen(layer, shape)
    except Exception as error:
        law = f"its module {layer.torch_class} cannot be made or run for a {shape} map"
        raise InvalidSpecError((Fault(place, f"{law} ({type(error).__name__}: {error})"),)) from error
    promised, learned = layer.tensors(shape), {name: tuple(p.shape) for name, p in module.named_parameters()}
    if learned != promised:
        law = f"its module {layer.torch_class} learns {learned}, and its `tensors` promises {promised}"
        raise InvalidSpecError((Fault(place, f"{law}; make them agree"),))
    if seen != layer.out(shape):
        law = f"its module {layer.torch_class} makes {seen} of {shape}, and its `out` promises {layer.out(shape)}"
        raise InvalidSpecError((Fault(place, f"{law}; make them agree"),))
    return module


def _seen(layer: Layer, shape: Shape) -> Shape:
    """Give the shape that a module of this layer makes; a trial run changes no module that is used, and no dice."""
    with torch.no_grad(), torch.random.fork_rng(devices=()):  # pyright: ignore[reportUnknownMemberType]
        _, *axes = make_layer(layer, shape).eval()(torch.zeros(2, *shape)).shape
    if len(axes) not in {1, 3}:
        raise ValueError(
            f"a map has the axes N, C, H and W, logits N and K, and what it gives has {1 + len(axes)} axes"
        )
    return Shape(*axes, *[1] * (3 - len(axes)))


def _out(total: Sum, shape: Shape) -> Shape:
    """Follow any one branch: all agree."""
    for step in total.branches[0][1]:
        shape = _out(step.what, shape) if isinstance(step.what, Sum) else step.what.out(shape)
    return shape
