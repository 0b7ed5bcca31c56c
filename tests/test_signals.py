"""How a polite signal becomes the end of a command, wherever it comes."""

import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from cnnsearch import signals
from cnnsearch.evaluate.training import bar_of_trainings
from cnnsearch.study import __main__ as command
from cnnsearch.study import conduct


class _LastWords:
    """Gets a signal while it is finalized, where Python drops whatever comes up."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


@pytest.fixture(autouse=True)
def _nothing_was_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals._Ear, "heard", None)  # noqa: SLF001


def test_a_polite_signal_raises_where_the_program_is() -> None:
    with signals.listening(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert signals.heard() == signal.SIGTERM


def test_a_second_signal_is_the_system_s() -> None:
    with signals.listening():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert {signal.getsignal(number) for number in signals.POLITE} == {signal.SIG_DFL}


def test_handlers_are_given_back() -> None:
    before = [signal.getsignal(number) for number in signals.POLITE], sys.unraisablehook
    with signals.listening(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert ([signal.getsignal(number) for number in signals.POLITE], sys.unraisablehook) == before


def test_what_is_held_is_done_first() -> None:
    done: list[str] = []

    def do_all() -> None:
        with signals.held():
            with signals.held():
                signal.raise_signal(signal.SIGINT)
            done.append("all")

    with signals.listening(), pytest.raises(KeyboardInterrupt):
        do_all()
    assert done == ["all"]


def test_what_ends_in_order_after_a_signal_may_hold_too() -> None:
    with signals.listening():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        with signals.held():
            pass


def test_a_signal_that_python_drops_is_heard_by_who_looks(capfd: pytest.CaptureFixture[str]) -> None:
    with signals.listening():
        _LastWords()
        assert signals.heard() == signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            signals.check()
    assert "KeyboardInterrupt" not in capfd.readouterr().err


def test_a_signal_that_comes_with_another_makes_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    both = {signal.SIGHUP, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, both)
    with signals.listening():
        for number in both:
            signal.pthread_kill(threading.get_ident(), number)  # another thread would not let it wait
        with pytest.raises(KeyboardInterrupt):
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert signals.heard() in both
    assert capfd.readouterr().err == ""


def test_other_errors_that_python_drops_are_still_told() -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("told")

    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda unraisable: told.append(str(unraisable.exc_value)))
        with signals.listening():
            Broken()
    assert told == ["told"]


def test_a_hangup_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals.listening():
            signal.raise_signal(signal.SIGHUP)
        assert signals.heard() is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_without_a_signal_nothing_happens() -> None:
    with signals.listening():
        signals.check()
        with signals.held():
            signals.check()
        assert signals.heard() is None


def test_a_study_whose_signal_became_another_error_was_stopped_by_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut(*_: object, **__: object) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        finally:
            raise RuntimeError("the library that was cut in two")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("cnnsearch.study.conduct.search", cut)
    assert command.main(["--dataset", "digits"]) == 130
    assert capsys.readouterr().err == "\nstopped before anything was done.\n"


def test_a_signal_that_a_library_swallows_while_it_draws_ends_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(_: Path) -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("cnnsearch.report.write.write_report", draw)
    with signals.listening(), pytest.raises(KeyboardInterrupt):
        conduct._write_page(tmp_path, bar_of_trainings("trials", quiet=True))  # noqa: SLF001 (what a study does last)
