"""What has been found in a data set of one's own, and how is it refused?

Axes: N images, H height, W width, C channels.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# (numpy's annotations have holes)

import os
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from cnnsearch.errors import MOST_TOLD, DataError

if TYPE_CHECKING:  # words answer at once, and most of them never see an image
    import numpy as np
    from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")
LEAST_SIDE, MOST_SIDE = 8, 512
LARGEST_SHARE = 4  # a whole set may take so small a part of the memory: decoding holds it twice


class Found(NamedTuple):
    """All images of a set, with their names (for errors), splits and labels in the same order."""

    images_NHWC: "NDArray[np.uint8]"
    labels: list[int]
    names: list[str]
    splits: list[str]
    classes: tuple[str, ...]


def refuse(source: str, faults: Iterable[str]) -> DataError:
    """Make an error of faults; one that begins with a slash has a path within the source as its place."""
    lines = [f"{source}{fault}" if fault.startswith("/") else f"{source}: {fault}" for fault in faults]
    more = [f"... and {len(lines) - MOST_TOLD:,} more"] if len(lines) > MOST_TOLD else []
    return DataError("\n".join([*lines[:MOST_TOLD], *more]))


def natural(name: str) -> tuple[list[tuple[int, str] | str], str]:
    """Give the key by which names are sorted as people do: 2 before 10.

    >>> sorted(["10", "9", "b2", "b10"], key=natural)
    ['9', '10', 'b2', 'b10']
    """
    parts = [part.lstrip("0") if number % 2 else part for number, part in enumerate(re.split(r"(\d+)", name))]
    return [(len(part), part) if number % 2 else part for number, part in enumerate(parts)], name


def most_bytes() -> int:
    """Give how many bytes of pixels a set may have on this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // LARGEST_SHARE


def too_heavy(what: str, total: int) -> str | None:
    """Say what is wrong with so many bytes, if something is."""
    law = f"and a set may have {most_bytes():,} here (a quarter of the memory)"
    return f"{what} {total:,} bytes, {law}" if total > most_bytes() else None


def too_large(images: int, height: int, width: int, channels: int) -> str | None:
    """Say why a set of such images is refused, if it is."""
    law = too_heavy(f"{images:,} images of {height}x{width}x{channels} are", images * height * width * channels)
    return law and f"{law}; take a smaller --image.size or fewer images"


def wrong_side(height: int, width: int) -> str | None:
    """Say why images of this size are refused, if they are."""
    if min(height, width) >= LEAST_SIDE and max(height, width) <= MOST_SIDE:
        return None
    law = f"its images are {height}x{width}, and both sides must be from {LEAST_SIDE} to {MOST_SIDE} pixels"
    return f"{law}; --image.size '[HEIGHT, WIDTH]' resizes them"


def wrong_classes(names: Iterable[str]) -> list[str]:
    """Say what is wrong with the names of classes."""
    listed = list(names)
    if len(listed) == 1:
        return [f"there is one class only ({listed[0]!r}), and a classifier tells at least two apart; add another"]
    bad = [name for name in listed if not name.isprintable() or not name.strip() or len(name) > 100]  # noqa: PLR2004
    law = "must be 1 to 100 characters that can be printed"
    return [f"the name of class {name[:100]!r} {law}; rename it" for name in bad]
