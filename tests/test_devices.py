from pathlib import Path

import pytest

from cnnsearch import devices
from cnnsearch.errors import InvalidSpecError

LISTED = """GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)
  MIG 1g.10gb     Device  0: (UUID: MIG-2)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-3)
"""


@pytest.fixture
def two_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    (tmp_path / "free").write_text("0, GPU-1, 80000\n1, GPU-3, 40000\n")
    tool.write_text(f"#!/bin/sh\nif [ $1 != -L ]; then cat {tmp_path}/free; exit; fi\ncat <<'END'\n{LISTED}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path / "mps"))
    monkeypatch.setattr(devices, "cores", lambda: 16)


@pytest.fixture
def no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("workers", "device", "expected"),
    [
        (None, None, ("cuda:0", "cuda:1", "cuda:0", "cuda:1")),
        (3, None, ("cuda:0", "cuda:1", "cuda:0")),
        (2, "cuda:1", ("cuda:1", "cuda:1")),
        (None, "cuda:1", ("cuda:1", "cuda:1")),
        (1, "cuda", ("cuda:0",)),
        (2, "cpu", ("cpu", "cpu")),
    ],
)
def test_workers_are_dealt_to_the_gpus(workers: int | None, device: str | None, expected: tuple[str, ...]) -> None:
    assert devices.slots(workers, device) == expected


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("free", "cores", "pipe", "workers"),
    [
        ("80000\n40000\n", 16, "log", 2),
        ("80000\n40000\n", 16, "control", 4),
        ("80000\n40000\n", 6, "control", 3),
        ("80000\n40000\n", 1, "control", 1),
        ("80000\n7000\n", 16, "control", 3),
        ("80000\n100\n", 16, "control", 1),
        ("80000\n[N/A]\n", 16, "control", 1),
        ("", 16, "control", 1),
    ],
)
def test_workers_share_a_gpu_as_memory_cores_and_mps_allow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: str, cores: int, pipe: str, workers: int
) -> None:
    rows = enumerate(zip(("GPU-1", "GPU-3"), free.split(), strict=False))
    (tmp_path / "free").write_text("".join(f"{index}, {uuid}, {mib}\n" for index, (uuid, mib) in rows))
    monkeypatch.setattr(devices, "cores", lambda: cores)
    (tmp_path / "mps").mkdir()
    (tmp_path / "mps" / pipe).touch()
    assert devices.slots(None, None) == ("cuda:0", "cuda:1") * workers


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("environment", "device", "workers"),
    [
        ({}, "cuda:0", 4),
        ({}, "cuda:1", 1),
        ({}, None, 2),
        ({"CUDA_VISIBLE_DEVICES": "0"}, None, 4),
        ({"CUDA_VISIBLE_DEVICES": "1"}, None, 1),
        ({"CUDA_VISIBLE_DEVICES": "1,0"}, "cuda:1", 4),
        ({"CUDA_VISIBLE_DEVICES": "GPU-1"}, None, 4),
        ({"CUDA_VISIBLE_DEVICES": "GPU-3"}, "cuda:0", 1),
        ({"CUDA_VISIBLE_DEVICES": "MIG-2"}, None, 1),
    ],
)
def test_only_the_memory_of_the_gpus_that_are_used_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], device: str | None, workers: int
) -> None:
    (tmp_path / "free").write_text("0, GPU-1, 80000\n1, GPU-3, 2500\n")
    (tmp_path / "mps").mkdir()
    (tmp_path / "mps" / "control").touch()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert len(devices.slots(None, device)) == workers


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_there_is_a_worker_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores", lambda: 3)
    assert devices.slots(None, None) == devices.slots(None, "cpu") == ("cpu", "cpu", "cpu")


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("visible", "count"), [("", 0), ("-1", 0), ("1", 1), ("0,1", 2), ("0, -1, 1", 1), ("GPU-3", 1), ("0,1,2,3", 2)]
)
def test_gpus_that_are_hidden_are_not_counted(visible: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert devices.gpus() == count


def test_a_driver_s_tool_without_a_driver_means_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert devices.gpus() == 0


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("tpu", "executor.device: 'tpu' is no device; write 'cpu', 'cuda' for all GPUs, or 'cuda:0' for the first"),
        ("cuda:7", "executor.device: 'cuda:7' is not here; there are cuda:0, cuda:1"),
    ],
)
def test_a_device_that_is_not_here_is_refused(device: str, message: str) -> None:
    with pytest.raises(InvalidSpecError) as error:
        devices.slots(None, device)
    assert str(error.value) == message


@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_where_there_is_none_is_refused() -> None:
    with pytest.raises(InvalidSpecError) as error:
        devices.slots(None, "cuda")
    assert str(error.value) == (
        "executor.device: 'cuda' is asked for and nvidia-smi lists no GPU that may be used; use 'cpu'"
    )


@pytest.mark.parametrize(("share", "count"), [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("?", 8)])
def test_a_container_s_share_of_the_cores_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: str, count: int
) -> None:
    (tmp_path / "cpu.max").write_text(f"{share}\n")
    monkeypatch.setattr(devices, "CGROUP_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    assert devices.cores() == count
