"""Latencies: the figures, the process that measures them, and who stands still meanwhile."""

import sys
import time
from pathlib import Path
from threading import Barrier, Thread

import psutil
import pytest
from executor_rig import NETWORK, is_a, job, start, until, workers
from hypothesis import given
from hypothesis import strategies as st
from study_rig import until as patiently

from cnnsearch.errors import RunError
from cnnsearch.executors import local
from cnnsearch.executors import meter as meter_module
from cnnsearch.executors.meter import METER, Meter
from cnnsearch.latency import middle
from cnnsearch.lock import in_turn_if_possible
from cnnsearch.messages import Done, Epoch
from cnnsearch.network import Network
from cnnsearch.objectives import Latency

READY = "print('ready', flush=True)"


def meter(log: Path, *lines: str) -> Meter:
    return Meter((), log, (sys.executable, "-c", "\n".join(lines)))


@given(st.lists(st.floats(0, 1), min_size=30, max_size=300))
def test_the_median_lies_within_its_interval_of_values_that_were_measured(seconds: list[float]) -> None:
    latency = middle(seconds)
    assert min(seconds) <= latency.low <= latency.seconds <= latency.high <= max(seconds)
    assert {latency.low, latency.high} <= set(seconds)


def test_the_interval_narrows_as_more_is_measured() -> None:
    widths = [middle([place / n for place in range(n)]) for n in (30, 100, 300, 1000)]
    assert sorted(widths, key=lambda each: each.high - each.low, reverse=True) == widths


def test_a_real_network_is_measured_and_one_that_cannot_be_run_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    block = {"conv": {"out_channels": 2, "kernel_size": 8}, "batchnorm": {"track_running_stats": False}}
    alone = Network.model_validate({**NETWORK.model_dump(), "blocks": [block]})  # statistics of a single number
    measures = Meter((), tmp_path / "log", METER)
    latency = measures.measure(NETWORK)
    assert latency
    assert 0 < latency.low <= latency.seconds <= latency.high
    assert measures.measure(alone) is None
    assert measures.measure(NETWORK)
    measures.close()
    assert "ValueError: Expected more than 1 value per channel" in (tmp_path / "log").read_text()
    assert (tmp_path / "state/cnnsearch/latency.lock").exists()


def test_a_process_that_does_not_start_is_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        meter(tmp_path / "log", "raise SystemExit(3)")
    law = "the process that measures latencies ended with exit status 3"
    assert str(error.value) == f"{law}; its log is {tmp_path / 'log'}"


def test_a_process_that_never_is_ready_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meter_module, "MOST_TO_START", 0.2)
    with pytest.raises(RunError) as error:
        meter(tmp_path / "log", "import time", "time.sleep(600)")
    law = "the process that measures latencies took longer than 0.2 seconds to start"
    assert str(error.value) == f"{law}; the log is {tmp_path / 'log'}"


def test_a_process_that_ends_while_it_measures_is_told(tmp_path: Path) -> None:
    ending = meter(tmp_path / "log", READY, "input()", "raise SystemExit(4)")
    with pytest.raises(RunError, match="ended with exit status 4"):
        ending.measure(NETWORK)
    ending.close()


def test_a_measurement_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = meter(tmp_path / "log", READY, "import time", "input()", "time.sleep(600)")
    monkeypatch.setattr(meter_module, "MOST_SECONDS", 0.2)
    with pytest.raises(RunError) as error:
        hangs.measure(NETWORK)
    law = "a measurement took longer than 0.2 seconds, in which nothing else was trained"
    assert str(error.value) == f"{law}; the log is {tmp_path / 'log'}"


class Waiting:
    """Measures as long as any worker runs."""

    def __init__(self, *_: object) -> None:
        pass

    def measure(self, _: Network) -> Latency:
        patiently(lambda: all(worker.status() == psutil.STATUS_STOPPED for worker in workers()))
        return Latency(1, 1, 1)

    def close(self) -> None:
        pass


def test_while_a_latency_is_measured_no_worker_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before: list[str] = []
    closed: list[bool] = []

    class Watching(Waiting):
        def __init__(self, *_: object) -> None:
            before.extend(worker.status() for worker in workers())

        def close(self) -> None:
            closed.append(True)

    monkeypatch.setattr(local, "Meter", Watching)
    with start(tmp_path / "log", slots=2) as executor:
        executor.submit(job(0, rungs=(1,)))
        until(executor, is_a(Epoch))
        slots = executor._slots  # noqa: SLF001 (what stood still shall not have taken longer)
        since, began = [slot.since for slot in slots], time.monotonic()
        assert executor.latency(NETWORK) == Latency(1, 1, 1)
        stood = [slot.since - before for slot, before in zip(slots, since, strict=True)]
        assert 0 < min(stood) <= max(stood) < time.monotonic() - began
        executor.latency(NETWORK)
        assert len(before) == 2
        assert psutil.STATUS_STOPPED not in before
        executor.stop(0)
        until(executor, lambda event: event.kind == "done")
    assert closed == [True]


def test_an_epoch_took_no_longer_for_what_its_worker_stood_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "Meter", Waiting)
    with start(tmp_path / "log") as executor:
        executor.submit(job(0, "long epochs", rungs=(1,)))
        until(executor, is_a(Epoch))
        since, began = executor._slots[0].since, time.monotonic()  # noqa: SLF001 (moved by as much)
        executor.latency(NETWORK)
        stood = executor._slots[0].since - since  # noqa: SLF001
        executor.go(0)
        later = [event.seconds for event in until(executor, is_a(Done)) if isinstance(event, Epoch)]
    assert 0 < stood < time.monotonic() - began
    assert later == [pytest.approx(1e6 - stood, abs=1e-6), 1e6]


def test_what_is_queued_for_a_lock_is_done_one_after_the_other(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []
    together = Barrier(4)

    def measure(number: int) -> None:
        together.wait()
        for _ in range(20):
            with in_turn_if_possible(tmp_path / "new" / "lock"):
                inside.append(number)
                time.sleep(0)  # whoever does not wait has a turn
                most.append(len(inside))
                inside.remove(number)

    threads = [Thread(target=measure, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80


def test_where_no_lock_can_be_kept_nobody_waits(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with in_turn_if_possible(tmp_path / "file" / "lock"), in_turn_if_possible(tmp_path / "file" / "lock"):
        assert not (tmp_path / "file" / "lock").exists()
