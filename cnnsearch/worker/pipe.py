"""How does a worker speak with its coordinator, and never outlive it?"""

import ctypes
import os
import signal
import sys
import traceback
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import IO, NoReturn

from cnnsearch.messages import Go, Job, News, Stop, read_order, to_line

PR_SET_PDEATHSIG = 1


class Coordinator:
    """The other end of standard input and output, which from here on are closed to everybody else.

    What user code prints goes to standard error, and what it reads is empty.
    """

    def __init__(self) -> None:
        orders, news = os.dup(0), os.dup(1)
        with Path(os.devnull).open("rb") as empty:
            os.dup2(empty.fileno(), 0)
        os.dup2(2, 1)
        sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)
        self._news = os.fdopen(news, "wb")
        self._lines: SimpleQueue[bytes] = SimpleQueue()
        die_with_parent()
        Thread(target=self._listen, args=(os.fdopen(orders, "rb"),), daemon=True).start()

    def say(self, news: News) -> None:
        """Tell the coordinator."""
        try:
            self._news.write(to_line(news))
            self._news.flush()
        except BrokenPipeError:
            end(0)

    def next_job(self) -> Job:
        """Wait for a job; answers to trials that are over are passed by."""
        while True:
            order = read_order(self._lines.get())
            if isinstance(order, Job):
                return order

    def stops(self, trial: int) -> bool:
        """Wait for Go or Stop at a rung; say whether it is Stop."""
        while True:
            order = read_order(self._lines.get())
            if isinstance(order, Go | Stop) and order.trial == trial:
                return isinstance(order, Stop)

    def _listen(self, lines: IO[bytes]) -> NoReturn:
        try:
            for line in lines:
                self._lines.put(line)
        except Exception:  # noqa: BLE001 (whatever it is, a worker that hears nothing must not live on)
            traceback.print_exc()
        end(0)  # the coordinator is gone, or wants us gone, whatever the main thread does


def end(status: int) -> NoReturn:
    """End at once, with all that user code started."""
    if os.getpgrp() == os.getpid():  # else a person started us, and the group is their shell's
        os.killpg(0, signal.SIGKILL)
    os._exit(status)


def die_with_parent() -> None:
    """Let Linux kill us with the coordinator, even while C code holds the interpreter and no thread can notice."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
