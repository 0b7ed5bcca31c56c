"""What is in an .npz file? Arrays `images` and `labels`; `classes`, and those of test and validation, may be there.

    numpy.savez("my_images.npz", images=images, labels=labels, classes=["cat", "dog"])

Headers are believed before anything is unpacked, and nothing is unpickled. Axes: N images, H height, W width,
C channels; which order the last three have is seen from the channels, of which there are 1 or 3.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# (numpy's annotations have holes)

import math
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from cnnsearch.errors import brief
from cnnsearch.own.found import SPLITS, Found, natural, refuse, too_heavy, too_large, wrong_classes, wrong_side
from cnnsearch.own.image import Image

ONE_HOT = "labels.ravel(), or labels.argmax(1) where they are one-hot, makes it so"
PREFIXES = {"train": "", "validation": "validation_", "test": "test_"}
ARRAYS = (*(f"{prefix}{kind}" for prefix in PREFIXES.values() for kind in ("images", "labels")), "classes")
CHANNELS = (1, 3)
AXES = 3, 4  # of images without and with channels

Array = NDArray[Any]


class _Header(NamedTuple):
    shape: tuple[int, ...]
    fortran: bool
    dtype: "np.dtype[Any]"


def read(path: Path, image: Image) -> Found:
    """Return all images of the file; raise DataError with array and index of what cannot be used."""
    source = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            _refuse_other_packing(archive)
            arrays = _arrays(archive, source)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        text = getattr(error, "strerror", None) or str(error)
        law = f"it cannot be read, or is no whole .npz file ({text})"
        raise refuse(source, [f"{law}; make it by numpy.savez(PATH, images=..., labels=...)"]) from None
    _refuse_numbers_beside_texts(arrays, source)
    classes = _classes(arrays, source)
    images: list[Array] = []
    labels: list[int] = []
    names: list[str] = []
    splits: list[str] = []
    for split in SPLITS:
        prefix = PREFIXES[split]
        if f"{prefix}images" not in arrays:
            continue
        found = _images(arrays[f"{prefix}images"], f"{prefix}images", source, image)
        labels += _labels(arrays[f"{prefix}labels"], f"{prefix}labels", len(found), classes, source)
        images.append(found)
        names += [f"{prefix}images[{row}]" for row in range(len(found))]
        splits += [split] * len(found)
    shapes = {f"{PREFIXES[split]}images": each.shape[1:] for split, each in zip(dict.fromkeys(splits), images)}  # noqa: B905 (empty arrays are refused)
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
        raise refuse(source, [f"its images differ in shape: {told}; --image.size and --image.channels make them equal"])
    return Found(images[0] if len(images) == 1 else np.concatenate(images), labels, names, splits, classes)


def _refuse_other_packing(archive: zipfile.ZipFile) -> None:
    for info in archive.infolist():
        if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            raise NotImplementedError(f"{info.filename} is packed in a way that is not numpy's")


def _arrays(archive: zipfile.ZipFile, source: str) -> dict[str, Array]:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    faults = [f"array {brief(name)} is not known; the arrays are {', '.join(ARRAYS)}" for name in members
              if name not in ARRAYS]  # fmt: skip
    for prefix in PREFIXES.values():
        pair = [f"{prefix}images", f"{prefix}labels"]
        lacking = [name for name in pair if name not in members]
        if lacking and (len(lacking) == 1 or not prefix):
            law = f"it has no array {' and no array '.join(map(repr, lacking))}"
            there = ", ".join(map(brief, members)) or "none"
            faults.append(f"{law} (it has {there}); save it with {' and '.join(pair)}")
    if faults:
        raise refuse(source, faults)
    headers = {name: _header(archive, info, name, source) for name, info in members.items()}
    law = too_heavy("its arrays unpack to", sum(_bytes(header) for header in headers.values()))
    if law:
        raise refuse(source, [f"{law}; take fewer or smaller images"])
    return {name: _unpacked(archive, info, headers[name], name, source) for name, info in members.items()}


def _bytes(header: _Header) -> int:
    return math.prod(header.shape) * header.dtype.itemsize


def _header(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, source: str) -> _Header:
    """Read what an array claims to be, and hold it against what the archive claims: neither unpacks anything."""
    with archive.open(info) as file:
        try:
            header = _Header(*_HEADERS[npy.read_magic(file)](file))
        except (ValueError, KeyError, TypeError, SyntaxError, EOFError) as error:
            raise refuse(source, [f"{name}: it is no array of numpy's ({_first(error)}); save it anew"]) from None
        begin = file.tell()
    if header.dtype.hasobject:
        law = "it holds Python objects, which are not unpickled: that could run anything"
        raise refuse(source, [f"{name}: {law}; save an array of numbers or text"])
    if min(header.shape, default=0) < 0 or begin + _bytes(header) != info.file_size:
        law = f"shape {header.shape} of {header.dtype} needs {_bytes(header):,} bytes, and"
        raise refuse(source, [f"{name}: {law} {info.file_size - begin:,} are there; save it anew"])
    return header


def _from_1(file: IO[bytes]) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    return npy.read_array_header_1_0(file)


def _from_2(file: IO[bytes]) -> tuple[tuple[int, ...], bool, "np.dtype[Any]"]:
    return npy.read_array_header_2_0(file)


_HEADERS = {(1, 0): _from_1, (2, 0): _from_2}


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, header: _Header, name: str, source: str) -> Array:
    with archive.open(info) as file:
        _HEADERS[npy.read_magic(file)](file)
        content = file.read(_bytes(header))
    if len(content) != _bytes(header):
        raise refuse(source, [f"{name}: it breaks off after {len(content):,} bytes; save it anew"])
    if 0 in header.shape:
        raise refuse(source, [f"{name}: it is empty (shape {header.shape}); put images in, or leave it out"])
    return np.frombuffer(content, header.dtype).reshape(header.shape, order="F" if header.fortran else "C")


def _first(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _images(array: Array, name: str, source: str, image: Image) -> Array:
    """Return them as NHWC bytes."""
    if array.dtype != np.uint8:
        law = f"its dtype is {array.dtype}{_span(array, name)}, and pixels are uint8, from 0 to 255"
        raise refuse(source, [f"{name}: {law}; {_way_to_bytes(array)}"])
    if array.ndim not in AXES or (array.ndim == AXES[1] and not {array.shape[1], array.shape[3]} & {*CHANNELS}):
        law = f"its shape is {array.shape}, and images are (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1 or 3"
        raise refuse(source, [f"{name}: {law}; transpose them, or take other channels away"])
    if array.ndim == AXES[0]:
        images_NHWC = array[..., None]
    else:
        images_NHWC = array if array.shape[3] in CHANNELS else array.transpose(0, 2, 3, 1)
    if image.size is not None or image.channels is not None:
        images_NHWC = _brought(images_NHWC, name, source, image)
    law = wrong_side(*images_NHWC.shape[1:3])
    if law:
        raise refuse(source, [f"{name}: {law}"])
    return images_NHWC


def _way_to_bytes(array: Array) -> str:
    if array.dtype.kind not in "iufb":
        return "save pixels as numbers"
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return "put numbers there, or take these images out"
    highest = array.max(initial=0)
    is_in_range = highest <= 255 and array.min(initial=0) >= 0  # noqa: PLR2004
    if array.dtype.kind in "iu" and is_in_range:
        return "images.astype('uint8') makes them so"
    if array.dtype.kind == "f" and is_in_range and highest > 1:
        return "images.round().astype('uint8') makes them so"
    if array.dtype.kind == "b" or (array.dtype.kind == "f" and is_in_range):
        return "(images * 255).round().astype('uint8') makes them so"
    spread = "((images - low) * (255 / (high - low))).round().astype('uint8')"
    return f"{spread} makes them so, low and high being the ends that pixels may have"


def _span(array: Array, name: str) -> str:
    """Say what lies in an array of the wrong kind, and where something is no number."""
    if array.dtype.kind not in "iuf":
        return ""
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        where = ", ".join(map(str, bad[0]))
        return f" ({len(bad):,} of its values are no numbers, the first at {name}[{where}])"
    return f" (values from {array.min():g} to {array.max():g})"


def _brought(images_NHWC: Array, name: str, source: str, image: Image) -> Array:
    from PIL import Image as pillow  # noqa: N813 (only who resizes pays for it)

    from cnnsearch.own import picture

    count, *axes, channels = images_NHWC.shape
    height, width = image.size or axes
    law = too_large(count, height, width, image.channels or channels)
    if law:
        raise refuse(source, [f"{name}: {law}"])
    flat = images_NHWC[..., 0] if channels == 1 else images_NHWC
    return np.stack([picture.brought(pillow.fromarray(np.ascontiguousarray(each)), image) for each in flat])


def _refuse_numbers_beside_texts(arrays: dict[str, Array], source: str) -> None:
    """Refuse numbers where nothing says which texts they stand for."""
    if arrays["labels"].dtype.kind != "U" or "classes" in arrays:
        return
    others = (f"{prefix}labels" for prefix in PREFIXES.values())
    numbers = [name for name in others if name in arrays and arrays[name].dtype.kind in "iu"]
    if numbers:
        law = "they are numbers and `labels` are texts, and no `classes` say which number is which"
        raise refuse(source, [f"{name}: {law}; save them as texts too, or name the classes" for name in numbers])


def _classes(arrays: dict[str, Array], source: str) -> tuple[str, ...]:
    """Give the names of the classes: those of `classes`, else the labels' texts, else their numbers."""
    labels = arrays["labels"]
    if "classes" in arrays:
        given = arrays["classes"]
        if given.ndim != 1 or given.dtype.kind != "U" or len(set(given.tolist())) != len(given):
            law = f"it must be a list of texts, all different, not {brief(given.tolist())}"
            raise refuse(source, [f"classes: {law}; save it as numpy.array(['cat', 'dog'])"])
        classes = [str(name) for name in given]
    elif labels.dtype.kind == "U":
        classes = sorted(set(labels.ravel().tolist()), key=natural)
    elif labels.dtype.kind in "iu":
        highest = min(max(int(labels.max()), 0), labels.size)
        classes = [str(number) for number in range(highest + 1)]
        absent = sorted(set(range(highest + 1)) - set(labels.ravel().tolist()))
        if absent and labels.max() == highest and labels.min() >= 0:
            law = f"no image has the label {absent[0]}, and without `classes` the labels go from 0 to {highest}"
            raise refuse(source, [f"labels: {law} without a gap; number them anew, or name the classes"])
    else:
        classes = []  # which _labels refuses
    faults = wrong_classes(classes)
    if faults:
        raise refuse(source, faults)
    return tuple(classes)


