"""The size law against torch's own layers, for any fields over any input."""

import pytest
import torch
from amount import examples
from hypothesis import assume, example, given
from hypothesis import strategies as st
from strategies import layers

from cnnsearch.layers import Conv, Layer, MaxPool
from cnnsearch.module import make_layer
from cnnsearch.shapes import MisfitError, Shape, Window, slide

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # torch's advice on speed

maps = st.builds(Shape, st.integers(1, 12), st.integers(1, 40), st.integers(1, 40))


def promised(layer: Layer, shape: Shape) -> tuple[int, ...] | None:
    try:
        return layer.out(shape)
    except MisfitError:
        return None


def real(layer: Layer, shape: Shape) -> tuple[int, ...] | None:
    try:
        with torch.device("meta"):
            return tuple(make_layer(layer, shape)(torch.empty(1, *shape)).shape[1:])
    except (RuntimeError, ValueError):
        return None


@examples(500)
@given(layers(Conv, most=9), maps)
@example(Conv(out_channels=4, kernel_size=(1, 5), stride=(3, 1), padding=(0, 2), dilation=(7, 2)), Shape(2, 1, 40))
@example(Conv(out_channels=4, kernel_size=(4, 2), padding="same", dilation=(3, 1), groups=2), Shape(2, 1, 1))
@example(Conv(out_channels=4, kernel_size=(3, 3), padding=(2, 2), padding_mode="reflect"), Shape(2, 2, 3))
@example(Conv(out_channels=4, kernel_size=(3, 3), padding=(3, 2), padding_mode="circular"), Shape(2, 3, 2))
@example(Conv(out_channels=3, kernel_size=(1, 1), groups=2), Shape(2, 3, 3))
def test_a_convolution_promises_torchs_shape_or_refuses_with_it(conv: Conv, shape: Shape) -> None:
    assert promised(conv, shape) == real(conv, shape)


def sees_something(pool: MaxPool, shape: Shape) -> bool:
    """Look, for each window on each axis, whether a tap falls on a pixel."""
    window = pool.window()
    axes = zip(*window[:4], shape.size, window.out(shape.size), strict=True)
    return all(
        any(0 <= number * stride - padding + tap * dilation < size for tap in range(kernel))
        for kernel, stride, padding, dilation, size, out in axes
        for number in range(out)
    )


@examples(500)
@given(layers(MaxPool, most=9), maps)
@example(MaxPool(kernel_size=(6, 6), padding=(3, 3), dilation=(2, 2), ceil_mode=True), Shape(5, 1, 1))
@example(MaxPool(kernel_size=(2, 2), stride=(3, 3), ceil_mode=True), Shape(1, 4, 7))
@example(MaxPool(kernel_size=(3, 2), stride=(2, 9), padding=(1, 1), dilation=(2, 1), ceil_mode=True), Shape(1, 5, 1))
def test_a_pool_promises_torchs_shape_or_refuses_with_it(pool: MaxPool, shape: Shape) -> None:
    assert promised(pool, shape) == (real(pool, shape) if sees_something(pool, shape) else None)


@examples(500)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 4), st.integers(1, 4), st.booleans(), st.integers(1, 40))
def test_a_pool_on_one_axis_agrees_with_torch(k: int, s: int, p: int, d: int, ceil: bool, size: int) -> None:  # noqa: FBT001
    padding = min(p, k // 2)
    pool = MaxPool(kernel_size=(k, 1), stride=(s, 1), padding=(padding, 0), dilation=(d, 1), ceil_mode=ceil)
    shape = Shape(1, size, 1)
    assert promised(pool, shape) == (real(pool, shape) if sees_something(pool, shape) else None)


@examples(100)
@given(layers(MaxPool, most=9), st.builds(Shape, st.just(1), st.integers(1, 6), st.integers(1, 6)))
def test_every_number_that_a_pool_makes_is_one_of_the_map(pool: MaxPool, shape: Shape) -> None:
    assume(promised(pool, shape))
    assert torch.isfinite(make_layer(pool, shape)(torch.ones(1, *shape))).all()


def test_the_default_window_leaves_every_map_as_it_is() -> None:
    assert Window().out((5, 7)) == (5, 7)
    assert Window().reach == (1, 1)


def test_rounding_up_drops_a_window_that_would_start_in_the_padding() -> None:
    assert Window((2, 2), (2, 2), (1, 1), ceil_mode=True).out((3, 4)) == (2, 3)


def test_a_map_says_its_size() -> None:
    assert (str(Shape(3, 4, 5)), Shape(3, 4, 5).numbers, Shape(3, 4, 5).size) == ("3x4x5", 60, (4, 5))


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (
            Window((4, 4), (4, 4)),
            (
                "kernel_size: window 4 is wider than its 2x2 input (floor((2 + 2*0 - 1*(4-1) - 1)/4) + 1 = 0);"
                " drop this pool or pool less before it"
            ),
        ),
        (
            Window((1, 3), (1, 2), (0, 1), (1, 3), ceil_mode=True),
            (
                "kernel_size: window 7 (3 dilated by 3) is wider than its 2x2 input padded by 0x1"
                " (ceil((2 + 2*1 - 3*(3-1) - 1)/2) + 1 = 0); drop this pool or pool less before it"
            ),
        ),
    ],
)
def test_a_window_wider_than_its_input_is_refused_with_the_law(window: Window, message: str) -> None:
    with pytest.raises(MisfitError) as caught:
        slide(window, (2, 2), "pool")
    assert str(caught.value) == message
