"""Data sets of one's own, made small: pictures of noise in class folders, and arrays of it."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from cnnsearch.datasets import Facts
from cnnsearch.own.image import Image
from cnnsearch.own.keep import facts_of

CLASSES = ("cat", "dog")


def noise(seed: int, *shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def put(path: Path, pixels: NDArray[Any], **options: object) -> Path:
    """Write a picture; its suffix says in which format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Picture.fromarray(pixels).save(path, **options)
    return path


def fill(folder: Path, count: int = 10, shape: tuple[int, ...] = (8, 8), first: int = 0) -> Path:
    """Write so many pictures of each class; each has other pixels."""
    for label, name in enumerate(CLASSES):
        for number in range(first, first + count):
            put(folder / name / f"{number}.png", noise(1000 * label + number, *shape))
    return folder


def arrays(count: int = 20, shape: tuple[int, ...] = (8, 8)) -> dict[str, Any]:
    """Give so many images, half of them of each of two classes."""
    return {"images": noise(0, count, *shape), "labels": np.arange(count) % 2}


def facts(source: Path, root: Path) -> Facts:
    """Read a set as it is; here, so that other processes need no torch for it."""
    return facts_of(str(source), Image(), root)


def save(path: Path, **given: NDArray[Any]) -> Path:
    np.savez(path, **given)
    return path