def _labels(array: Array, name: str, images: int, classes: tuple[str, ...], source: str) -> list[int]:
    """Give the number of each label's class."""
    faults = _wrong_form(array, name, images)
    if not faults and array.dtype.kind == "U":
        numbers = {text: number for number, text in enumerate(classes)}
        unknown = [row for row, text in enumerate(array.tolist()) if text not in numbers]
        if not unknown:
            return [numbers[text] for text in array.tolist()]
        told = f"{name}[{unknown[0]}] is {brief(array[unknown[0]].item())}"
        known = ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")  # noqa: PLR2004 (enough to see it)
        faults = [f"{told}{_others(unknown)}, and the classes are {known}; correct it or name it in `classes`"]
    elif not faults:
        unknown = np.flatnonzero((array < 0) | (array >= len(classes))).tolist()
        if not unknown:
            return array.tolist()
        law = f"the {len(classes)} classes have the numbers 0 to {len(classes) - 1}"
        told = f"{name}[{unknown[0]}] is {array[unknown[0]]}{_others(unknown)}, and {law}"
        faults = [f"{told}; correct it or take the image out"]
    raise refuse(source, faults)


def _others(rows: list[int]) -> str:
    return f" ({len(rows) - 1:,} more are wrong)" if rows[1:] else ""


def _wrong_form(array: Array, name: str, images: int) -> list[str]:
    if array.dtype.kind == "f":
        odd = np.flatnonzero(~np.isfinite(array) | (array != np.floor(array)))
        told = f", {name}[{odd[0]}] is {array.ravel()[odd[0]]}" if len(odd) else ""
        way = "correct it" if len(odd) else "labels.astype(int) makes them so" if array.ndim == 1 else ONE_HOT
        return [f"{name}: its dtype is {array.dtype}{told}; labels are whole numbers from 0 or text; {way}"]
    if array.dtype.kind not in "iuU":
        way = {"b": "; labels.astype(int) makes them so", "S": "; labels.astype(str) makes them so"}
        told = f"{name}: its dtype is {array.dtype}; labels are whole numbers from 0 or text"
        return [told + way.get(array.dtype.kind, "")]
    if array.ndim != 1:
        law = f"its shape is {array.shape}, and labels are one a row"
        return [f"{name}: {law}; {ONE_HOT}"]
    if len(array) != images:
        return [f"{name}: it has {len(array):,} labels for {images:,} images; one belongs to each"]
    return []
