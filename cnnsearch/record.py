"""How is what happened written down, so that what was acknowledged is never lost?

`record.jsonl` and, for the many epochs, `epochs.jsonl`: lines are only ever added, each with one write and one fsync
(0.1 to 5 ms, the disk's own time). A line is acknowledged when `append` returns. A crash or a full disk can leave a
piece of a line that was never acknowledged at the end; it is cut off when the file is next opened for writing, and
readers pass over it.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from cnnsearch.errors import RunError
from cnnsearch.events import Epoch, Event, to_line
from cnnsearch.files import sync_folder
from cnnsearch.lock import owned

RECORD = "record.jsonl"
EPOCHS = "epochs.jsonl"


class Record:
    """The two files of a run, open for adding; made by `own`."""

    def __init__(self, record: "Log", epochs: "Log") -> None:
        self._record = record
        self._epochs = epochs

    def append(self, event: Event) -> None:
        """Write one event; it is on the disk when this returns. Raises RunError when the disk refuses."""
        (self._epochs if isinstance(event, Epoch) else self._record).append(to_line(event))


class Log:
    """One file of lines, open for adding."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644)
        self._bytes = sound_bytes(path.read_bytes())
        os.ftruncate(self._descriptor, self._bytes)
        os.fsync(self._descriptor)
        sync_folder(path.parent)

    def append(self, line: bytes) -> None:
        """Add a line whole or not at all."""
        try:
            written = os.write(self._descriptor, line)
            if written < len(line):  # a full disk takes what still fits; the rest then tells the reason
                os.write(self._descriptor, line[written:])
                self._refuse(line, "the disk took only a part of it")
            os.fsync(self._descriptor)
        except OSError as error:
            self._refuse(line, error.strerror or str(error))
        self._bytes += len(line)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _refuse(self, line: bytes, reason: str) -> None:
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._bytes)
        raise RunError(
            f"{self._path}: cannot write {len(line)} bytes ({reason}); nothing written before is lost: "
            "make room and give the same command again"
        )


@contextmanager
def own(folder: Path) -> Generator[Record]:
    """Own a run's folder for the length of a `with`, and write its record.

    Raises RunError naming the owner when another process owns it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with owned(folder):
        logs = Log(folder / RECORD), Log(folder / EPOCHS)
        try:
            yield Record(*logs)
        finally:
            for log in logs:
                log.close()


def sound_bytes(content: bytes) -> int:
    """Count the bytes up to the end of the last whole line.

    A last line without its line end was torn by a crash; so was one with NUL bytes in it: pages that a power cut
    kept from the disk read as zeros, and JSON has none.
    """
    end = content.rfind(b"\n") + 1
    last = content.rfind(b"\n", 0, max(end - 1, 0)) + 1
    return last if b"\0" in content[last:end] else end
