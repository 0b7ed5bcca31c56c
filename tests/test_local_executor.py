import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from executor_rig import FAKE, PATIENCE, is_a, job, start, until, workers

from cnnsearch.errors import RunError
from cnnsearch.executors.local import LocalExecutor
from cnnsearch.executors.process import MOST_LOG_BYTES, WorkerProcess, environment
from cnnsearch.messages import Died, Done, Epoch, Event, Failed, Job, Ready

SOON = 2.0


@pytest.fixture
def executor(tmp_path: Path) -> Iterator[LocalExecutor]:
    with start(tmp_path / "log") as executor:
        yield executor


def test_a_job_given_before_the_worker_is_ready_is_done(executor: LocalExecutor) -> None:
    assert executor.submit(job(7)) == 0
    assert executor.free == 0
    heard = until(executor, is_a(Done))
    assert [type(event) for event in heard] == [Ready, Epoch, Epoch, Epoch, Done]
    assert executor.free == 1


def test_a_trial_waits_at_its_rung_and_goes_on(executor: LocalExecutor) -> None:
    executor.submit(job(7, rungs=(2,)))
    until(executor, lambda event: isinstance(event, Epoch) and event.epoch == 2)
    assert executor.events(0.2) is None
    executor.go(7)
    assert until(executor, is_a(Done))[-1] == Done(trial=7, stopped=False)


def test_a_trial_is_stopped_at_its_rung_and_the_slot_is_free(executor: LocalExecutor) -> None:
    executor.submit(job(7, rungs=(1,)))
    until(executor, is_a(Epoch))
    executor.stop(7)
    assert until(executor, is_a(Done)) == [Done(trial=7, stopped=True)]
    assert executor.free == 1


def test_an_answer_to_a_trial_that_is_over_disturbs_nobody(executor: LocalExecutor) -> None:
    executor.submit(job(7))
    until(executor, is_a(Done))
    executor.stop(7)
    executor.submit(job(8))
    assert until(executor, is_a(Done))[-1] == Done(trial=8, stopped=False)


def test_a_killed_worker_is_noticed_in_two_seconds_and_costs_only_its_trial(tmp_path: Path) -> None:
    with start(tmp_path, slots=2) as executor:
        until(executor, is_a(Ready))
        until(executor, is_a(Ready))
        for trial, act in ((0, "hang"), (1, "nothing")):
            executor.submit(job(trial, act, rungs=(1,)))
        until(executor, is_a(Epoch))
        until(executor, is_a(Epoch))
        began = time.monotonic()
        workers()[0].kill()
        died = until(executor, is_a(Died))[-1]
        assert time.monotonic() - began < 2.0
        assert died == Died(
            trial=0,
            exit=-signal.SIGKILL,
            message="worker 0 was ended by SIGKILL (by hand, or by the system for want of memory);"
            f" its log is {tmp_path / 'worker-0.log'}",
        )
        executor.go(1)
        executor.submit(job(0))
        until(executor, Done(trial=1, stopped=False).__eq__)
        until(executor, lambda event: isinstance(event, Epoch) and event.trial == 0)


