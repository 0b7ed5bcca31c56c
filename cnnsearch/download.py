"""How do MNIST's files come to the disk, whole? Found, else unpacked, else downloaded; always checked.

torchvision's own download has no timeout, leaves partial files behind and does not check what it finds later.
Needs no torch, unless something must be downloaded (torchvision knows the mirrors).
"""

import time
import urllib.request
import zlib
from collections.abc import Sequence
from hashlib import sha256
from http.client import HTTPException
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from urllib.error import HTTPError

from cnnsearch.datasets import FACTS, MNIST_FILES, File, mnist_folder
from cnnsearch.errors import DataError, DiskFullError, NotDownloadedError
from cnnsearch.files import remove_drafts, sha256_of, write_whole
from cnnsearch.lock import in_turn
from cnnsearch.own.keep import kept

SILENCE_SECONDS = 10.0  # without a byte from a mirror, before the next one is tried
FILE_SECONDS = 300.0  # for one file from one mirror: the greatest is 9.6 MB
CHUNK_BYTES = 1 << 16
GZIP = 16 + zlib.MAX_WBITS


def prepare(name: str, root: Path, mirrors: Sequence[str] | None = None) -> None:
    """Bring a data set's files to `root`, or raise DataError with what to do; several processes may call at once.

    `name` is a data set's key; one of the user's own lies there already, since its plan was read.

    `mirrors` are addresses of folders that end in a slash; None stands for torchvision's.
    """
    if name not in FACTS:
        kept(name, root)
    if name != "mnist":
        return
    try:
        if not _missing(mnist_folder(root)):
            return
        with in_turn(mnist_folder(root).parent / ".lock"):
            mnist_folder(root).mkdir(exist_ok=True)
            remove_drafts(mnist_folder(root))
            # Another process may have brought them while this one waited.
            for file in _missing(mnist_folder(root)):
                _bring(file, mnist_folder(root), mirrors)
    except DiskFullError:
        raise
    except OSError as error:
        raise DataError(f"{mnist_folder(root)} cannot be used for MNIST: {error}; name another --data-root") from error


def _missing(folder: Path) -> list[File]:
    """Return the files that are not there yet; refuse one that is there and wrong."""
    return [file for file in MNIST_FILES if not _is_right(file, folder / file.name)]


def _is_right(file: File, path: Path) -> bool:
    if not path.is_file():
        return False
    if path.stat().st_size != file.size or sha256_of(path) != file.sha256:
        raise DataError(
            f"{path} is damaged or not MNIST's: the sha256 of its content must be {file.sha256};"
            " delete it and run again"
        )
    return True


def _bring(file: File, folder: Path, mirrors: Sequence[str] | None) -> None:
    packed = folder / f"{file.name}.gz"
    if not packed.is_file():
        write_whole(folder / file.name, _download(file, folder, torchvision_mirrors() if mirrors is None else mirrors))
        return
    try:
        write_whole(folder / file.name, _unpack(file, packed.read_bytes()))
    except ValueError as error:
        raise DataError(f"{packed} is damaged or not MNIST's: {error}; delete it and run again") from None


def _unpack(file: File, packed: bytes) -> bytes:
    """Unpack and check; raise ValueError for anything but the right bytes. No bomb gets past the known size."""
    try:
        content = zlib.decompressobj(GZIP).decompress(packed, file.size + 1)
    except zlib.error as error:
        raise ValueError(f"it is not a gzip file ({error})") from None
    found = sha256(content).hexdigest()
    if found != file.sha256:
        raise ValueError(f"the sha256 of its content is {found}, not {file.sha256}")
    return content


def torchvision_mirrors() -> Sequence[str]:
    """Return the addresses that torchvision knows for MNIST, best first."""
    from torchvision.datasets import MNIST  # pyright: ignore[reportMissingTypeStubs]

    return MNIST.mirrors


def _download(file: File, folder: Path, mirrors: Sequence[str]) -> bytes:
    reasons: list[str] = []
    for mirror in mirrors:
        address = f"{mirror}{file.name}.gz"
        try:
            return _unpack(file, _read(address, 2 * file.size))
        except (OSError, HTTPException, ValueError) as error:
            reasons.append(f"{address}: {error}")
    names = ", ".join(each.name for each in MNIST_FILES)
    raise NotDownloadedError(
        f"MNIST is not in {folder} and could not be downloaded ({'; '.join(reasons)}). Put the files {names}"
        " there, as they are or as .gz, or name the folder that holds MNIST/raw by --data-root; or use --dataset"
        " digits, which needs no download"
    )


def _read(address: str, most_bytes: int) -> bytes:
    """Read an address; raise OSError, HTTPException or ValueError when that fails, takes too long or is too long."""
    deadline = time.monotonic() + FILE_SECONDS
    chunks: SimpleQueue[bytes | Exception] = SimpleQueue()
    given_up = Event()
    Thread(target=_fetch, args=(address, chunks, given_up), daemon=True).start()
    content = bytearray()
    try:
        while chunk := _next(chunks):
            content += chunk
            if len(content) > most_bytes:
                raise ValueError(f"it is longer than {most_bytes} bytes")
            if time.monotonic() > deadline:
                raise TimeoutError(f"it took longer than {FILE_SECONDS:g} s")
    finally:
        given_up.set()
    return bytes(content)


def _fetch(address: str, chunks: "SimpleQueue[bytes | Exception]", given_up: Event) -> None:
    """Hand on chunk after chunk, then nothing, or what went wrong.

    In a thread, since a timeout of a socket begins anew with each byte, a name may be looked up for minutes, and both
    come before there is anything to close.
    """
    try:
        with urllib.request.urlopen(address, timeout=SILENCE_SECONDS) as response:  # noqa: S310 (checked by hash)
            while not given_up.is_set() and (chunk := response.read1(CHUNK_BYTES)):
                chunks.put(chunk)
            lacking = response.length
        chunks.put(ValueError(f"it broke off {lacking} bytes before its end") if lacking else b"")
    except HTTPError as error:
        error.close()  # it holds the answer's connection
        chunks.put(error)
    except (OSError, HTTPException, ValueError) as error:
        chunks.put(error)


def _next(chunks: "SimpleQueue[bytes | Exception]") -> bytes:
    try:
        found = chunks.get(timeout=SILENCE_SECONDS)
    except Empty:
        raise TimeoutError(f"nothing of it came for {SILENCE_SECONDS:g} s") from None
    if isinstance(found, Exception):
        raise found
    return found
