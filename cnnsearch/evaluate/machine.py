"""On what does a command go on that trains for a finished search? What it is not told is as it was for the run."""

import argparse
from typing import Any, NamedTuple


class Machine(NamedTuple):
    """Fields of a plan that decide nothing about a result; None for those that stay as they are."""

    device: str | None = None
    workers: int | None = None
    data_root: str | None = None

    def applied(self, stored: dict[str, Any]) -> dict[str, Any]:
        """Give a stored plan with these fields in place of its own."""
        told = {"device": self.device, "workers": self.workers}
        executor = {name: value for name, value in told.items() if value is not None}
        root = self.data_root or stored.get("data_root")
        return {**stored, "executor": {**stored.get("executor", {}), **executor}, "data_root": root}


UNCHANGED = Machine()


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Let a command be told."""
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda (all GPUs) or cuda:1")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that train")
    parser.add_argument("--data-root", metavar="FOLDER", help="where data sets are kept")


def take(options: dict[str, Any]) -> Machine:
    """Take out of a command's options what it was told."""
    return Machine(*(options.pop(name) for name in Machine._fields))
