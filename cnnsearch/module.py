"""How does a network become an nn.Module?

Axes: N images, C channels, H height, W width, K classes.
"""

from collections import OrderedDict
from importlib import import_module

from torch import Tensor, nn

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
    torch's own and come from torch's global generator: call `torch.manual_seed` before.
    """
    blocks: list[nn.Module] = []
    shape = network.input.shape
    for block, after in zip(network.blocks, network.shapes, strict=True):
        blocks.append(_sequence(block.flow(shape), shape))
        shape = after
    head = _sequence(network.head.flow(network.classes), shape)
    return nn.Sequential(OrderedDict(blocks=nn.Sequential(*blocks), head=head))


def _sequence(flow: Flow, shape: Shape) -> nn.Sequential:
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for step in flow:
        modules[step.name], shape = _module(step, shape)
    return nn.Sequential(modules)


def _module(step: Step, shape: Shape) -> tuple[nn.Module, Shape]:
    if isinstance(step.what, Sum):
        branches: dict[str, nn.Module] = {name: _sequence(flow, shape) for name, flow in step.what.branches}
        return Branches(branches), _out(step.what, shape)
    return make_layer(step.what, shape), step.what.out(shape)


def make_layer(layer: Layer, shape: Shape) -> nn.Module:
    """Make the torch layer for an input of `shape`."""
    module, _, name = layer.torch_class.partition(":")
    return getattr(import_module(module), name)(**layer.arguments(shape))


def _out(total: Sum, shape: Shape) -> Shape:
    """Follow any one branch: all agree."""
    for step in total.branches[0][1]:
        shape = _out(step.what, shape) if isinstance(step.what, Sum) else step.what.out(shape)
    return shape
