"""What does it cost? Sums over the rows of a walked flow, from integers alone."""

from collections.abc import Iterable
from math import prod
from typing import NamedTuple

from cnnsearch.flow import BYTES, Row


class Cost(NamedTuple):
    """What a network costs on one image."""

    parameters: int
    """Learned numbers, as torch counts them."""
    macs: int
    """Multiply-adds of convolutions and matrix products: half of what torch.utils.flop_counter counts."""
    weight_bytes: int
    """The learned numbers in fp32, 4 bytes each; a batch norm's running statistics are no learned numbers."""
    weight_bytes_int8: int
    """1 byte for each number of a kernel or matrix, 4 for those of biases and batch norms, as int8 runtimes do."""
    activation_bytes: int
    """The most fp32 bytes of maps alive at once, one image, layer after layer: a layer's input and output, and every
    map that another branch still needs. A map is freed after its last use; a layer in place, flatten and dropout make
    none."""


def total(rows: Iterable[Row]) -> Cost:
    """Add up the rows; maps alive at once are not added, their greatest sum counts."""
    rows = tuple(rows)
    tensors = [tensor for row in rows for tensor in row.tensors]
    parameters = sum(prod(tensor) for tensor in tensors)
    return Cost(
        parameters=parameters,
        macs=sum(row.macs for row in rows),
        weight_bytes=parameters * BYTES,
        weight_bytes_int8=sum(prod(tensor) * (1 if len(tensor) > 1 else BYTES) for tensor in tensors),
        activation_bytes=max((row.live_bytes for row in rows), default=0),
    )
