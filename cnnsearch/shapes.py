"""How big is the output?

The size law of torch.nn.Conv2d and torch.nn.MaxPool2d (their documentation, section "Shape"), in integers.
"""

from typing import NamedTuple

Pair = tuple[int, int]  # (height, width), always


class Shape(NamedTuple):
    """The size of one image's map; a flat vector of n features is (n, 1, 1)."""

    channels: int
    height: int
    width: int

    @property
    def size(self) -> Pair:
        """Height and width."""
        return self.height, self.width

    @property
    def numbers(self) -> int:
        """How many numbers the map holds."""
        return self.channels * self.height * self.width

    def __str__(self) -> str:
        return f"{self.channels}x{self.height}x{self.width}"


class MisfitError(Exception):
    """A layer and its input do not fit: which field breaks which law, and what to do."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        self.message = message
        super().__init__(f"{field}: {message}")


class Window(NamedTuple):
    """A window that slides over a map; the defaults leave a map as it is."""

    kernel_size: Pair = (1, 1)
    stride: Pair = (1, 1)
    padding: Pair = (0, 0)
    dilation: Pair = (1, 1)
    ceil_mode: bool = False

    @property
    def reach(self) -> Pair:
        """How many pixels one window spans, dilation included."""
        return _reach(self, 0), _reach(self, 1)

    def out(self, size: Pair) -> Pair:
        """Height and width after sliding over a map of `size`; 0 or less where no window fits."""
        return _positions(self, size, 0), _positions(self, size, 1)

    def law(self, size: Pair, axis: int) -> str:
        """Write out the formula with its numbers for one axis (0 height, 1 width)."""
        rounding = "ceil" if self.ceil_mode else "floor"
        return (
            f"{rounding}(({size[axis]} + 2*{self.padding[axis]} - {self.dilation[axis]}*({self.kernel_size[axis]}-1)"
            f" - 1)/{self.stride[axis]}) + 1 = {_by_formula(self, size, axis)}"
        )


def _reach(window: Window, axis: int) -> int:
    return window.dilation[axis] * (window.kernel_size[axis] - 1) + 1


def _by_formula(window: Window, size: Pair, axis: int) -> int:
    room = size[axis] + 2 * window.padding[axis] - _reach(window, axis)
    stride = window.stride[axis]
    return (-(-room // stride) if window.ceil_mode else room // stride) + 1


def _positions(window: Window, size: Pair, axis: int) -> int:
    out = _by_formula(window, size, axis)
    # Rounded up, the last window may run over the edge, but must start inside the input or its left padding.
    starts_outside = (out - 1) * window.stride[axis] >= size[axis] + window.padding[axis]
    return out - 1 if window.ceil_mode and starts_outside else out


def slide(window: Window, size: Pair, noun: str) -> Pair:
    """Give the size after `window`; raise MisfitError where a window is wider than its input."""
    out = window.out(size)
    for axis in (0, 1):
        if out[axis] < 1:
            raise MisfitError("kernel_size", _too_wide(window, size, axis, noun))
    return out


def _too_wide(window: Window, size: Pair, axis: int, noun: str) -> str:
    dilated = "" if window.dilation[axis] == 1 else f" ({window.kernel_size[axis]} dilated by {window.dilation[axis]})"
    padded = "" if window.padding == (0, 0) else f" padded by {window.padding[0]}x{window.padding[1]}"
    way_out = "drop this pool" if noun == "pool" else "make its kernel smaller"
    return (
        f"window {window.reach[axis]}{dilated} is wider than its {size[0]}x{size[1]} input{padded}"
        f" ({window.law(size, axis)}); {way_out} or pool less before it"
    )
