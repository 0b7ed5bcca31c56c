"""What is one layer: its fields, what it makes of a map, and which torch class it stands for?

A layer knows its size law and its tensors in integers alone. It names its torch class as text, so that a word
never imports torch; `build` looks the name up. Field names, meanings and defaults are those of that class. All layers
stand here, one after the other, since they answer the same few questions: who adds one looks at its neighbours.
"""

from collections.abc import Hashable
from math import prod
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from cnnsearch.pairs import Padding, PairFrom0, PairFrom1
from cnnsearch.shapes import MisfitError, Pair, Shape, Window, slide
from cnnsearch.word import Word, misfit

MOST_CHANNELS = 4_096


class Layer(Word):
    """One step of the data's way. The defaults below are those of a layer that keeps a map's shape."""

    torch_class: ClassVar[str]
    """Where its torch class is found, as "module:Class"."""
    sees_all: ClassVar[bool] = False
    """Whether each of its outputs depends on the whole map."""
    is_view: ClassVar[bool] = False
    """Whether it hands on its very input in inference, so that it makes no map."""

    def out(self, shape: Shape) -> Shape:
        """Give the shape of its output; raise MisfitError where there is none."""
        return shape

    def arguments(self, shape: Shape) -> dict[str, Any]:
        """Give what its torch class is constructed with, for an input of `shape`."""
        _ = shape
        return {name: getattr(self, name) for name in type(self).model_fields}

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Give the shapes of its learned tensors, by torch's names."""
        _ = shape
        return {}

    def macs(self, shape: Shape) -> int:
        """Count its multiply-adds for one image; only convolutions and matrix products count, as in torch."""
        _ = shape
        return 0

    def window(self) -> Window:
        """Give the window through which each output looks at the input."""
        return Window()

    def in_place(self) -> bool:
        """Say whether it overwrites its input."""
        return False

    def computes(self, shape: Shape) -> Hashable:
        """Describe what it computes on an input of `shape`, not how that was written; None: nothing."""
        return (self.torch_class, tuple(sorted(self.arguments(shape).items())))


