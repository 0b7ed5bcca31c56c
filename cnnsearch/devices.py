"""On what can networks be trained here? Answered without torch, so that a dry run needs none.

How many workers share a GPU is reasoned and not measured: no GPU was there. Processes on one GPU take turns, so a
second one fills the gaps that the first leaves (validation, recording, building, the wait at a rung) and a third
finds few. Where MPS runs, NVIDIA's Multi-Process Service, kernels of several processes run side by side; small
networks leave most of a GPU idle, so four. Each needs its own CUDA context (some 0.5 GB), the data set and its maps,
hence 2 GiB, and a core that feeds it. Several streams in one worker would share context and data, but also their
fate: one CUDA error would end every trial in it. `examples/benchmarks/gpu.py` compares all three; `executor.workers`
overrules.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from cnnsearch.errors import Fault, InvalidSpecError

CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux (cgroup v2) tells a container its share: `<microseconds|max> <period>`."""
WORKERS_A_GPU = 2
WORKERS_A_GPU_WITH_MPS = 4
MIB_A_WORKER = 2048
MPS_PIPES = "/tmp/nvidia-mps"  # noqa: S108 (where NVIDIA's daemon puts them when CUDA_MPS_PIPE_DIRECTORY is not set)


def cores() -> int:
    """Count the CPU cores that this process may use: its affinity, and its container's quota."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(mine, _quota(mine)))


def gpus() -> int:
    """Count the GPUs that torch would see, as the driver's tool lists them."""
    listed = _listed_gpus()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return listed if visible is None else min(listed, _visible(visible))


def mps_runs() -> bool:
    """Say whether NVIDIA's Multi-Process Service runs here, as programs find it: by its pipes."""
    return (Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY", MPS_PIPES)) / "control").exists()


def slots(workers: int | None, device: str | None) -> tuple[str, ...]:
    """Name the device of each worker: a few per GPU, else one per CPU core; `workers` says how many instead.

    `device` is "cpu", "cuda" (all GPUs), "cuda:1" (that one) or None (GPUs where there are any).
    Raises InvalidSpecError for a device that is not here.

    >>> slots(2, "cpu")
    ('cpu', 'cpu')
    """
    devices = _devices(device)
    count = workers or (cores() if devices == ("cpu",) else len(devices) * _workers_a_gpu(devices))
    return tuple(devices[index % len(devices)] for index in range(count))


def _quota(without: int) -> int:
    try:
        quota, period = CGROUP_QUOTA.read_text().split()
        return without if quota == "max" else int(quota) // int(period)
    except (OSError, ValueError):  # no cgroup v2 here: nothing is rationed
        return without


def _workers_a_gpu(gpus: tuple[str, ...]) -> int:
    most = WORKERS_A_GPU_WITH_MPS if mps_runs() else WORKERS_A_GPU
    return max(1, min(most, cores() // len(gpus), _free_mib(gpus) // MIB_A_WORKER))


def _free_mib(gpus: tuple[str, ...]) -> int:
    """Ask for the free memory of the fullest of these GPUs; 0 where the driver does not say.

    The driver lists all, whatever CUDA_VISIBLE_DEVICES hides from torch, which then counts anew from cuda:0.
    """
    said = _driver_says("--query-gpu=index,uuid,memory.free", "--format=csv,noheader,nounits")
    free = [tuple(cell.strip() for cell in line.split(",")) for line in said]
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = [name.strip() for name in visible.split(",")] if visible else [index for index, *_ in free]
    named = {f"cuda:{number}": name for number, name in enumerate(names)}
    return min(_mib_of(named[gpu], free) if gpu in named else 0 for gpu in gpus)


def _mib_of(name: str, free: list[tuple[str, ...]]) -> int:
    """Give a GPU's free memory by its number, or its UUID, which may be cut short; 0 for a part of one (MIG)."""
    mib = (mib for index, uuid, mib in free if name == index or (not name.isdecimal() and uuid.startswith(name)))
    return next((int(text) for text in mib if text.isdecimal()), 0)


def _listed_gpus() -> int:
    return sum(line.startswith("GPU ") for line in _driver_says("-L"))


def _driver_says(*question: str) -> list[str]:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        answer = subprocess.run([tool, *question], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):  # the tool is there and no driver or GPU behind it
        return []
    return answer.stdout.splitlines()


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
    return InvalidSpecError((Fault("executor.device", message),))
