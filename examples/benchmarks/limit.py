"""How near is a training step to what the machine can do? Real steps of `cnnsearch.train`, on one thread.

For each kind of layer and each way (forward, backward): its arithmetic and its bytes, its time by torch's profiler, and
the least time that the same run's fastest matrix product and fastest copies would take for it (the roofline bound).
Bytes are those of the maps that a layer must read and write, weights included, each layer by itself but for those that
are computed together. Bandwidth is that of a copy which touches about as many bytes as the layer.
Time of no known operation, the program's own included, stands in the rest, so that the columns add up to the step.

    python examples/benchmarks/limit.py            # about three minutes
    python examples/benchmarks/limit.py --quick    # about a minute
"""

import argparse
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from statistics import median
from typing import NamedTuple

import torch
from machine import machine, trains_in_bf16
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from cnnsearch.data import DataSet, load
from cnnsearch.datasets import data_root
from cnnsearch.flow import Row
from cnnsearch.module import build
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe
from cnnsearch.train import train

BATCH = 128
WEIGHT_BYTES = 4
COPIES = (256 * 2**10, 4 * 2**20, 16 * 2**20, 24 * 2**20, 512 * 2**20)  # bytes read and written: from L2 to memory
TOGETHER = "norm, ReLU, pool"
OPS = 12  # rows of the profiler's table
# (channels, kernel size, whether a pool follows), and the head's pool
NETWORKS = (
    ([(16, 3, True), (32, 3, False), (64, 3, True), (96, 3, False)], "average"),
    ([(16, 5, True), (24, 3, False), (32, 3, True), (64, 3, False)], "max"),
    ([(8, 3, False), (12, 3, True), (16, 3, True), (12, 3, False)], "max"),
)
Part = tuple[str, str]
"""A kind of layer and the way through it."""

# What must be done


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


# What was done

KNOWN = (
    (TOGETHER, r"(^|: )_Function(Backward)?$"),  # of cnnsearch/fused.py
    ("convolution", r"aten::(mkldnn_|_)?conv(2d|olution)|aten::convolution_backward|: \w*Convolution\w*Backward\d"),
    ("batch norm", r"aten::(_|native_)?batch_norm|: \w*BatchNorm\w*Backward\d"),
    ("ReLU", r"aten::(relu|clamp_min|threshold)|: (Relu|ClampMin|Threshold)\w*Backward\d"),
    ("max pool", r"aten::max_pool2d|: MaxPool2D\w*Backward\d"),
    ("images", r"aten::(affine_grid|grid_sampler)"),
    ("head, loss", r"aten::(adaptive_|linear|flatten|cross_entropy|nll_loss|_?log_softmax)"),
    ("convolution", r": ToCopyBackward\d"),  # where training is in bf16: of weights and maps
    ("optimizer", r"Optimizer\.|AccumulateGrad"),
    ("head, loss", r"^autograd::engine::evaluate_function: \w+Backward\d"),  # of plain arithmetic: only the loss has it
)
IMAGES = re.compile(
    r"aten::(index|to|float|div|r?sub|rand|mul|add|cos|sin|neg|reciprocal|stack|select|slice|view|unbind)$"
)
"""Plain arithmetic on the way forward, outside of every layer: taking, normalising and moving the images."""


def kind_of(event: FunctionEvent) -> str | None:
    """Name the kind of layer that an operation belongs to; None where its name does not tell."""
    for kind, pattern in KNOWN:
        if re.search(pattern, event.name):
            return kind
    return "images" if event.cpu_parent is None and IMAGES.match(event.name) else None


def spent(event: FunctionEvent, way: str = "forward") -> Iterator[tuple[Part, float]]:
    """Give the microseconds of an operation by part: of the outermost known one, all that it calls included."""
    if "autograd::engine" in event.name or "backward" in event.name:
        way = "backward"
    kind = kind_of(event)
    if kind is not None:
        yield (kind, "" if kind == "optimizer" else way), event.cpu_time_total
        return
    for called in event.cpu_children:  # an operation of one's own may hold those of several layers
        yield from spent(called, way)


class Profile(NamedTuple):
    """Of one epoch, a step."""

    seconds: float
    parts: dict[Part, float]
    ops: list[tuple[str, float, float]]
    """Name, calls, own seconds; the slowest first."""