class Conv(Layer):
    """Slides learned kernels over a map (torch.nn.Conv2d)."""

    torch_class: ClassVar[str] = "torch.nn:Conv2d"

    out_channels: Annotated[int, Field(ge=1, le=MOST_CHANNELS)]
    """Maps it makes."""
    kernel_size: PairFrom1
    """Height and width of a kernel."""
    stride: PairFrom1 = (1, 1)
    """Pixels from one window to the next."""
    padding: Padding = (0, 0)
    """Pixels put around the map; "same" keeps its size, "valid" puts none."""
    dilation: PairFrom1 = (1, 1)
    """Pixels from one tap of a kernel to the next."""
    groups: Annotated[int, Field(ge=1, le=MOST_CHANNELS)] = 1
    """Into how many independent parts the channels are split."""
    bias: bool = True
    """Whether a learned number is added to each map."""
    padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros"
    """What the padding is made of."""

    @model_validator(mode="after")
    def _same_needs_stride_1(self) -> Self:
        if self.padding == "same" and self.stride != (1, 1):
            height, width = self.stride
            law = f"'same' keeps the map's size, so stride must be 1, not {height}x{width}"
            raise misfit("padding", f"{law}; pad odd kernels by dilation * (kernel_size - 1)/2, or leave stride at 1")
        return self

    def out(self, shape: Shape) -> Shape:
        """Follow the size law of torch.nn.Conv2d; groups must divide both channel counts."""
        for noun, channels in (("input's", shape.channels), ("output's", self.out_channels)):
            if channels % self.groups:
                law = f"{self.groups} groups do not divide the {noun} {channels} channels"
                raise MisfitError("groups", f"{law}; choose a divisor of both, or 1")
        self._check_padding_mode(shape)
        size = shape.size if self.padding == "same" else slide(self.window(), shape.size, "convolution")
        return Shape(self.out_channels, *size)

    def _check_padding_mode(self, shape: Shape) -> None:
        spare = {"reflect": 1, "circular": 0}.get(self.padding_mode)
        if spare is None:
            return
        for side, size in zip(self._most_padding(), shape.size, strict=True):
            if side > size - spare:
                law = f"{self.padding_mode!r} can pad a {shape.height}x{shape.width} map by {size - spare}, not {side}"
                raise MisfitError("padding_mode", f"{law}; pad less, or use 'zeros'")

    def _most_padding(self) -> Pair:
        if self.padding == "same":  # torch puts the odd pixel at the end
            height, width = (-(-(reach - 1) // 2) for reach in self.window().reach)
            return height, width
        return self.window().padding

    def arguments(self, shape: Shape) -> dict[str, Any]:
        """Add the channels of the input, which nobody writes."""
        return {"in_channels": shape.channels, **super().arguments(shape)}

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Give one kernel an output map, over the input maps of its group."""
        weight = (self.out_channels, shape.channels // self.groups, *self.kernel_size)
        return {"weight": weight, "bias": (self.out_channels,)} if self.bias else {"weight": weight}

    def macs(self, shape: Shape) -> int:
        """Count one kernel's taps for every number of the output; adding the bias counts as nothing, as in torch."""
        return self.out(shape).numbers * prod(self.tensors(shape)["weight"][1:])

    def window(self) -> Window:
        """Give its kernel as a window; "same" padding is not expressible and left to `out`."""
        padding = (0, 0) if isinstance(self.padding, str) else self.padding
        return Window(self.kernel_size, self.stride, padding, self.dilation)

    def computes(self, shape: Shape) -> Hashable:
        """Leave out what has no effect: dilation of a 1-wide kernel, stride of one window, mode without padding."""
        out = self.out(shape)
        reach = self.window().reach
        padding = tuple(r - 1 for r in reach) if self.padding == "same" else tuple(2 * p for p in self.window().padding)
        mode = self.padding_mode if any(padding) else "zeros"
        return (self.torch_class, out.channels, self.groups, self.bias, mode, padding, _sliding(self.window(), out))


def _sliding(window: Window, out: Shape) -> Hashable:
    """Describe a window by what it does: stride matters from the second position on, dilation from the second tap."""
    stride = tuple(s if n > 1 else 1 for s, n in zip(window.stride, out.size, strict=True))
    dilation = tuple(d if k > 1 else 1 for d, k in zip(window.dilation, window.kernel_size, strict=True))
    return (window.kernel_size, stride, dilation, out.size)


class BatchNorm(Layer):
    """Brings each map to mean 0 and spread 1, then scales and shifts it (torch.nn.BatchNorm2d)."""

    torch_class: ClassVar[str] = "torch.nn:BatchNorm2d"

    eps: Annotated[float, Field(gt=0, le=1)] = 1e-5
    """Added to the variance."""
    momentum: Annotated[float, Field(ge=0, le=1)] | None = 0.1
    """Weight of the newest batch in the running statistics; null: a plain mean over all batches."""
    affine: bool = True
    """Whether scale and shift are learned."""
    track_running_stats: bool = True
    """Whether running statistics are kept for inference."""

    def arguments(self, shape: Shape) -> dict[str, Any]:
        """Add the number of maps, which nobody writes."""
        return {"num_features": shape.channels, **super().arguments(shape)}

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Give a scale and a shift a map."""
        return {"weight": (shape.channels,), "bias": (shape.channels,)} if self.affine else {}

    def computes(self, shape: Shape) -> Hashable:
        """Leave out momentum where no statistics are kept."""
        used = self if self.track_running_stats else self.model_copy(update={"momentum": None})
        return super(BatchNorm, used).computes(shape)


class ReLU(Layer):
    """Replaces negative numbers by zero (torch.nn.ReLU)."""

    torch_class: ClassVar[str] = "torch.nn:ReLU"

    inplace: bool = False
    """Overwrite the input, which saves a map's memory."""

    def in_place(self) -> bool:
        """As the field says."""
        return self.inplace

    def computes(self, shape: Shape) -> Hashable:
        """Compute the same in place or not."""
        _ = shape
        return self.torch_class


class MaxPool(Layer):
    """Keeps the greatest value of each window (torch.nn.MaxPool2d)."""

    torch_class: ClassVar[str] = "torch.nn:MaxPool2d"

    kernel_size: PairFrom1
    """Height and width of a window."""
    stride: PairFrom1 | None = None
    """Pixels from one window to the next; null: the kernel's size, as in torch."""
    padding: PairFrom0 = (0, 0)
    """Pixels put around the map, at most half the kernel."""
    dilation: PairFrom1 = (1, 1)
    """Pixels from one tap of a window to the next."""
    ceil_mode: bool = False
    """Round the output's size up instead of down."""

    @model_validator(mode="after")
    def _padding_within_half(self) -> Self:
        for padding, kernel in zip(self.padding, self.kernel_size, strict=True):
            if padding > kernel // 2:
                law = f"padding {padding} is more than half of kernel_size {kernel}"
                raise misfit("padding", f"{law}; at most {kernel // 2} fits, or a larger kernel")
        return self

    def out(self, shape: Shape) -> Shape:
        """Follow the size law of torch.nn.MaxPool2d, but refuse windows that see nothing."""
        size = slide(self.window(), shape.size, "pool")
        self._check_sight(shape.size, size)
        return Shape(shape.channels, *size)

    def _check_sight(self, size: Pair, out: Pair) -> None:
        """Refuse a window whose taps step over the whole map: torch makes it -inf, and its gradient corrupts memory."""
        window = self.window()
        for axis in (0, 1):
            stride, padding, dilation = window.stride[axis], window.padding[axis], window.dilation[axis]
            begins = range(-padding, min(0, out[axis] * stride - padding), stride)  # later windows begin on a pixel
            if any(begin % dilation >= size[axis] for begin in begins):
                law = (
                    f"taps {dilation} apart from a padding of {padding} on step over all {size[axis]} pixels of the map"
                )
                raise MisfitError("dilation", f"{law}; leave dilation at 1, or pad less")

    def window(self) -> Window:
        """Give its window, with the stride it defaults to."""
        return Window(self.kernel_size, self.stride or self.kernel_size, self.padding, self.dilation, self.ceil_mode)

    def computes(self, shape: Shape) -> Hashable:
        """Compute nothing where the window is a single pixel; rounding shows in the output's size."""
        out = self.out(shape)
        if out == shape and self.kernel_size == (1, 1):
            return None
        return (self.torch_class, self.padding, _sliding(self.window(), out))


class GlobalPool(Layer):
    """Reduces each map to one number (torch.nn.AdaptiveAvgPool2d and AdaptiveMaxPool2d of output size 1)."""

    sees_all: ClassVar[bool] = True

    def out(self, shape: Shape) -> Shape:
        """Leave the channels."""
        return Shape(shape.channels, 1, 1)

    def arguments(self, shape: Shape) -> dict[str, Any]:
        """Ask torch for a 1x1 map."""
        _ = shape
        return {"output_size": 1}

    def computes(self, shape: Shape) -> Hashable:
        """Compute nothing on a single pixel."""
        return None if shape.size == (1, 1) else self.torch_class


class GlobalAveragePool(GlobalPool):
    """Takes the mean of each map."""

    torch_class: ClassVar[str] = "torch.nn:AdaptiveAvgPool2d"


class GlobalMaxPool(GlobalPool):
    """Takes the greatest value of each map."""

    torch_class: ClassVar[str] = "torch.nn:AdaptiveMaxPool2d"


class Flatten(Layer):
    """Lays all numbers out in a row (torch.nn.Flatten)."""

    torch_class: ClassVar[str] = "torch.nn:Flatten"
    is_view: ClassVar[bool] = True

    def out(self, shape: Shape) -> Shape:
        """Turn every number into a feature."""
        return Shape(shape.numbers, 1, 1)


class Dropout(Layer):
    """Sets random features to zero while training (torch.nn.Dropout)."""

    torch_class: ClassVar[str] = "torch.nn:Dropout"
    is_view: ClassVar[bool] = True

    p: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of features set to zero."""

    def computes(self, shape: Shape) -> Hashable:
        """Compute nothing at 0."""
        _ = shape
        return (self.torch_class, self.p) if self.p else None


class Linear(Layer):
    """Multiplies the features by a learned matrix (torch.nn.Linear)."""

    torch_class: ClassVar[str] = "torch.nn:Linear"
    sees_all: ClassVar[bool] = True

    out_features: Annotated[int, Field(ge=1, le=65_536)]
    """Features it makes."""

    def out(self, shape: Shape) -> Shape:
        """Make a flat vector."""
        _ = shape
        return Shape(self.out_features, 1, 1)

    def arguments(self, shape: Shape) -> dict[str, Any]:
        """Add the number of features that come in."""
        return {"in_features": shape.numbers, "out_features": self.out_features}

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Give a matrix and a bias."""
        return {"weight": (self.out_features, shape.numbers), "bias": (self.out_features,)}

    def macs(self, shape: Shape) -> int:
        """Count the matrix."""
        return self.out_features * shape.numbers
