"""What is in a folder of class folders? With train/, test/ and validation/ above them, or without.

Such as `my_images/cat/a.png`, or `my_images/train/cat/a.png` and `my_images/test/cat/b.png`.
"""

import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cnnsearch.own.found import Found, natural, refuse, too_large, wrong_classes, wrong_side
from cnnsearch.own.image import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"})
LITTER = frozenset({"thumbs.db", "desktop.ini", "__macosx"})  # what systems leave behind; hidden files are too
SPLIT_OF = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


class File(NamedTuple):
    """A picture by its path within the folder, and what changes whenever it does."""

    path: str
    split: str
    label: int
    size: int
    modified: int
    changed: int


class Listing(NamedTuple):
    """All pictures of a folder, by split, class and name."""

    classes: tuple[str, ...]
    files: tuple[File, ...]


def listed(folder: Path) -> Listing:
    """List the pictures without opening any; raise DataError with whatever does not belong there."""
    faults: list[str] = []
    tops = _splits(folder, faults)
    if faults:
        raise refuse(str(folder), faults)
    classes = tuple(sorted({entry.name for top in tops for entry in _folders(top, faults)}, key=natural))
    if not classes and not faults:
        faults.append("it has no class folders; make one for each class, with its pictures in it")
    faults += wrong_classes(classes)
    files = [file for top, split in tops.items() for file in _files(folder, top, split, classes, faults)]
    if faults:
        raise refuse(str(folder), faults)
    return Listing(classes, tuple(files))


def _splits(folder: Path, faults: list[str]) -> dict[Path, str]:
    """Give the folders that hold class folders, with their splits: the folder itself where it has no train/."""
    beside: list[str] = []
    names = [entry.name for entry in _folders(folder, beside)]
    if "train" not in names:  # then these are class folders, and what stands beside them is told with what is in them
        if "test" in names and set(names) <= SPLIT_OF.keys():
            faults.append("it has test/ and no train/; name the training images' folder train/")
        return {folder: "train"}
    faults += beside
    for name in names:
        if name not in SPLIT_OF:
            law = "stands beside train/, where only test/ and validation/ may stand"
            way = "put it into one of these, or take it out; where train is a class, put all classes under train/"
            faults.append(f"/{name}: {law}; {way}")
    if {"val", "validation"} <= set(names):
        faults.append("it has both val/ and validation/; put them together")
    return {folder / name: split for name, split in SPLIT_OF.items() if name in names}


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            seen = [each for each in entries if each.name[0] != "." and each.name.lower() not in LITTER]
    except OSError as error:
        raise refuse(str(folder), [f"it cannot be read ({error.strerror}); is there permission?"]) from None
    return sorted(seen, key=lambda entry: natural(entry.name))


def _folders(folder: Path, faults: list[str]) -> Iterator[os.DirEntry[str]]:
    for entry in _entries(folder):
        try:
            is_folder = entry.is_dir()
        except OSError as error:  # a link to itself
            faults.append(f"/{entry.name}: it cannot be read ({error.strerror}); repair or remove it")
            continue
        if is_folder:
            yield entry
        elif _is_picture(entry.name):
            faults.append(f"/{entry.name}: this picture belongs to no class; put it into a class folder")


def _is_picture(name: str) -> bool:
    return f".{name.rpartition('.')[2].lower()}" in SUFFIXES  # pathlib takes a second for 60,000 names


def _files(folder: Path, top: Path, split: str, classes: tuple[str, ...], faults: list[str]) -> Iterator[File]:
    for label, name in enumerate(classes):
        if not (top / name).is_dir():
            continue  # whether the split may lack it is a matter of counts
        before = len(faults)
        found = list(_in_class(top / name, str((top / name).relative_to(folder)), split, label, faults))
        if not found and len(faults) == before:
            faults.append(f"/{(top / name).relative_to(folder)}: no picture is in it; add some, or take the folder out")
        yield from found


def _in_class(folder: Path, within: str, split: str, label: int, faults: list[str]) -> Iterator[File]:
    for entry in _entries(folder):
        path = f"{within}/{entry.name}"
        try:
            seen = entry.stat()
        except OSError as error:  # a link to nothing, or to itself
            faults.append(f"/{path}: it cannot be read ({error.strerror}); repair or remove it")
            continue
        law = _wrong(entry.name, seen)
        if law:
            faults.append(f"/{path}: {law}")
        else:
            yield File(path, split, label, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


def _wrong(name: str, seen: os.stat_result) -> str | None:
    if stat.S_ISDIR(seen.st_mode):
        return "a folder stands in a class folder, where only pictures may; give the folder of the class folders"
    if not stat.S_ISREG(seen.st_mode):
        return "it is no ordinary file; take it out"
    if not _is_picture(name):
        return f"it is no picture by its name ({', '.join(sorted(SUFFIXES))}); rename it or take it out"
    return None


def read(folder: Path, listing: Listing, image: Image) -> Found:
    """Decode all pictures; raise DataError with every one that cannot be used."""
    import numpy as np

    from cnnsearch.own import picture

    faults: list[str] = []
    images: list[NDArray[np.uint8]] = []
    count, total = len(listing.files), 0

    def one(file: File) -> "NDArray[np.uint8] | str":
        try:
            return picture.read(folder / file.path, image)
        except picture.PictureError as error:
            return f"/{file.path}: {error}"

    pool = ThreadPoolExecutor()  # Pillow decodes without holding the interpreter
    try:
        for found in pool.map(one, listing.files):
            if isinstance(found, str):
                faults.append(found)
                continue
            images.append(found)
            total += found.nbytes
            # Judged by the first as if all were so large, and by what there is when later ones are larger.
            excess = too_large(count if len(images) == 1 else 1, *found.shape) or too_large(1, 1, 1, total)
            if excess:
                raise refuse(str(folder), [excess])
    finally:
        pool.shutdown(cancel_futures=True)
    faults = faults or list(_unequal(images, listing.files))
    faults = faults or [law for law in [wrong_side(*images[0].shape[:2])] if law]
    if faults:
        raise refuse(str(folder), faults)
    labels, names = [file.label for file in listing.files], [file.path for file in listing.files]
    return Found(np.stack(images), labels, names, [file.split for file in listing.files], listing.classes)


def _unequal(images: "Iterable[NDArray[np.uint8]]", files: Iterable[File]) -> Iterator[str]:
    """Say which sizes and which kinds of colour there are, where there are several."""
    sizes: dict[str, list[str]] = defaultdict(list)
    kinds: dict[str, list[str]] = defaultdict(list)
    for pixels, file in zip(images, files, strict=True):
        height, width, channels = pixels.shape
        sizes[f"{height}x{width}"].append(file.path)
        kinds["grey" if channels == 1 else "RGB"].append(file.path)
    if len(sizes) > 1:
        yield f"its pictures have {len(sizes)} sizes: {_told(sizes)}; --image.size '[HEIGHT, WIDTH]' resizes all"
    if len(kinds) > 1:
        yield f"its pictures are {_told(kinds)}; --image.channels 1 makes all grey, --image.channels 3 all RGB"


def _told(groups: dict[str, list[str]], most: int = 5) -> str:
    """Name each group with one of its files, the largest first."""
    largest = sorted(groups.items(), key=lambda group: -len(group[1]))
    told = [f"{name} ({paths[0]}{f' and {len(paths) - 1:,} more' if paths[1:] else ''})" for name, paths in largest]
    return ", ".join([*told[:most], *([f"{len(told) - most} others"] if len(told) > most else [])])
