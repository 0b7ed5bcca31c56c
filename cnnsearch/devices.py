"""On what can networks be trained here? Answered without torch, so that a dry run needs none."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from cnnsearch.errors import Fault, InvalidSpecError

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux (cgroup v2) tells a container its share: `<microseconds|max> <period>`."""


def cores() -> int:
    """Count the CPU cores that this process may use: its affinity, and its container's quota."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(mine, _quota(mine)))


def gpus() -> int:
    """Count the GPUs that torch would see, as the driver's tool lists them."""
    listed = _listed_gpus()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return listed if visible is None else min(listed, _visible(visible))


def slots(workers: int | None, device: str | None) -> tuple[str, ...]:
    """Name the device of each worker: one per GPU, else one per CPU core; `workers` says how many instead.

    `device` is "cpu", "cuda" (all GPUs), "cuda:1" (that one) or None (GPUs where there are any).
    Raises InvalidSpecError for a device that is not here.

    >>> slots(2, "cpu")
    ('cpu', 'cpu')
    """
    devices = _devices(device)
    count = workers or (cores() if devices == ("cpu",) else len(devices))
    return tuple(devices[index % len(devices)] for index in range(count))


def _quota(without: int) -> int:
    try:
        quota, period = CGROUP_QUOTA.read_text().split()
        return without if quota == "max" else int(quota) // int(period)
    except (OSError, ValueError):  # no cgroup v2 here: nothing is rationed
        return without


def _listed_gpus() -> int:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    try:
        answer = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):  # the tool is there and no driver or GPU behind it
        return 0
    return sum(line.startswith("GPU ") for line in answer.stdout.splitlines())


def _visible(variable: str) -> int:
    # CUDA reads the list up to the first entry that names nothing: "0,-1,1" is one device.
    entries = [entry.strip() for entry in variable.split(",")]
    wrong = [index for index, entry in enumerate(entries) if not re.fullmatch(r"\d+|(GPU|MIG)-\S+", entry)]
    return wrong[0] if wrong else len(entries)


def _devices(device: str | None) -> tuple[str, ...]:
    if device == "cpu":
        return ("cpu",)
    found = tuple(f"cuda:{index}" for index in range(gpus()))
    if device is None:
        return found or ("cpu",)
    if not re.fullmatch(r"cuda(:\d+)?", device):
        raise _refused(f"{device!r} is no device; write 'cpu', 'cuda' for all GPUs, or 'cuda:0' for the first")
    if not found:
        raise _refused(f"{device!r} is asked for and nvidia-smi lists no GPU that may be used; use 'cpu'")
    if device != "cuda" and device not in found:
        raise _refused(f"{device!r} is not here; there are {', '.join(found)}")
    return found if device == "cuda" else (device,)


def _refused(message: str) -> InvalidSpecError:
    return InvalidSpecError((Fault("device", message),))
