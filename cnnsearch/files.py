"""How does a file get onto the disk whole, and is it the one that was written?"""

import errno
import fcntl
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from cnnsearch.errors import FULL, DiskFullError, RunError

FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)  # Apple's, see its manual page of fsync


@contextmanager
def whole(path: Path, *, sync: bool = True) -> Generator[Path]:
    """Lend a new path beside `path` to write to; afterwards the file stands at `path` whole, or nothing changed.

    The bytes are on the disk before the name is (fsync, rename, fsync of the folder), so that neither a crash nor
    a power cut leaves half a file under the name. Without `sync` a crash does not, but a power cut may.
    """
    draft = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        yield draft
        if sync:
            with draft.open("rb+") as file:
                sync_file(file.fileno())
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    if sync:
        sync_folder(path.parent)


def open_own(path: Path, flags: int) -> int:
    """Open a file of a run, and nothing else that goes by its name: no link out of the run, no pipe that never ends.

    A run's folder may come from somebody else. Raises RunError where something else stands there, or where a file
    cannot be made, written or read; FileNotFoundError or NotADirectoryError where one that is to be read is not there.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            raise RunError(_foreign(path)) from None
        if flags & os.O_CREAT:
            law = f"{path}: cannot be written ({error.strerror});"
            raise _refused(law, error, "permit it, or move the run to where it can be") from error
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            raise
        way = "permit it, or ask its owner for a copy" if isinstance(error, PermissionError) else "see to the disk"
        raise RunError(f"{path}: cannot be read ({error.strerror}); {way}") from error
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise RunError(_foreign(path))


def _refused(law: str, error: OSError, way_out: str) -> RunError:
    """Make the error of a disk that refuses; where it is full, there is one way out."""
    if error.errno in FULL:
        return DiskFullError(f"{law} make room and give the same command again")
    return RunError(f"{law} {way_out}")


def expanded(folder: str) -> Path:
    """Put a home in the place of `~`; raise RunError where nobody of that name has one."""
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise RunError(f"{folder}: there is no such home; write the folder's whole path") from None


def read_own(path: Path) -> bytes:
    """Read such a file."""
    with os.fdopen(open_own(path, os.O_RDONLY), "rb") as file:
        return file.read()


def refuse_links(folder: Path) -> None:
    """Raise RunError where a link lies in a run's folder: what is written there must not get out of it."""
    for path in folder.rglob("*"):
        if path.is_symlink():
            raise RunError(_foreign(path))


def _foreign(path: Path) -> str:
    return f"{path}: no file of the run's own but a link, a folder or a pipe; remove it, or put the file in its place"


def remove_drafts(folder: Path) -> None:
    """Remove what processes that were killed left half written; nobody may be writing there."""
    for draft in folder.glob(".*.tmp"):
        draft.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file at once; text as UTF-8, with the line ends it has. Raises DiskFullError where there is no room."""
    written = content.encode() if isinstance(content, str) else content
    try:
        with whole(path) as draft:
            draft.write_bytes(written)
    except OSError as error:
        if error.errno in FULL:
            raise unwritten(path, len(written), error) from error
        raise


def unwritten(path: Path, count: int, error: OSError) -> RunError:
    """Say what a disk does not take, and what to do."""
    law = f"{path}: cannot write {count:,} bytes ({error.strerror or error}); nothing written before is lost:"
    return _refused(law, error, "see to the disk and give the same command again")


def make_folder(folder: Path) -> None:
    """Make a folder and those above that are missing; afterwards their names are on the disk.

    Raises RunError where a file is in the way, or nothing may be made, DiskFullError where there is no room.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        law = f"{folder}: a file stands where a folder is to be made"
        raise RunError(f"{law}; move it, or name another place") from None
    except OSError as error:
        law = f"{folder}: cannot be made ({error.strerror});"
        raise _refused(law, error, "permit it, or name another place") from None
    for each in missing:
        sync_folder(each.parent)


def sync_file(descriptor: int) -> None:
    """Put what was written to a file on the disk; on macOS `fsync` alone leaves it in the drive's own cache."""
    if FULL_SYNC is not None:
        with suppress(OSError):  # some file systems of a network know no such thing
            fcntl.fcntl(descriptor, FULL_SYNC)
            return
    os.fsync(descriptor)


def sha256_of(path: Path) -> str:
    """Give the SHA-256 of a file's content, in hexadecimal digits."""
    return sha256(path.read_bytes()).hexdigest()


def holds(path: Path, digest: str) -> bool:
    """Say whether a file is there with the content of this SHA-256."""
    return path.is_file() and sha256_of(path) == digest


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync_file(descriptor)
    finally:
        os.close(descriptor)
