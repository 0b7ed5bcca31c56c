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
from collections import defaultdict
from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

import torch
from machine import machine, trains_in_bf16
from networks import Description, network_of
from roofline import BATCH, TOGETHER, Part, Peak, Work, measure_peak, works
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from cnnsearch.data import DataSet, load
from cnnsearch.datasets import data_root
from cnnsearch.module import build
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe
from cnnsearch.train import train

OPS = 12  # rows of the profiler's table


def block(out_channels: int, kernel_size: int = 3, *, pool: bool = False) -> Description:
    """Describe a block that keeps the map's size but for its pool."""
    return {"out_channels": out_channels, "kernel_size": kernel_size, "padding": "same", "pool": pool}


NETWORKS = (
    ([block(16, pool=True), block(32), block(64, pool=True), block(96)], "average"),
    ([block(16, 5, pool=True), block(24), block(32, pool=True), block(64)], "max"),
    ([block(8), block(12, pool=True), block(16, pool=True), block(12)], "max"),
)
KNOWN = (
    (TOGETHER, r"(^|: )_Function(Backward)?$"),  # of cnnsearch/fused.py
    ("convolution", r"aten::(mkldnn_|_)?conv(2d|olution)|aten::convolution_backward|: \w*Convolution\w*Backward\d"),
    ("batch norm", r"aten::(_|native_)?batch_norm|: \w*BatchNorm\w*Backward\d"),
    ("ReLU", r"aten::(relu|clamp_min|threshold)|: (Relu|ClampMin|Threshold)\w*Backward\d"),
    ("max pool", r"aten::max_pool2d|: MaxPool2D\w*Backward\d"),
    ("images", r"aten::(affine_grid|grid_sampler)"),
    ("head, loss", r"aten::(adaptive_|linear|flatten|cross_entropy|nll_loss|_?log_softmax)"),
    ("convolution", r": ToCopyBackward\d"),  # where training is in bf16: of weights and maps
    ("optimizer", r"aten::_(fused_adamw|fused_sgd|foreach_add)_$|AccumulateGrad"),
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
    for network in (network_of({"blocks": blocks, "pool": pool, "hidden": []}) for blocks, pool in NETWORKS):
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