def test_the_time_of_a_job_is_its_workers_own(executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("cnnsearch.executors.local.monotonic", lambda: now)
    executor.submit(job(7, rungs=(1,)))
    now = 100.0  # the worker starts meanwhile
    until(executor, is_a(Epoch))
    now = 107.0
    executor.go(7)
    while isinstance(event := executor.events(PATIENCE), Epoch):
        pass
    assert event == Done(trial=7, stopped=False, seconds=7.0)
    executor.submit(job(8, "hang", seconds=20.0).model_copy(update={"spent": 15.0}))
    until(executor, is_a(Epoch))
    now = 113.0
    message = "its training took more than 20 s"
    assert executor.events(PATIENCE) == Failed(trial=8, reason="timeout", message=message, seconds=6.0)


def run_all(executor: LocalExecutor, jobs: list[Job]) -> Iterator[Event]:
    """Run jobs until each is done, those of dead workers again."""
    waiting = {each.trial: each for each in jobs}
    left = list(waiting)
    while waiting:
        while left and executor.free:
            executor.submit(waiting[left.pop()])
        event = executor.events(PATIENCE)
        assert event is not None
        yield event
        if isinstance(event, Died) and event.trial is not None:
            left.append(event.trial)
        if isinstance(event, Done):
            del waiting[event.trial]


def test_deaths_at_any_instant_lose_no_trial_and_finish_none_twice(tmp_path: Path) -> None:
    trials = range(24)
    with start(tmp_path, slots=3) as executor:
        events = list(run_all(executor, [job(trial, "may_die") for trial in trials]))
        assert executor.free == 3
    assert sorted(event.trial for event in events if isinstance(event, Done)) == list(trials)
    assert any(isinstance(event, Died) for event in events)


def test_a_crash_is_told_with_its_signal(executor: LocalExecutor) -> None:
    executor.submit(job(7, "die"))
    died = until(executor, is_a(Died))[-1]
    assert isinstance(died, Died)
    assert (died.trial, died.exit) == (7, -signal.SIGSEGV)
    assert died.message.startswith("worker 0 was ended by SIGSEGV; its log is ")


def test_a_child_that_holds_the_pipe_hides_no_death_and_is_ended_too(executor: LocalExecutor) -> None:
    executor.submit(job(7, "leave_a_child"))
    died = until(executor, is_a(Died))[-1]  # all that held the pipe is gone, or this would not be heard
    assert isinstance(died, Died)
    assert (died.trial, died.exit) == (7, 3)
    assert died.message.startswith("worker 0 ended with exit status 3; its log is ")


def test_a_worker_that_dies_before_it_is_ready_has_not_begun_its_trial(tmp_path: Path) -> None:
    with start(tmp_path, 1, "die_at_first_start", str(tmp_path / "flag")) as executor:
        executor.submit(job(7))
        heard = until(executor, is_a(Done))
    assert [type(event) for event in heard] == [Died, Ready, Epoch, Epoch, Epoch, Done]
    assert isinstance(heard[0], Died)
    assert heard[0].trial is None


def test_where_one_cannot_be_started_none_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin, begun = LocalExecutor._start, list[WorkerProcess]()  # noqa: SLF001

    def fail_at_the_third(executor: LocalExecutor, number: int, device: str, log: Path) -> WorkerProcess:
        if number == 2:
            raise BlockingIOError("no more processes")
        begun.append(begin(executor, number, device, log))
        return begun[-1]

    monkeypatch.setattr(LocalExecutor, "_start", fail_at_the_third)
    with pytest.raises(BlockingIOError, match="no more processes"):
        start(tmp_path, 4)
    assert len(begun) == 2
    assert workers() == []


def test_workers_that_cannot_start_are_given_up_after_three_times(tmp_path: Path) -> None:
    with start(tmp_path, 1, "no_start") as executor, pytest.raises(RunError) as error:
        until(executor, is_a(Ready))
    first, *_, last = str(error.value).splitlines()
    assert first == (
        "worker 0 on 'cpu' ended with exit status 1 before it was ready, 3 times in a row; "
        f"the end of its log {tmp_path / 'worker-0.log'} says why:"
    )
    assert last == "ImportError: no module named 'my_blocks'"


def test_a_worker_that_says_nonsense_is_replaced(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.submit(job(7, "say_nonsense"))
    died = until(executor, is_a(Died))[-1]
    assert isinstance(died, Died)
    assert died.trial == 7
    log = (tmp_path / "log" / "worker-0.log").read_text()
    assert 'cnnsearch ended this worker, since it said what is no message: {"kind": "epoch"}' in log


def test_what_user_code_prints_and_reads_does_not_disturb(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.submit(job(7, "print_a_lot"))
    heard = until(executor, is_a(Done))
    assert [type(event) for event in heard] == [Ready, Epoch, Epoch, Epoch, Done]
    log = (tmp_path / "log" / "worker-0.log").read_text()
    assert log.count("nonsense\nread: ''\n") == 3


# Errors on a GPU, named twice: what its workers do needs none


def told(executor: LocalExecutor, kind: type[Event]) -> Event:
    return until(executor, is_a(kind))[-1]


def test_out_of_memory_beside_others_takes_a_slot_of_the_device(tmp_path: Path) -> None:
    with start(tmp_path, 2, device="cuda:0") as executor:
        executor.submit(job(0, rungs=(1,)))
        until(executor, is_a(Epoch))
        slot = executor.submit(job(7, "out of memory"))
        assert told(executor, Failed) == Failed(trial=7, reason="out of memory", message="told to", shared=True)
        assert (executor.slots, executor.free) == (("cuda:0",), 0)
        died = told(executor, Died)
        law = "trial 7 needs its memory on 'cuda:0', and is tried again"
        assert died == Died(trial=None, exit=-signal.SIGKILL, message=f"worker {slot} is given up: {law}")
        assert len(workers()) == 1
        executor.go(0)
        until(executor, is_a(Done))
        assert executor.submit(job(7)) == 1 - slot
        assert told(executor, Done) == Done(trial=7, stopped=False)
        assert executor.slots == ("cuda:0",)


def test_memory_that_somebody_gave_back_meanwhile_was_not_had_alone(tmp_path: Path) -> None:
    with start(tmp_path, 2, device="cuda:0") as executor:
        for trial, act in ((0, "nothing"), (7, "later out of memory")):
            executor.submit(job(trial, act, rungs=(1,)))
        until(executor, is_a(Epoch))
        until(executor, is_a(Epoch))
        executor.go(0)
        until(executor, is_a(Done))
        executor.go(7)
        assert told(executor, Failed) == Failed(trial=7, reason="out of memory", message="told to", shared=True)
        executor.submit(job(7, "out of memory"))
        assert told(executor, Failed) == Failed(trial=7, reason="out of memory", message="told to")


def test_slots_given_up_in_vain_come_back(tmp_path: Path) -> None:
    with start(tmp_path, 2, device="cuda:0") as executor:
        executor.submit(job(0, rungs=(1,)))
        until(executor, is_a(Epoch))
        executor.submit(job(7, "out of memory"))
        until(executor, is_a(Died))
        executor.go(0)
        until(executor, is_a(Done))
        executor.submit(job(7, "out of memory"))
        assert told(executor, Failed) == Failed(trial=7, reason="out of memory", message="told to")
        assert (executor.slots, executor.free) == (("cuda:0", "cuda:0"), 2)
        assert isinstance(list(run_all(executor, [job(8), job(9)]))[-1], Done)


def test_an_error_on_a_gpu_replaces_the_worker_and_hurts_no_job_that_comes_after(tmp_path: Path) -> None:
    with start(tmp_path, device="cuda:0") as executor:
        executor.submit(job(7, "bug"))
        until(executor, is_a(Failed))
        executor.submit(job(8))
        heard = until(executor, is_a(Done))
        assert [type(event) for event in heard] == [Died, Ready, Epoch, Epoch, Epoch, Done]
        law = "is replaced: bug on 'cuda:0' may have spoilt its process"
        assert heard[0] == Died(trial=None, exit=-signal.SIGKILL, message=f"worker 0 {law}")


@pytest.mark.parametrize(("device", "act"), [("cuda:0", "diverged"), ("cpu", "out of memory"), ("cpu", "bug")])
def test_an_error_that_spoils_nothing_ends_only_its_trial(tmp_path: Path, device: str, act: str) -> None:
    with start(tmp_path, 2, device=device) as executor:
        executor.submit(job(0, rungs=(1,)))
        until(executor, is_a(Epoch))
        before = workers()
        executor.submit(job(7, act))
        failed = told(executor, Failed)
        assert isinstance(failed, Failed)
        assert (failed.shared, executor.slots, executor.free) == (False, (device, device), 1)
        executor.submit(job(8))
        until(executor, is_a(Done))
        assert workers() == before


def test_what_an_earlier_job_spent_counts(tmp_path: Path) -> None:
    with start(tmp_path) as executor:
        executor.submit(job(7, "hang", seconds=600.0).model_copy(update={"spent": 599.0}))
        failed = until(executor, lambda event: isinstance(event, Failed) and event.trial == 7)[-1]
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.message) == ("timeout", "its training took more than 600 s")


def test_a_log_that_grows_without_end_is_cut_to_its_end(executor: LocalExecutor, tmp_path: Path) -> None:
    executor.submit(job(7, "write_much"))
    until(executor, is_a(Done))
    executor.events(0)  # what was written since the one before, the worker being idle
    log = (tmp_path / "log" / "worker-0.log").read_bytes()
    assert len(log) <= MOST_LOG_BYTES
    assert log.startswith(b"(older lines were cut here)\n")


@pytest.mark.parametrize("act", ["write_much_and_hang", "write_much_and_die"])
def test_so_is_that_of_a_worker_that_never_says_a_word_again(tmp_path: Path, act: str) -> None:
    with start(tmp_path) as executor:
        executor.submit(job(7, act, seconds=SOON))
        until(executor, lambda event: isinstance(event, Failed | Died) and event.trial == 7)
    assert (tmp_path / "worker-0.log").stat().st_size <= MOST_LOG_BYTES


@pytest.mark.parametrize(("act", "epochs"), [("nothing", 2), ("hang", 1), ("resist", 2), ("hold_the_interpreter", 1)])
def test_close_leaves_no_process_whatever_they_do(tmp_path: Path, act: str, epochs: int) -> None:
    executor = start(tmp_path, slots=2)
    executor.submit(job(7, act, rungs=(2,)))
    until(executor, lambda event: isinstance(event, Epoch) and event.epoch == epochs)
    mine = workers()
    began = time.monotonic()
    executor.close()
    assert time.monotonic() - began < 3.0
    assert not any(map(lives, mine))
    executor.close()
    assert executor.events(PATIENCE) is None


def test_ctrl_c_does_not_reach_the_workers(executor: LocalExecutor) -> None:
    until(executor, is_a(Ready))
    assert os.getsid(workers()[0].pid) == workers()[0].pid


def lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE  # dead, though nobody has asked for its status
    except psutil.NoSuchProcess:
        return False


PARENT = """
import sys
from pathlib import Path
from executor_rig import *
with start(Path(sys.argv[1]), 2, sys.argv[3]) as executor:
    executor.submit(job(0, sys.argv[2]))
    print("started", flush=True)
    while True:
        print(executor.events(PATIENCE), flush=True)
"""


@pytest.mark.parametrize(("act", "at_start"), [("hang", ""), ("hold_the_interpreter", ""), ("nothing", "hang")])
def test_after_a_sigkill_of_the_parent_no_worker_is_left(tmp_path: Path, act: str, at_start: str) -> None:
    here = {**os.environ, "PYTHONPATH": str(FAKE.parent)}
    command = [sys.executable, "-c", PARENT, str(tmp_path), act, at_start]
    with subprocess.Popen(command, env=here, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        wanted = {"hang": "started", "": "epoch=1"}[at_start]
        next(line for line in parent.stdout if wanted in line)
        orphans = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    assert len(orphans) == 2
    deadline = time.monotonic() + 5
    while any(map(lives, orphans)) and time.monotonic() < deadline:
        psutil.wait_procs(orphans, timeout=0.05)
    assert not any(map(lives, orphans))


def test_starting_is_quick_and_loads_neither_torch_nor_optuna(tmp_path: Path) -> None:
    program = f"""
import sys, time
sys.path.append({str(FAKE.parent)!r})
from pathlib import Path
from cnnsearch.executors.executor import Setup
from cnnsearch.executors.local import LocalExecutor
began = time.perf_counter()
with LocalExecutor(["cpu"] * 2, Setup("digits", Path("nowhere")), Path({str(tmp_path)!r}), ("sleep", "60")):
    assert time.perf_counter() - began < 2.0, time.perf_counter() - began
    assert not {{"torch", "optuna"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_workers_import_what_the_coordinator_can_and_what_lies_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", "/somewhere", "/else"])
    assert environment()["PYTHONPATH"] == f"{tmp_path}:/somewhere:/else"
    monkeypatch.setattr(sys, "path", ["/somewhere"])
    assert environment()["PYTHONPATH"] == f"/somewhere:{tmp_path}"


def test_a_worker_has_one_thread() -> None:
    assert environment()["OMP_NUM_THREADS"] == environment()["MKL_NUM_THREADS"] == "1"
