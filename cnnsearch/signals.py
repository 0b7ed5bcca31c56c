"""How does a polite signal end a command?

Ctrl-C, SIGTERM and SIGHUP raise KeyboardInterrupt wherever the program is, so that it ends in order; a second one ends
it at once, unless it came with the first. Wherever is too much: Python drops what comes up in a finalizer, and a
library that is cut in two may say something quite different, or nothing. So what must not be cut in two is `held`;
whoever waits for others looks by `check` whether something was heard; and whatever ends a command that heard a signal
is taken for its answer.

A script of one's own that calls this library keeps its own handlers, and all of this does nothing.
"""

import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

POLITE = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class _Ear:
    """What was heard, and how many wait to be done with what they hold; a process has one, as it has one handler."""

    heard: int | None = None
    holds = 0


@contextmanager
def listening() -> Generator[None]:
    """Turn polite signals into KeyboardInterrupt; SIGTERM and SIGHUP that are ignored, as by nohup, stay so."""
    before = {number: signal.getsignal(number) for number in POLITE}
    listened = [number for number in POLITE if number == signal.SIGINT or before[number] != signal.SIG_IGN]
    dropped = sys.unraisablehook

    def hear(number: int, frame: FrameType | None) -> None:
        _ = frame
        for each in listened:
            signal.signal(each, signal.SIG_DFL)
        _Ear.heard = number
        if not _Ear.holds:
            raise KeyboardInterrupt

    def drop(unraisable: "sys.UnraisableHookArgs") -> None:
        came_with_another = _Ear.heard and unraisable.exc_type is OSError and unraisable.object is None
        if unraisable.exc_type is not KeyboardInterrupt and not came_with_another:  # these say what was heard
            dropped(unraisable)

    _Ear.heard, _Ear.holds, sys.unraisablehook = None, 0, drop
    try:
        for number in listened:
            signal.signal(number, hear)
        yield
    finally:
        for number in listened:
            signal.signal(number, before[number])
        sys.unraisablehook = dropped


def obeying(story: Callable[[], int], say: Callable[[], None]) -> int:
    """Do what may be stopped; give its exit status, or where a signal ends it `say` so and give 128 and its number."""
    with listening():
        try:
            status = story()
            check()
        except BaseException:
            number = heard()
            if number is None:
                raise
            say()
            return 128 + number
        return status


@contextmanager
def held() -> Generator[None]:
    """Let the first polite signal wait for the end of this, which must be near."""
    before = _Ear.heard
    _Ear.holds += 1
    try:
        yield
    finally:
        _Ear.holds -= 1
    if before is None:
        check()


def check() -> None:
    """Raise KeyboardInterrupt where a polite signal was heard and its own was lost on the way."""
    if _Ear.heard is not None and not _Ear.holds:
        raise KeyboardInterrupt


def heard() -> int | None:
    """Give the number of the signal that ends this command, if there was one."""
    return _Ear.heard


def end_with_reader() -> None:
    """End without a word, as other commands do, when who reads our output has enough (`| head`)."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
