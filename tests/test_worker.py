import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest
import torch
from blocks_that_fail import Acting

from cnnsearch.data import load
from cnnsearch.errors import DiskFullError, Fault, InvalidSpecError
from cnnsearch.executors.executor import Setup
from cnnsearch.executors.local import LocalExecutor
from cnnsearch.messages import Died, Done, Epoch, Event, Failed, Job, Ready
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe
from cnnsearch.replay import NotRecordedError
from cnnsearch.train import Diverged
from cnnsearch.weights import load as load_weights
from cnnsearch.worker.job import cause, one_line, run

CPU = torch.device("cpu")
ROOT = Path("nowhere")  # digits come with scikit-learn
PATIENCE = 120.0
CONV = {"conv": {"out_channels": 8, "kernel_size": 3, "padding": "same"}, "maxpool": {"kernel_size": 2}}


def job(
    weights: Path, *acting: Acting, epochs: int = 2, rungs: tuple[int, ...] = (), seconds: float | None = None
) -> Job:
    network = Network.model_validate(
        {
            "input": {"channels": 1, "height": 8, "width": 8},
            "blocks": [CONV, *acting],
            "head": {"pool": None},
            "classes": 10,
        }
    )
    recipe = Recipe(epochs=epochs, batch_size=64, augmentation=None)
    return Job(trial=5, network=network, recipe=recipe, seed=11, rungs=rungs, weights=str(weights), seconds=seconds)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log")


@pytest.fixture(scope="module")
def executor(log: Path) -> Iterator[LocalExecutor]:
    setup = Setup("digits", ROOT, imports=("register_blocks_that_fail",))
    with LocalExecutor(["cpu"], setup, log) as executor:
        yield executor


def story(executor: LocalExecutor, job: Job) -> list[Event]:
    """Run a job and return what is told of it, its end last; at a rung it is told to stop."""
    executor.submit(job)
    heard: list[Event] = []
    while not heard or isinstance(heard[-1], Epoch):
        event = executor.events(PATIENCE)
        assert event is not None, heard
        heard += [event] * (getattr(event, "trial", None) == job.trial)
        executor.stop(job.trial)  # passed by where it does not wait
    return heard


def test_layers_are_compiled_before_a_worker_is_ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CNNSEARCH_NATIVE", raising=False)
    monkeypatch.setenv("CXX", "no-such-compiler")
    with LocalExecutor(["cpu"], Setup("digits", ROOT), tmp_path) as executor:
        assert executor.events(PATIENCE) == Ready()
        told = (tmp_path / "worker-0.log").read_text()
    assert told == "training without compiled layers: no C++ compiler 'no-such-compiler' here\n"


def test_real_digits_are_learned_and_the_weights_are_those_of_the_last_epoch(
    executor: LocalExecutor, tmp_path: Path
) -> None:
    executor.submit(job(tmp_path / "weights.safetensors", epochs=8))
    heard = [executor.events(PATIENCE)]
    while not isinstance(heard[-1], Done):
        heard.append(executor.events(PATIENCE))
    last = heard[-2]
    assert isinstance(last, Epoch)
    assert last.epoch == 8
    assert last.validation_accuracy > 0.9

    classifier = load_weights(tmp_path)
    images_NCHW, labels_N = load("digits", ROOT, CPU).validation
    right_N = classifier(images_NCHW.float() / 255).argmax(dim=1) == labels_N
    assert right_N.float().mean().item() == pytest.approx(last.validation_accuracy)


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        ("bug", ("bug", "KeyError: 'channels'")),
        ("leave", ("bug", "SystemExit: 3")),
        ("recurse", ("bug", "RecursionError: maximum recursion depth exceeded")),
        ("ask_torch_for_too_much", ("out of memory", "can't allocate memory")),
        ("ask_python_for_too_much", ("out of memory", "MemoryError")),
    ],
)
def test_what_ends_a_trial_is_classed_and_the_worker_goes_on(
    executor: LocalExecutor, log: Path, tmp_path: Path, act: str, expected: tuple[str, str]
) -> None:
    failed = story(executor, job(tmp_path / "w", Acting(act=act)))[-1]
    assert isinstance(failed, Failed)
    assert failed.reason == expected[0]
    assert expected[1] in failed.message
    assert f", in {act}\n" in (log / "worker-0.log").read_text()  # the traceback
    assert not (tmp_path / "w").exists()


def test_a_loss_that_is_no_number_is_called_diverged(executor: LocalExecutor, tmp_path: Path) -> None:
    failed = story(executor, job(tmp_path / "w", Acting(factor=1e38)))[-1]
    assert isinstance(failed, Failed)
    assert failed.reason == "diverged"
    assert failed.message.startswith("Diverged: ")


def test_a_trial_stopped_at_its_rung_writes_no_weights(executor: LocalExecutor, tmp_path: Path) -> None:
    heard = story(executor, job(tmp_path / "w", epochs=3, rungs=(1,)))
    assert [type(event) for event in heard] == [Epoch, Done]
    assert isinstance(heard[-1], Done)
    assert heard[-1].stopped
    assert not (tmp_path / "w").exists()


