"""How is one worker process started, spoken to, listened to and ended?"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Thread

from cnnsearch.messages import News, Order, read_news, to_line

TAIL_BYTES = 4_000
MOST_LOG_BYTES = 5_000_000


class Ended(int):
    """Exit status of a worker that is over; a signal's number, negated, where one ended it."""


Heard = News | Ended


class WorkerProcess:
    """A running worker. `hear` is called from its threads: for every message, and once, last, for its end."""

    def __init__(self, command: Sequence[str], log: Path, hear: Callable[[Heard], None]) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)  # it may have been removed
        with log.open("ab") as errors:
            self._log_start = errors.tell()
            # A session of its own: Ctrl-C reaches the coordinator alone, and the whole group can be ended.
            self._process = subprocess.Popen(  # noqa: S603 (no shell; the command is ours or the caller's)
                command,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        assert self._process.stdin
        assert self._process.stdout
        self._orders = self._process.stdin
        self._news = self._process.stdout
        self._reader = Thread(target=self._read, args=(hear,), daemon=True)
        self._waiter = Thread(target=self._wait, args=(hear,), daemon=True)
        self._reader.start()
        self._waiter.start()

    def say(self, order: Order) -> None:
        """Tell the worker; what a dead one is told is lost, and its end is heard anyway."""
        with suppress(OSError):
            self._orders.write(to_line(order))
            self._orders.flush()

    def end(self, number: signal.Signals) -> None:
        """Send a signal to the worker and all that it started."""
        if self._process.returncode is None:  # else its number may be another process's by now
            self._signal(number)

    def pause(self) -> None:
        """Let the worker, and all that it started, stand still until `resume`."""
        self.end(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.end(signal.SIGCONT)

    def join(self, timeout: float) -> bool:
        """Wait until all is heard and close the pipe; False when the worker lives on."""
        self._waiter.join(timeout)
        if self._waiter.is_alive():
            return False
        with suppress(OSError):  # an order that it never read cannot be flushed
            self._orders.close()
        return True

    def last_words(self) -> str:
        """Return the end of what this worker wrote to its log."""
        with self._log.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(max(min(self._log_start, end), end - TAIL_BYTES))
            return file.read().decode(errors="replace").strip()

    def _read(self, hear: Callable[[Heard], None]) -> None:
        with self._news as lines:
            for line in lines:
                try:
                    hear(read_news(line))
                except ValueError:
                    self._distrust(line)

    def _distrust(self, line: bytes) -> None:
        # Without its end a line was torn by the worker's death, which is heard anyway.
        if line.endswith(b"\n"):
            with self._log.open("ab") as file:
                file.write(b"cnnsearch ended this worker, since it said what is no message: " + line[:TAIL_BYTES])
            self.end(signal.SIGKILL)

    def _wait(self, hear: Callable[[Heard], None]) -> None:
        status = self._process.wait()
        self._signal(signal.SIGKILL)  # what the worker forked may hold its pipe and its GPU memory
        self._reader.join()
        hear(Ended(status))

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # PermissionError: macOS, for a group of zombies
            os.killpg(self._process.pid, number)


def trim(log: Path) -> None:
    """Cut a log that grew too long to its end; a worker that writes just then may lose a line."""
    if not log.exists() or log.stat().st_size <= MOST_LOG_BYTES:  # it may have been removed
        return
    with log.open("r+b") as file:
        file.seek(-MOST_LOG_BYTES // 2, os.SEEK_END)
        kept = file.read(MOST_LOG_BYTES)
        file.truncate(0)
        file.seek(0)
        file.write(b"(older lines were cut here)\n" + kept)


# glibc gives the maps of a training step back to the system after each step and asks for them again in the next: up to
# 1,900 page faults a step, 0 to 8 % of its time. Read by glibc alone.
_KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(2 * 10**9)}


def environment() -> dict[str, str]:
    """Give a worker our import path, the current folder included, and one thread."""
    # The whole path travels, so workers run with -P, which puts no folder before it.
    here = str(Path.cwd())
    path = [entry or here for entry in sys.path]
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    return {**os.environ, **one, **_KEEP_MEMORY, "PYTHONPATH": os.pathsep.join(dict.fromkeys([*path, here]))}
