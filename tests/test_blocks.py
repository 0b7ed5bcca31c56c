"""The laws of every registered kind, the errors of blocks, and the registry."""

from collections.abc import Callable
from typing import Literal

import pytest
from cnnsearch.blocks import KINDS, Block, Plain, Residual, Separable, register
from cnnsearch.errors import InvalidSpecError
from cnnsearch.flow import Flow, Step, Sum
from cnnsearch.layers import Conv, Dropout, ReLU
from cnnsearch.network import Network
from cnnsearch.shapes import Shape
from cnnsearch.testing import LAWS, blocks, check_kind, networks, promise_or_refusal_is_torchs, shapes
from hypothesis import given
from amount import examples

EVERY_KIND = pytest.mark.parametrize("kind", list(KINDS.values()), ids=list(KINDS))


def network_of(*given_blocks: object, size: int = 8, channels: int = 3) -> Network:
    image = {"channels": channels, "height": size, "width": size}
    return Network.model_validate({"input": image, "blocks": list(given_blocks), "classes": 10})


@EVERY_KIND
@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_every_kind_keeps_every_law(kind: type[Block], law: Callable[[Network], None]) -> None:
    examples(40)(given(networks(kind))(law))()


@EVERY_KIND
def test_every_kind_promises_torchs_shape_or_refuses_with_it(kind: type[Block]) -> None:
    examples(150)(given(blocks(kind), shapes)(promise_or_refusal_is_torchs))()


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_kinds_in_one_network_keep_every_law(law: Callable[[Network], None]) -> None:
    examples(40)(given(networks(*KINDS.values()))(law))()
