"""Who owns a folder?

A lock of the operating system on the file `lock`, which also says who holds it. The kernel lets go of it when the owner
dies, however it dies: no stale locks, no clock, no heartbeat. The file stays when the lock is given back (removing it
would let two owners in, each with a file of its own). On network file systems the lock is as good as their `flock` is.
"""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cnnsearch.errors import RunError
from cnnsearch.files import open_own, unwritten

NAME = "lock"
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP}
"""What `flock` says on a file system that has none."""
PATIENCE = 0.5  # seconds: `is_owned` of a reader holds the lock for microseconds; that refuses no owner


class Owner(NamedTuple):
    """Who holds a lock: process `pid` on `host` since `started` (Unix seconds)."""

    host: str
    pid: int
    started: float

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.started).astimezone().isoformat(" ", "seconds")
        return f"process {self.pid} on {self.host} (since {since})"


@contextmanager
def owned(folder: Path) -> Generator[Owner]:
    """Own a folder for the length of a `with`.

    Raises RunError naming the owner, where locks cannot be had, or where nothing can be written.
    """
    me = Owner(socket.gethostname(), os.getpid(), time.time())
    path, line = folder / NAME, json.dumps(me._asdict()).encode() + b"\n"
    with ExitStack() as held:
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
        held.callback(os.close, descriptor)
        _own(descriptor, folder)
        try:
            _say(descriptor, line)
        except OSError as error:
            raise unwritten(path, len(line), error) from error
        yield me


@contextmanager
def in_turn(path: Path) -> Generator[None]:
    """Hold a lock when those who hold it have given it back; raise OSError where it has no place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while not _lock(descriptor):
            time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def in_turn_if_possible(path: Path) -> Generator[None]:
    """Do the same, but without a place for the lock go ahead."""
    with ExitStack() as held:
        with suppress(OSError):
            held.enter_context(in_turn(path))
        yield


def is_owned(folder: Path) -> bool:
    """Tell whether a living process owns the folder; raise RunError where its lock is no file that can be read."""
    try:
        descriptor = open_own(folder / NAME, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        return not _lock(descriptor, shared=True)
    except OSError as error:
        if error.errno in NO_LOCKS:  # so nobody can have taken one
            return False
        raise
    finally:
        os.close(descriptor)


def refuse_owned(folder: Path) -> None:
    """Raise RunError, naming the owner, where a living process owns the folder: what is read may change meanwhile."""
    if is_owned(folder):
        raise RunError(_taken(folder))


def _own(descriptor: int, folder: Path) -> None:
    try:
        if _lock_patiently(descriptor):
            return
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        law = f"{folder}: its file system has no locks ({error.strerror}), so two commands could write into the run"
        raise RunError(f"{law}; let runs lie on a local disk (a study's --runs)") from None
    raise RunError(f"{_taken(folder)}; a new study can take another --name")


def _taken(folder: Path) -> str:
    return f"{folder}: {_said(folder)} owns this run; wait for it or stop it"


def _lock_patiently(descriptor: int) -> bool:
    end = time.monotonic() + PATIENCE
    while not _lock(descriptor):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def _lock(descriptor: int, *, shared: bool = False) -> bool:
    with suppress(BlockingIOError, PermissionError):
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return True
    return False


def _say(descriptor: int, line: bytes) -> None:
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.write(descriptor, line)


def _said(folder: Path) -> str:
    with suppress(OSError, ValueError, TypeError), (folder / NAME).open("rb") as file:
        return str(Owner(**json.loads(file.read())))
    return "another process"
