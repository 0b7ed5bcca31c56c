"""The process of a worker; messages.py says how to talk to it."""

import argparse
import faulthandler
import signal
from pathlib import Path

from cnnsearch.imports import import_kinds
from cnnsearch.messages import Ready
from cnnsearch.worker.pipe import Coordinator


def main() -> None:
    """Load the data set, then do job after job until the coordinator closes the pipe."""
    options = _options()
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's to answer
    coordinator = Coordinator()

    # Only now, since torch takes seconds and a closed pipe must be noticed meanwhile.
    import torch

    from cnnsearch.data import load
    from cnnsearch.native import library
    from cnnsearch.worker.job import release, run

    torch.set_num_threads(1)  # there is a worker for each core
    torch.set_flush_denormal(True)  # numbers below 1e-38 are slow and mean nothing here
    torch.backends.cudnn.deterministic = True  # one seed, one result, as far as a GPU gives that
    torch.backends.cudnn.allow_tf32 = False  # what is computed in fp32 shall read on a CPU as it did here
    import_kinds(options.imports)
    device = torch.device(options.device)
    data = load(options.dataset, options.data_root, device)
    if device.type == "cpu":
        library()  # where it has to be compiled, that is no part of the first epoch: paces are reckoned by epochs
    coordinator.say(Ready())
    while True:
        for news in run(coordinator.next_job(), data, coordinator.stops):
            coordinator.say(news)
        release(device)


class _Options(argparse.Namespace):
    dataset: str
    data_root: Path
    device: str
    imports: list[str]


def _options() -> _Options:
    parser = argparse.ArgumentParser("cnnsearch.worker", description="Started by an executor; speaks JSON lines.")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--data-root", required=True, type=Path)
    parser.add_argument("--device", required=True, help="cpu or cuda:0")
    parser.add_argument("--import", dest="imports", action="append", default=[], metavar="MODULE")
    return parser.parse_args(namespace=_Options())


if __name__ == "__main__":
    main()
