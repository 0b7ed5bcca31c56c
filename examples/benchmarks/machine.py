"""On what was it measured? Benchmarks whose figures depend on it print this above them."""

import os
import platform
from pathlib import Path

import torch

from cnnsearch.devices import cores
from cnnsearch.train import mixed_precision


def machine() -> str:
    """Name the processor, its cores, whether training uses bf16 there, the versions, and how busy it is."""
    bf16 = "bf16" if trains_in_bf16() else "no bf16"
    versions = f"torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}"
    return f"{_processor()}, {cores()} cores, {bf16}, {versions}; load average {os.getloadavg()[0]:.1f} before"


def trains_in_bf16() -> bool:
    """Say whether a training on this processor computes in bf16."""
    with mixed_precision(torch.device("cpu")):
        return torch.is_autocast_enabled("cpu")


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    for line in told.read_text().splitlines() if told.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    print(machine())
