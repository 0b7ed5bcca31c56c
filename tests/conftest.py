"""What all tests share: hypothesis finds the same examples each time (see amount.py for more); GPU tests need one."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from amount import MORE
from hearing import hear_every_signal
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from cnnsearch.data import DataSet

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a test's tensors are too small to be shared between threads

hear_every_signal()

settings.register_profile(
    "cnnsearch",
    max_examples=100 * MORE,
    derandomize=MORE == 1,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
settings.load_profile("cnnsearch")


@pytest.fixture(autouse=True)
def _pipes_are_as_before() -> Iterator[None]:
    """A command run within a test may end with its reader; a later test that writes to a closed socket must not."""
    before = signal.getsignal(signal.SIGPIPE)
    yield
    signal.signal(signal.SIGPIPE, before)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread, as a worker does: sums in another order differ in their last digits."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def no_wait_for_the_disk() -> Iterator[None]:
    """Let nothing be brought to the disk: hundreds of small searches would wait for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session")
def digits() -> "DataSet":
    """Load scikit-learn's digits, on the CPU; they need no folder."""
    import torch

    from cnnsearch.data import load

    return load("digits", Path("unused"), torch.device("cpu"))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run a study with its finals on real digits; give its folder, which nobody changes, and what it said."""
    from finals_rig import WITH_FINALS
    from study_rig import run, write_plan

    folder = tmp_path_factory.mktemp("finals")
    status, out, err = run(folder, write_plan(folder, WITH_FINALS))
    assert (status, err) == (0, "")
    return folder / "runs" / "x", out


@pytest.fixture
def judged(finished: tuple[Path, str], tmp_path: Path) -> Path:
    """Copy that study, to go on with it or to harm it."""
    return Path(shutil.copytree(finished[0], tmp_path / "runs" / "x"))


@pytest.fixture
def trained_here(digits: "DataSet", monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the finals' trainings on digits be made in this process: the start of a worker takes longer than they do."""
    from study_rig import ScriptedExecutor

    from cnnsearch.worker.job import run

    executor = ScriptedExecutor(lambda job: run(job, digits, lambda _: False), trains=True)
    monkeypatch.setattr("cnnsearch.evaluate.training.LocalExecutor", lambda *_: executor)
