"""The laws of every registered kind, and whether the kit that states them notices a broken one."""

from collections.abc import Callable
from typing import Annotated, ClassVar, Literal

import pytest
from amount import examples
from hypothesis import given
from pydantic import BeforeValidator, Field

from cnnsearch.blocks import KINDS, Block
from cnnsearch.flow import Flow, Step
from cnnsearch.layers import Conv, Layer, MaxPool, ReLU
from cnnsearch.network import Network
from cnnsearch.shapes import Shape
from cnnsearch.strategies import blocks, networks, shapes
from cnnsearch.testing import LAWS, check_kind, promise_or_refusal_is_torchs
from cnnsearch.word import as_tuple

EVERY_KIND = pytest.mark.parametrize("kind", list(KINDS.values()), ids=list(KINDS))


@EVERY_KIND
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_kind_keeps_every_law(kind: type[Block], law: Callable[[Network], None]) -> None:
    examples(30)(given(networks(kind))(law))()


@EVERY_KIND
def test_every_kind_promises_torchs_shape_or_refuses_with_it(kind: type[Block]) -> None:
    examples(150)(given(blocks(kind), shapes)(promise_or_refusal_is_torchs))()


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_kinds_in_one_network_keep_every_law(law: Callable[[Network], None]) -> None:
    examples(25)(given(networks(*KINDS.values()))(law))()


# The kit itself


class Halves(Block):
    """A kind of one's own: a pool, then a convolution."""

    kind: Literal["halves"] = "halves"
    pool: MaxPool = MaxPool(kernel_size=(2, 2))
    conv: Conv

    def flow(self, shape: Shape) -> Flow:
        _ = shape
        return (Step("pool", self.pool), Step("conv", self.conv))


class Flattering(MaxPool):
    """Promises to keep every map's size."""

    def out(self, shape: Shape) -> Shape:
        return shape


class Forgetful(Conv):
    """Says nothing of its bias."""

    def tensors(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        return {"weight": super().tensors(shape)["weight"]}


class Lazy(Conv):
    """Says that it multiplies nothing."""

    def macs(self, shape: Shape) -> int:
        _ = shape
        return 0


class OfLayer(Block):
    """A kind of a single layer."""

    kind: Literal["of layer"] = "of layer"
    layer: ClassVar[Layer]

    def flow(self, shape: Shape) -> Flow:
        _ = shape
        return (Step("layer", self.layer),)


class Odd(Halves):
    """Has fields of the rarer types."""

    kind: Literal["odd"] = "odd"  # type: ignore[assignment]
    pair: Annotated[tuple[int, bool], BeforeValidator(as_tuple)] = (1, True)
    counts: dict[str, int] = {}  # noqa: RUF012 (of a frozen word)
    above: Annotated[float, Field(gt=6.5)] = 7.0


def test_the_kit_makes_fields_of_rarer_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "odd", Odd)
    check_kind(Odd, examples=5)


def test_the_kit_passes_a_kind_that_keeps_the_laws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "halves", Halves)
    check_kind(Halves, examples=5)


@pytest.mark.parametrize(
    "broken",
    [
        Flattering(kernel_size=(1, 1), stride=(2, 2)),
        Forgetful(out_channels=1, kernel_size=(1, 1)),
        Lazy(out_channels=1, kernel_size=(1, 1)),
        ReLU(inplace=True),  # as the first layer of all it overwrites the caller's images
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_the_kit_fails_a_kind_that_breaks_a_law(broken: Layer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "of layer", OfLayer)
    monkeypatch.setattr(OfLayer, "layer", broken, raising=False)
    with pytest.raises(AssertionError):
        check_kind(OfLayer, examples=5)


def test_the_kit_takes_registered_kinds_only() -> None:
    with pytest.raises(AssertionError) as caught:
        check_kind(Halves)
    assert str(caught.value) == f"{Halves!r} is no registered kind of block; decorate its class by cnnsearch.register"


class OfLazy(OfLayer):
    """A kind of a layer that says that it multiplies nothing."""

    kind: Literal["of lazy"] = "of lazy"  # type: ignore[assignment]
    layer: ClassVar[Layer] = Lazy(out_channels=1, kernel_size=(1, 1))


def test_the_kit_tells_what_was_promised_and_what_torch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "of lazy", OfLazy)
    with pytest.raises(AssertionError, match=r"torch counts \d+ multiply-adds, and `macs` promises \d+; only"):
        check_kind(OfLazy, examples=5)