def test_prints_of_user_code_land_in_the_log(executor: LocalExecutor, log: Path, tmp_path: Path) -> None:
    assert isinstance(story(executor, job(tmp_path / "w", Acting(act="chat"), rungs=(1,)))[-1], Done)
    assert '"stopped": false}\nnonsense\n' in (log / "worker-0.log").read_text()


def test_a_crash_of_c_code_ends_only_its_trial_and_leaves_a_traceback(
    executor: LocalExecutor, log: Path, tmp_path: Path
) -> None:
    died = story(executor, job(tmp_path / "w", Acting(act="crash")))[-1]
    assert isinstance(died, Died)
    assert died.exit == -signal.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in (log / "worker-0.log").read_text()
    assert isinstance(story(executor, job(tmp_path / "w", rungs=(1,)))[-1], Done)


def test_a_training_that_hangs_is_given_up_and_the_next_is_not(log: Path, tmp_path: Path) -> None:
    setup = Setup("digits", ROOT, imports=("register_blocks_that_fail",))
    with LocalExecutor(["cpu"], setup, log) as impatient:
        failed = story(impatient, job(tmp_path / "w", Acting(act="hang"), seconds=2.5))[-1]
        assert isinstance(failed, Failed)
        assert (failed.reason, failed.message) == ("timeout", "its training took more than 2.5 s")
        assert 2.5 <= failed.seconds < PATIENCE
        replaced = Died(trial=None, exit=-9, message="worker 0 is replaced: its training took more than 2.5 s")
        assert impatient.events(PATIENCE) == replaced
        assert isinstance(impatient.events(PATIENCE), Ready)
        assert isinstance(story(impatient, job(tmp_path / "v", rungs=(1,)))[-1], Done)


def test_ctrl_c_does_not_end_a_worker(executor: LocalExecutor, tmp_path: Path) -> None:
    [worker] = psutil.Process().children()
    os.kill(worker.pid, signal.SIGINT)
    assert isinstance(story(executor, job(tmp_path / "w", rungs=(1,)))[-1], Done)


def outcome(job: Job, answers: Sequence[bool] = ()) -> list[Event]:
    """Run a job in this process, with these answers at its rungs; give what it said."""
    left = iter(answers)

    def stops(trial: int) -> bool:
        assert trial == job.trial
        return next(left)

    torch.set_num_threads(1)  # as workers do; on a busy machine two threads take a hundred times as long
    said: list[Event] = list(run(job, load("digits", ROOT, CPU), stops))
    assert [*left] == [], "it asked nobody"
    return said


def test_a_worker_asks_at_rungs_only_and_not_after_the_last_epoch(tmp_path: Path) -> None:
    assert outcome(job(tmp_path / "w", epochs=3, rungs=(2, 3)), [False])[-1] == Done(trial=5, stopped=False)


def test_a_trial_told_to_stop_ends_at_that_rung(tmp_path: Path) -> None:
    said = outcome(job(tmp_path / "w", epochs=3, rungs=(1, 2)), [False, True])
    assert [type(each) for each in said] == [Epoch, Epoch, Done]
    assert said[-1] == Done(trial=5, stopped=True)


def test_the_same_job_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("once", "twice"):
        outcome(job(tmp_path / name))
    assert (tmp_path / "once").read_bytes() == (tmp_path / "twice").read_bytes()


def test_weights_that_cannot_be_written_fail_the_trial_and_say_where(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = outcome(job(tmp_path / "file" / "w"))
    assert isinstance(said[-1], Failed)
    assert said[-1].reason == "bug"
    assert said[-1].message.startswith(f"RunError: {tmp_path / 'file' / 'w'}: the weights could not be written (")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Diverged("nan"), "diverged"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "out of memory"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "out of memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"), "out of memory"),
        (MemoryError(), "out of memory"),
        (DiskFullError("runs/x/weights/3.safetensors: cannot write 9 bytes"), "disk full"),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), "bug"),
        (ValueError("the user ran out of memory"), "bug"),
    ],
    ids=str,
)
def test_errors_are_classed(error: Exception, expected: str) -> None:
    assert cause(error) == expected
    graph = NotRecordedError("the step cannot be a CUDA graph")
    layer = InvalidSpecError((Fault("blocks[0].own", "its module cannot be made or run"),))
    for hidden in (graph, layer):
        hidden.__cause__ = error
        assert cause(hidden) == expected


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (ValueError("half a pair \ud800"), "ValueError: half a pair ?"),
        (ValueError("x" * 10_000), "ValueError: " + "x" * 488),
        (KeyError(), "KeyError:"),
    ],
    ids=["lines", "surrogate", "long", "empty"],
)
def test_an_error_is_told_in_one_line(error: Exception, expected: str) -> None:
    assert one_line(error) == expected
