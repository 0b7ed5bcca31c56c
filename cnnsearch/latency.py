"""How long does one image take? `python -m cnnsearch.latency` is the process that measures it: one network a line.

One image, fp32, one thread of this machine's processor, after a warm-up: the median of many passes, and the interval
that holds it in 95 of 100 such measurements. The interval comes from the order of the times alone, so whatever their
distribution is; it tells of the noise within one measurement, not of a machine that is slower an hour later.
"""

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from math import ceil, floor, sqrt
from time import perf_counter

from platformdirs import user_state_path

from cnnsearch.datasets import platform_folder
from cnnsearch.imports import import_kinds
from cnnsearch.lock import in_turn_if_possible
from cnnsearch.network import Network
from cnnsearch.objectives import Latency
from cnnsearch.worker.pipe import die_with_parent

READY = "ready"
WARM_UP_SECONDS, SECONDS = 0.1, 0.3
LEAST_PASSES = 30


def middle(seconds: Sequence[float]) -> Latency:
    """Give the median with its 95 % interval: of n values the ones of rank n/2 -+ 0.98 sqrt(n) (Conover 1999).

    >>> middle(range(1, 101))
    Latency(seconds=50.5, low=40, high=61)
    """
    ranked, n = sorted(seconds), len(seconds)
    low, high = floor(n / 2 - 0.98 * sqrt(n)), ceil(n / 2 + 0.98 * sqrt(n)) + 1
    return Latency((ranked[(n - 1) // 2] + ranked[n // 2]) / 2, ranked[max(low, 1) - 1], ranked[min(high, n) - 1])


def measure(network: Network) -> Latency:
    """Measure a network with the weights it begins with; they have no part in the time."""
    import torch

    from cnnsearch.module import build

    module = build(network).eval()
    image_NCHW = torch.rand(1, *network.input.shape)
    with torch.inference_mode():
        _passes(lambda: module(image_NCHW), WARM_UP_SECONDS, least=1)
        return middle(_passes(lambda: module(image_NCHW), SECONDS, LEAST_PASSES))


def _passes(one: Callable[[], object], seconds: float, least: int) -> list[float]:
    times: list[float] = []
    end = perf_counter() + seconds
    while len(times) < least or perf_counter() < end:
        began = perf_counter()
        one()
        times.append(perf_counter() - began)
    return times


def main(modules: Sequence[str]) -> None:
    """Measure the networks that come in, one at a time on this machine; `null` is said of one that cannot be run."""
    die_with_parent()
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a block of one's own prints is no answer
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    import_kinds(modules)
    print(READY, file=answers)
    for line in sys.stdin:
        try:
            with in_turn_if_possible(platform_folder(user_state_path) / "latency.lock"):
                latency = measure(Network.model_validate_json(line))
            print(json.dumps(latency), file=answers)
        except Exception:  # noqa: BLE001 (whatever a block of one's own does, the next network is measured)
            traceback.print_exc()
            print("null", file=answers)


if __name__ == "__main__":
    main(sys.argv[1:])
