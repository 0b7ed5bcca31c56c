"""What must a training step do at least, and how fast could this machine do that on one thread?"""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from machine import trains_in_bf16

from cnnsearch.flow import Row
from cnnsearch.network import Network

BATCH = 128
WEIGHT_BYTES = 4
COPIES = (256 * 2**10, 4 * 2**20, 16 * 2**20, 24 * 2**20, 512 * 2**20)  # bytes read and written: from L2 to memory
TOGETHER = "norm, ReLU, pool"
Part = tuple[str, str]
"""A kind of layer and the way through it."""


class Work(NamedTuple):
    """Of one layer, one way, one step."""

    part: Part
    flops: float
    bytes: float
    """Read and written; a map that is read twice counts twice."""
    held: float
    """What it touches; a map that is read twice counts once."""


def works(network: Network, map_bytes: int, *, together: bool) -> Iterator[Work]:
    """Give the least work of a step; beside convolutions and matrices arithmetic is counted by hand, a few a number.

    `together`: a norm, its ReLU and its pool are computed together.
    """
    pixels = BATCH * network.input.shape.numbers
    # a byte in, a float out; two numbers of the grid out and in; a float in, a float out
    yield work("images", "forward", 40 * pixels, (1 + 4 + 8 + 8 + 4 + 4) * pixels)
    rows = list(network.layers)
    is_first = True
    while rows:
        row = rows.pop(0)
        if together and row.kind == "BatchNorm":
            yield from together_works(row, followers(rows), map_bytes)
        else:
            yield from layer_works(row, map_bytes, is_first=is_first)
        is_first = False
    parameters = network.cost.parameters
    # four numbers in (weight, gradient, two moments), three out
    yield work("optimizer", "", 12 * parameters, 7 * WEIGHT_BYTES * parameters)


def work(kind: str, way: str, flops: float, moved: float, held: float | None = None) -> Work:
    """Make one that touches what it moves unless told otherwise."""
    return Work((kind, way), flops, moved, moved if held is None else held)


def followers(rows: list[Row]) -> list[Row]:
    """Take the ReLU and the pool that stand first out of the rows."""
    return [rows.pop(0) for kind in ("ReLU", "MaxPool") if rows and rows[0].kind == kind]


def together_works(norm: Row, behind: list[Row], map_bytes: int) -> Iterator[Work]:
    """Give the work both ways of a norm with what follows: the statistics need a pass of their own both ways."""
    before, after = (BATCH * shape.numbers for shape in (norm.shape_in, (behind or [norm])[-1].shape))
    yield work(TOGETHER, "forward", 7 * before, map_bytes * (2 * before + after), map_bytes * (before + after))
    moved = 5 * before if after == before else 2 * before + 4 * after  # the gradient's sums need the pooled map alone
    yield work(TOGETHER, "backward", 9 * before, map_bytes * moved, map_bytes * (2 * before + after))


def layer_works(row: Row, map_bytes: int, *, is_first: bool) -> Iterator[Work]:
    """Give a layer's work both ways; the images need no gradient."""
    before, after = BATCH * row.shape_in.numbers, BATCH * row.shape.numbers
    flops, weights = 2.0 * BATCH * row.macs, WEIGHT_BYTES * row.parameters
    both = map_bytes * (before + after)
    if row.kind in {"Conv", "Linear"}:
        kind = "convolution" if row.kind == "Conv" else "head, loss"
        yield work(kind, "forward", flops, both + weights)
        wanted = 1 if is_first else 2  # gradients
        yield work(kind, "backward", wanted * flops, map_bytes * (wanted * before + after) + wanted * weights)
    elif row.kind == "BatchNorm":  # reads its maps for the statistics, then again
        yield work("batch norm", "forward", 5 * before, 3 * map_bytes * before, both)
        yield work("batch norm", "backward", 9 * before, 5 * map_bytes * before, 3 * map_bytes * before)
    elif row.kind == "ReLU":
        yield work("ReLU", "forward", before, both)
        yield work("ReLU", "backward", before, 3 * map_bytes * before)
    elif row.kind != "Flatten":
        kind = "max pool" if row.kind == "MaxPool" else "head, loss"
        yield work(kind, "forward", before, both)
        yield work(kind, "backward", after, both)


# What the machine can do


class Peak(NamedTuple):
    """The most that one thread reached."""

    flops: float
    bandwidths: dict[int, float]
    """By bytes moved."""

    def seconds(self, work: Work) -> float:
        """Give the roofline bound (Williams, Waterman and Patterson 2009, doi 10.1145/1498765.1498785)."""
        moved = next((size for size in COPIES if size >= work.held), COPIES[-1])
        return max(work.flops / self.flops, work.bytes / self.bandwidths[moved])


def fastest(act: Callable[[], object], seconds: float) -> float:
    """Give the least seconds of an act, repeated for so long."""
    act()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 3:  # noqa: PLR2004 (one may be disturbed)
        began = time.perf_counter()
        act()
        times.append(time.perf_counter() - began)
    return min(times)


def product(size: int, kind: torch.dtype) -> Callable[[], object]:
    """Make a matrix product of 2 * size**3 operations."""
    some, other, result = (torch.randn(size, size).to(kind) for _ in range(3))
    return lambda: torch.mm(some, other, out=result)


def copy(moved: int) -> Callable[[], object]:
    """Make a copy that reads half of these bytes and writes the other half."""
    source, target = (torch.zeros(moved // 8) for _ in range(2))
    return lambda: target.copy_(source)


def measure_peak(seconds: float) -> Peak:
    """Measure and print what one thread reaches, and choose the product of the kind that training uses."""
    flops: dict[torch.dtype, float] = {}
    for kind in (torch.float32, torch.bfloat16) if trains_in_bf16() else (torch.float32,):
        flops[kind] = max(2 * size**3 / fastest(product(size, kind), seconds) for size in (256, 384, 512, 768, 1024))
        print(f"- matrix product, {str(kind).removeprefix('torch.')}: {flops[kind] / 1e9:.0f} GFLOP/s")
    bandwidths = {moved: moved / fastest(copy(moved), seconds) for moved in COPIES}
    told = ", ".join(f"{moved / 2**20:g} MiB {speed / 1e9:.0f}" for moved, speed in bandwidths.items())
    print(f"- copy, GB/s read and written by bytes moved: {told}")
    return Peak(max(flops.values()), bandwidths)
