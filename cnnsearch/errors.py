"""What can go wrong, as exceptions a caller can tell apart."""

import errno
from collections.abc import Callable
from pathlib import Path
from reprlib import Repr
from typing import Literal, NamedTuple

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the system says where there is no room: on the disk, by a quota, or by a limit for files."""
MOST_SHOWN = 60  # characters of a value in an error
MOST_TOLD = 20  # faults of a file that is quite another thing
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = MOST_SHOWN
MOST_ITEMS = _SHORT.maxlist  # of a list in an error
Scope = Literal["field", "length", "word", "network"]


class Fault(NamedTuple):
    """One thing wrong in a file: where it stands, and the law with its numbers and a way out."""

    place: str
    message: str
    scope: Scope = "field"
    """What must be seen to notice it: one value, how many items a list has, the fields of one word, the network."""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}" if self.place else self.message


class CnnsearchError(Exception):
    """Every error that this library raises on purpose."""


class InvalidSpecError(CnnsearchError, ValueError):
    """A network, space, recipe or plan breaks a law; `faults` lists every place found, in `file` if it is named."""

    def __init__(self, faults: tuple[Fault, ...], file: str = "") -> None:
        self.faults = faults
        where, here = (f"{file}: ", str(Path(file))) if file else ("", "")
        told = [str(fault) if fault.place == here else f"{where}{fault}" for fault in faults[:MOST_TOLD]]
        more = [f"... and {len(faults) - MOST_TOLD:,} more"] if len(faults) > MOST_TOLD else []
        super().__init__("\n".join([*told, *more]))

    def under(self, outer: str) -> "InvalidSpecError":
        """Give the same faults as seen from a larger file, in which this one stands at `outer`."""
        return InvalidSpecError(tuple(fault._replace(place=join(outer, fault.place)) for fault in self.faults))


def faults_of(act: Callable[[], object]) -> tuple[Fault, ...]:
    """Give what is wrong by a check, so that the faults of several can be told at once."""
    try:
        act()
    except InvalidSpecError as error:
        return error.faults
    return ()


class DataError(CnnsearchError):
    """A data set is missing, damaged or not what it says."""


def refuse_unlike(value: object, kind: type, way_out: str) -> None:
    """Raise TypeError where a public function is given something else than it takes."""
    if not isinstance(value, kind):
        raise TypeError(f"takes a cnnsearch.{kind.__name__}, not {brief(value)}; {way_out}")


class NotDownloadedError(DataError):
    """A data set is not there, and nobody could be reached who has it."""


class RunError(CnnsearchError):
    """A run folder cannot be used: another plan, another owner, or nothing there."""


class DiskFullError(RunError, OSError):
    """A disk takes no more. Nothing written before is lost, and the same command goes on when there is room."""


class ExportError(CnnsearchError):
    """A network cannot be written in a format, or does there not what it did here."""


def status_of(error: CnnsearchError | OSError) -> int:
    """Give a command's exit status: 75 (sysexits.h: try again later) for a full disk, 2 for bad words, else 1."""
    if isinstance(error, InvalidSpecError):
        return 2
    is_full = isinstance(error, DiskFullError) or (isinstance(error, OSError) and error.errno in FULL)
    return 75 if is_full else 1


def place(*parts: str | int) -> str:
    """Write a place as everywhere in this library: `blocks[3].maxpool.kernel_size`.

    >>> place("blocks", 3, "maxpool", "kernel_size")
    'blocks[3].maxpool.kernel_size'
    """
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_legible(part)}" for part in parts if part != "")
    return text.removeprefix(".")


def _legible(key: str) -> str:
    """Keep what a terminal cannot show, or nobody reads, out of an error; a known key or place is never that."""
    return key if key.isprintable() and len(key) <= 10 * MOST_SHOWN else brief(key)


def brief(value: object) -> str:
    """Write a value as in an error: legible, on a part of a line, and quickly however large it is.

    >>> brief("3"), brief([1] * 1000)
    ("'3'", '[1, 1, 1, 1, 1, 1, ...]')
    """
    try:
        text = _SHORT.repr(value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def join(outer: str, inner: str) -> str:
    """Put a place that was found within `outer` behind it.

    >>> join("space", "blocks[0]"), join("blocks", "[0]"), join("", "blocks")
    ('space.blocks[0]', 'blocks[0]', 'blocks')
    """
    return outer + inner if inner.startswith("[") or not outer or not inner else f"{outer}.{inner}"
