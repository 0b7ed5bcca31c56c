"""How does a file get onto the disk whole?"""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4


@contextmanager
def whole(path: Path) -> Generator[Path]:
    """Lend a new path beside `path` to write to; afterwards the file stands at `path` whole, or nothing changed.

    The bytes are on the disk before the name is (fsync, rename, fsync of the folder), so that neither a crash nor
    a power cut leaves half a file under the name.
    """
    draft = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_drafts(folder: Path) -> None:
    """Remove what processes that were killed left half written; nobody may be writing there."""
    for draft in folder.glob(".*.tmp"):
        draft.unlink(missing_ok=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file at once; text as UTF-8, with the line ends it has."""
    with whole(path) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk; Windows does it by itself and opens no folders."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
