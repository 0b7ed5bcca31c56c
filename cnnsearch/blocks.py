"""What can a block be?

A kind of block is a word with a `flow`: its layers, in the order of the data's way, for an input of a given shape.
Shapes, costs, errors, modules and searchability follow from the flow. `register` makes a kind known; the kinds below
are registered in the same way as one's own.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from cnnsearch.flow import Flow, Step, Sum
from cnnsearch.layers import BatchNorm, Conv, Layer, MaxPool, ReLU
from cnnsearch.shapes import Shape
from cnnsearch.word import Word, misfit

Optional = tuple[str, Layer | None]


class Block(Word, ABC):
    """A named group of layers; each kind has its own fields and its own flow."""

    needs_channels: ClassVar[bool] = True
    """Whether it may fit or not depending on channel counts even where no convolution has groups. False is a promise
    that lets the look ahead of a space skip channels; a kind of one's own need not promise anything."""

    @abstractmethod
    def flow(self, shape: Shape) -> Flow:
        """Give the layers for an input of `shape`."""

    @model_serializer(mode="wrap")
    def _keep_kind(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write `kind` even where defaults are left out: without it a block is read as a plain one."""
        kind = type(self).model_fields["kind"].default
        return write(self) if kind == "plain" else {"kind": kind, **write(self)}


KINDS: dict[str, type[Block]] = {}
Kind = TypeVar("Kind", bound=type[Block])


def register(kind: Kind) -> Kind:
    """Make a kind of block known by its field `kind`, a Literal with a default; usable as a decorator.

    Raises TypeError for what is no such class, ValueError for a name that another class has.
    """
    if not (isinstance(kind, type) and issubclass(kind, Block)):  # pyright: ignore[reportUnnecessaryIsInstance] (a user's)
        raise TypeError(f"{kind!r} is no kind of block: derive a class from cnnsearch.Block")
    name: object = kind.model_fields["kind"].default if "kind" in kind.model_fields else None
    if not isinstance(name, str):
        raise TypeError(f"{kind.__name__} needs a field `kind: Literal['name'] = 'name'` to be told apart by")
    if missing := sorted(kind.__abstractmethods__):
        raise TypeError(f"{kind.__name__} has no method {missing[0]}(self, shape), which gives its layers; write it")
    if name in KINDS and not _is_reimport(KINDS[name], kind):
        raise ValueError(f"kind {name!r} is {KINDS[name].__name__} already; choose another name")
    KINDS[name] = kind
    return kind


def _is_reimport(known: type[Block], kind: type[Block]) -> bool:
    """Say whether a class is another's own, imported again; what is built in is never replaced."""
    is_built_in = known.__module__ == __name__
    return known.__qualname__ == kind.__qualname__ and (not is_built_in or kind.__module__ == __name__)


def _steps(*layers: Optional) -> Flow:
    """Leave out what is null; a name's trailing number is not part of the field that describes it."""
    return tuple(Step(name, layer, name.rstrip("0123456789")) for name, layer in layers if layer is not None)


@register
class Plain(Block):
    """Conv, batch norm, ReLU, max pool, in that order."""

    needs_channels: ClassVar[bool] = False

    kind: Literal["plain"] = "plain"
    conv: Conv
    batchnorm: BatchNorm | None = BatchNorm()
    relu: ReLU | None = ReLU()
    maxpool: MaxPool | None = None

    def flow(self, shape: Shape) -> Flow:
        """One after the other."""
        _ = shape
        return _steps(
            ("conv", self.conv), ("batchnorm", self.batchnorm), ("relu", self.relu), ("maxpool", self.maxpool)
        )


@register
class Residual(Block):
    """Two convolutions and a shortcut around them (He et al. 2016, arXiv 1512.03385 and 1603.05027).

    `conv` describes the first; the second keeps its size: stride 1. Where the shape changes, the shortcut is a 1x1
    convolution with the same stride, else the map itself. With `preactivation`, batch norm and ReLU stand before
    each convolution and nothing after the sum but the pool.
    """

    needs_channels: ClassVar[bool] = False

    kind: Literal["residual"] = "residual"
    conv: Conv
    batchnorm: BatchNorm | None = BatchNorm()
    relu: ReLU | None = ReLU()
    maxpool: MaxPool | None = None
    preactivation: bool = False

    def flow(self, shape: Shape) -> Flow:
        """Add the body and the shortcut."""
        total = Sum((("body", self._body()), ("shortcut", self._shortcut(shape))))
        last = None if self.preactivation else self.relu
        return (Step("add", total, "conv.padding"), *_steps(("relu", last), ("maxpool", self.maxpool)))

    def _body(self) -> Flow:
        first, second = self.conv, self.conv.model_copy(update={"stride": (1, 1)})
        norm, relu = self.batchnorm, self.relu
        if self.preactivation:
            return _steps(
                ("batchnorm1", norm), ("relu1", relu), ("conv1", first),
                ("batchnorm2", norm), ("relu2", relu), ("conv2", second),
            )  # fmt: skip
        return _steps(("conv1", first), ("batchnorm1", norm), ("relu1", relu), ("conv2", second), ("batchnorm2", norm))

    def _shortcut(self, shape: Shape) -> Flow:
        if shape.channels == self.conv.out_channels and self.conv.stride == (1, 1):
            return ()
        fit = Conv(
            out_channels=self.conv.out_channels, kernel_size=(1, 1), stride=self.conv.stride, bias=self.conv.bias
        )
        return _steps(("conv", fit), ("batchnorm", None if self.preactivation else self.batchnorm))


@register
class Separable(Block):
    """A convolution in two: each map by itself, then across maps (Howard et al. 2017, arXiv 1704.04861).

    `conv` describes the depthwise part, but for `out_channels`, which the 1x1 part makes; batch norm and ReLU follow
    both. `groups` stays 1: the kind decides it.
    """

    needs_channels: ClassVar[bool] = False

    kind: Literal["separable"] = "separable"
    conv: Conv
    batchnorm: BatchNorm | None = BatchNorm()
    relu: ReLU | None = ReLU()
    maxpool: MaxPool | None = None

    @model_validator(mode="after")
    def _groups_are_decided(self) -> Self:
        if self.conv.groups != 1:
            raise misfit(
                "conv.groups", f"a separable block sets groups itself: leave it out, or 1, not {self.conv.groups}"
            )
        return self

    def flow(self, shape: Shape) -> Flow:
        """Depthwise, pointwise, pool."""
        every = {"out_channels": shape.channels, "groups": shape.channels}
        pointwise = Conv(out_channels=self.conv.out_channels, kernel_size=(1, 1), bias=self.conv.bias)
        norm, relu = self.batchnorm, self.relu
        return (
            Step("depthwise", self.conv.model_copy(update=every), "conv"),
            *_steps(("batchnorm1", norm), ("relu1", relu)),
            Step("pointwise", pointwise, "conv"),
            *_steps(("batchnorm2", norm), ("relu2", relu), ("maxpool", self.maxpool)),
        )
