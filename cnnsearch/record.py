"""How is what happened written down, so that what was acknowledged is never lost?

`record.jsonl` and, for the many epochs, `epochs.jsonl`: lines are only ever added, each with one write. A last word
(finished, interrupted, closed) and an opening are acknowledged when `append` returns: they are on the disk by then,
with all that was written before. What tells of work under way (asked, started, epoch) shares their fsync: it survives
the death of the process, and where a power cut takes it, the same candidate is asked and trained again. (An fsync takes
0.1 to 5 ms, the disk's own time; one for each of these took more than half of the coordinator's time for a trial.)

A crash or a full disk can leave a piece of a line that was never acknowledged at the end, and a power cut zeros in
place of any part of such lines; from there on the file is cut off when it is next opened for writing, and readers pass
over it. So are epochs of a trial that was never asked: a power cut may take the line that asked for it and leave the
epochs, which lie in another file.
"""

import errno
import os
import re
from collections.abc import Callable, Container, Generator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from cnnsearch.errors import RunError
from cnnsearch.events import Asked, Epoch, Event, Started, to_line
from cnnsearch.files import make_folder, open_own, refuse_links, sync_file, sync_folder, unwritten
from cnnsearch.lock import owned
from cnnsearch.signals import held

RECORD = "record.jsonl"
EPOCHS = "epochs.jsonl"
# No text in a line can hold them: JSON writes a quote there with a backslash.
_ASKED = re.compile(rb'"event":\s*"asked"')
_FINISHED = re.compile(rb'"event":\s*"finished"')
_UNDER_WAY = re.compile(rb'"event":\s*"(?:asked|started|epoch)"')
_TRIAL = re.compile(rb'"trial":\s*(\d+)')


class Record:
    """The two files of a run, open for adding; made by `own`."""

    def __init__(self, record: "Log", epochs: "Log") -> None:
        self._record = record
        self._epochs = epochs
        self._lost: RunError | None = None

    def append(self, event: Event) -> None:
        """Write one event, and what is not of work under way to the disk; raise RunError when the disk refuses."""
        with held():
            if self._lost:  # a later line may speak of a trial that went with the lines before
                raise self._lost
            is_under_way = isinstance(event, Asked | Started | Epoch)
            if not is_under_way:  # so that no last word is there without its epochs, whatever the system writes first
                self._sync(self._epochs)
            (self._epochs if isinstance(event, Epoch) else self._record).append(to_line(event))
            if not is_under_way:
                self._sync(self._record)

    def sync(self) -> None:
        """Bring to the disk what was written."""
        self._sync(self._epochs)
        self._sync(self._record)

    def _sync(self, log: "Log") -> None:
        """Do so; where the disk refuses, nobody knows what of it is there: it is taken back, and the record is over."""
        try:
            log.sync()
        except RunError as error:
            self._lost = error
            self._epochs.take_back()
            self._record.take_back()
            raise


class Log:
    """One file of lines, open for adding."""

    def __init__(self, path: Path, sound: Callable[[bytes], int]) -> None:
        self._path = path
        self._descriptor = open_own(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._bytes = sound(path.read_bytes())
        self._unsynced = 0
        os.ftruncate(self._descriptor, self._bytes)
        sync_file(self._descriptor)
        sync_folder(path.parent)

    def append(self, line: bytes) -> None:
        """Add a line whole or not at all."""
        try:
            written = os.write(self._descriptor, line)
            if written < len(line):  # a full disk takes what still fits; the rest then tells the reason
                os.write(self._descriptor, line[written:])
                raise OSError(errno.ENOSPC, "the disk took only a part of it")  # noqa: TRY301 (told below)
        except OSError as error:
            self._cut()
            raise unwritten(self._path, len(line), error) from error
        self._bytes += len(line)
        self._unsynced += len(line)

    def sync(self) -> None:
        """Bring all lines to the disk; does nothing where they are there."""
        if not self._unsynced:
            return
        try:
            sync_file(self._descriptor)
        except OSError as error:
            raise unwritten(self._path, self._unsynced, error) from error
        self._unsynced = 0

    def take_back(self) -> None:
        """Cut off the lines that are not on the disk."""
        self._bytes -= self._unsynced
        self._unsynced = 0
        self._cut()

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._descriptor)

    def _cut(self) -> None:
        with suppress(OSError):
            os.ftruncate(self._descriptor, self._bytes)


@contextmanager
def own(folder: Path) -> Generator[Record]:
    """Own a run's folder for the length of a `with`, and write its record.

    Raises RunError naming the owner when another process owns it, or a link that lies in it.
    """
    make_folder(folder)
    refuse_links(folder)
    with owned(folder):
        record = Log(folder / RECORD, sound_bytes)
        told = (folder / RECORD).read_bytes()
        asked, ended = len(_ASKED.findall(told)), ended_trials(told)
        logs = record, Log(folder / EPOCHS, partial(sound_epochs, asked=asked, ended=ended))
        try:
            yield Record(*logs)
        finally:
            for log in logs:
                log.close()


def sound_bytes(content: bytes, ended: Container[int] = ()) -> int:
    """Count the bytes up to the first line that a crash tore; `ended` are trials with a last word.

    Such is a last line without its line end, and one with NUL bytes in it: pages that a power cut kept from the disk
    read as zeros, and JSON has none. Pages come to the disk in any order, so whole lines of work under way may follow.
    Where a line follows that was acknowledged the file is damaged, and nothing left out; of the last one nobody knows.
    """
    end = content.rfind(b"\n") + 1
    zeros = content.find(b"\0", 0, end)
    if zeros < 0:
        return end
    later = content[zeros:end].splitlines()[1:-1]
    is_damaged = any(_is_sure(line, ended) for line in later if b"\0" not in line)
    return end if is_damaged else content.rfind(b"\n", 0, zeros) + 1


def _is_sure(line: bytes, ended: Container[int]) -> bool:
    """Say whether a line was on the disk before another was written: work under way surely is, once its trial ended."""
    return _trial(line) in ended if _UNDER_WAY.search(line) else True


def ended_trials(record: bytes) -> frozenset[int]:
    """Name the trials that have a last word in a record, and so all their epochs on the disk."""
    return frozenset(_trial(line) for line in record.splitlines() if _FINISHED.search(line))


def sound_epochs(content: bytes, asked: int, ended: Container[int]) -> int:
    """Count the bytes up to the first epoch of a trial that was never asked; trials are numbered as they are asked."""
    size = 0
    for line in content[: sound_bytes(content, ended)].splitlines(keepends=True):
        if _trial(line) >= asked:
            break
        size += len(line)
    return size


def _trial(line: bytes) -> int:
    found = _TRIAL.search(line)
    return int(found[1]) if found else -1