def profile_epoch(network: Network, data: DataSet) -> Profile:
    """Profile a training; the ones timed before have made all that is made once."""
    steps = len(data.train.labels_N) // BATCH
    module = build(network)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        (epoch,) = train(module, data, Recipe(epochs=1), 0)
    parts: dict[Part, float] = defaultdict(float)
    for event in profiler.events() or ():
        if event.cpu_parent is None:
            for part, microseconds in spent(event):
                parts[part] += microseconds / 1e6 / steps
    averages = sorted(profiler.key_averages(), key=lambda op: -op.self_cpu_time_total)[:OPS]
    ops = [(op.key, op.count / steps, op.self_cpu_time_total / 1e6 / steps) for op in averages]
    return Profile(epoch.seconds / steps, dict(parts), ops)


# Tables


def print_limits(network: Network, found: Profile, peak: Peak) -> None:
    """Print the parts of a step, their bounds, and their sum."""
    needed: dict[Part, list[Work]] = defaultdict(list)
    together = (TOGETHER, "forward") in found.parts
    for each in works(network, 2 if trains_in_bf16() else 4, together=together):
        needed[each.part].append(each)
    print("| layers | way | GFLOP | MB | ms | share | GFLOP/s | GB/s | bound, ms | bound / time |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for part in {**needed, **found.parts}:
        print_row(part, needed.get(part, []), found.parts.get(part, 0.0), found.seconds, peak)
    rest = found.seconds - sum(found.parts.values())
    print_row(("rest", ""), [], rest, found.seconds, peak)
    print_row(
        ("whole step", ""), [work for part in needed.values() for work in part], found.seconds, found.seconds, peak
    )


def print_row(part: Part, needed: list[Work], seconds: float, whole: float, peak: Peak) -> None:
    """Print what a part needs and took."""
    flops, moved = sum(work.flops for work in needed), sum(work.bytes for work in needed)
    bound = sum(peak.seconds(work) for work in needed)
    told = (
        f"| {' | '.join(part)} | {flops / 1e9:.3f} | {moved / 1e6:.1f} | {1000 * seconds:.2f} | {seconds / whole:.0%} "
    )
    if not needed or not seconds:
        print(f"{told}| | | | |")
    else:
        reached = f"| {flops / seconds / 1e9:.1f} | {moved / seconds / 1e9:.1f} "
        print(f"{told}{reached}| {1000 * bound:.2f} | {bound / seconds:.0%} |")


def print_ops(found: Profile) -> None:
    """Print the operations that took longest by themselves."""
    print("\n| operation | calls a step | own ms a step | share |\n|---|---|---|---|")
    for name, calls, seconds in found.ops:
        print(f"| {name} | {calls:.1f} | {1000 * seconds:.2f} | {seconds / found.seconds:.0%} |")


def network_of(blocks: list[tuple[int, int, bool]], pool: str) -> Network:
    """Make a network of plain blocks."""
    described = [
        {
            "conv": {"out_channels": channels, "kernel_size": kernel_size, "padding": "same", "bias": False},
            "maxpool": {"kernel_size": 2} if pooled else None,
        }
        for channels, kernel_size, pooled in blocks
    ]
    image = {"channels": 1, "height": 28, "width": 28}
    return Network.model_validate({"input": image, "blocks": described, "head": {"pool": pool}, "classes": 10})


def main() -> None:
    """Measure the machine, then the three networks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    steps, runs, seconds = (20, 3, 0.3) if options.quick else (options.steps, options.runs, 1.0)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # as the workers do
    print(f"{machine()}; one thread, batches of {BATCH}\n")
    peak = measure_peak(seconds)
    data = load("mnist", data_root(), torch.device("cpu"))
    data = data._replace(train=data.train.take(range(steps * BATCH)), validation=data.validation.take(range(2)))
    for blocks, pool in NETWORKS:
        network = network_of(blocks, pool)
        print(f"\n{network}: {network.cost.parameters:,} parameters, {network.cost.macs:,} multiply-adds an image")
        bare = [next(train(build(network), data, Recipe(epochs=1), 0)).seconds / steps for _ in range(1 + runs)][1:]
        profiles = sorted((profile_epoch(network, data) for _ in range(runs)), key=lambda found: found.seconds)
        low, middle, high = (1000 * pick(bare) for pick in (min, median, max))
        span = f"{middle:.2f} ms a step ({low:.2f} to {high:.2f}, {runs} runs of {steps} steps)"
        print(f"{span}, {1000 * BATCH / middle:,.0f} images/s; the profiled run of median length:\n")
        print_limits(network, profiles[runs // 2], peak)
        print_ops(profiles[runs // 2])


if __name__ == "__main__":
    main()
