"""Bad data sets: each is refused before anything is trained, by file or row, law and way out."""

import io
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.lib import format as npy
from own_sets import arrays, facts, fill, noise, put, save
from PIL import Image as Picture

from cnnsearch.errors import DataError
from cnnsearch.own import found
from cnnsearch.own.image import Image
from cnnsearch.own.keep import facts_of

OK = noise(1, 8, 8)
NO_PICTURE = (
    "it is no picture of a kind that is read (PNG, JPEG, ...), or its beginning is damaged; save it anew or take it out"
)
NOT_BY_NAME = (
    "it is no picture by its name (.bmp, .gif, .jpeg, .jpg, .pgm, .png, .ppm, .tif, .tiff, .webp);"
    " rename it or take it out"
)
NO_NPZ = "make it by numpy.savez(PATH, images=..., labels=...)"
WAY_TO_BYTES = "(images * 255).round().astype('uint8') makes them so"
SPREAD = (
    "((images - low) * (255 / (high - low))).round().astype('uint8') makes them so,"
    " low and high being the ends that pixels may have"
)


def refusal(source: Path, root: Path) -> str:
    """Give what is said of a set, without the folder that it lies in."""
    with pytest.raises(DataError) as caught:
        facts(source, root)
    kept = root / "own"
    assert not kept.exists() or {path.name for path in kept.iterdir()} <= {".lock", "seen"}
    return str(caught.value).replace(f"{source.parent}/", "")


# Folders


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, bits: int, colour: int, content: bytes) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(content)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def encoded(kind: str, side: int = 8, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Picture.fromarray(noise(1, side, side)).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def written(name: str, content: bytes, folder: Path) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def transparent(folder: Path) -> None:
    pixels = noise(2, 8, 8, 4)
    put(folder / "cat/a.png", pixels)


def animated(folder: Path) -> None:
    frames = [Picture.fromarray(noise(seed, 8, 8)) for seed in range(3)]
    frames[0].save(folder / "cat/a.gif", save_all=True, append_images=frames[1:])


def moved_into(name: str, folder: Path) -> None:
    """Put all classes a level deeper."""
    classes = list(folder.iterdir())
    (folder / name).mkdir()
    for each in classes:
        each.rename(folder / name / each.name)


def named(name: str | bytes, folder: Path) -> None:
    """Rename a class."""
    (folder / "cat").rename(os.fsdecode(os.fsencode(folder) + b"/" + os.fsencode(name)))


def removed(pattern: str, folder: Path) -> None:
    for path in folder.glob(pattern):
        path.unlink()


def split_without_a_class(folder: Path) -> None:
    moved_into("train", folder)
    put(folder / "test/cat/a.png", OK)


def class_of_the_test_split_only(folder: Path) -> None:
    moved_into("train", folder)
    fill(folder / "test")
    put(folder / "test/bird/a.png", OK)


def both_names_of_validation(folder: Path) -> None:
    moved_into("train", folder)
    fill(folder / "val", 1, first=30)
    fill(folder / "validation", 1, first=40)


def picture_beside_train(folder: Path) -> None:
    moved_into("train", folder)
    put(folder / "loose.png", OK)


def beside_train(folder: Path) -> None:
    moved_into("train", folder)
    put(folder / "extra/a.png", OK)


def mixed(shape: tuple[int, ...], folder: Path) -> None:
    put(folder / "dog/0.png", noise(3, *shape))


def many_sizes(folder: Path) -> None:
    for number in range(10):
        put(folder / f"dog/{number}.png", noise(number, 9 + number, 8))


def all_of(shape: tuple[int, ...], folder: Path) -> None:
    fill(folder, 10, shape)


def socketed(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        # A path of a socket may have 100 characters only.
        here = os.open(folder / "cat", os.O_RDONLY)
        server.bind(f"/proc/self/fd/{here}/a.png")
        os.close(here)


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        for each in path.iterdir():
            each.unlink()
        path.rmdir()


SHOWN_SIZES = "8x8 (cat/0.png and 9 more), 9x8 (dog/0.png), 10x8 (dog/1.png), 11x8 (dog/2.png), 12x8 (dog/3.png)"
SMALL = "both sides must be from 8 to 512 pixels; --image.size '[HEIGHT, WIDTH]' resizes them"
FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "0 bytes": (partial(written, "cat/a.png", b""), "/cat/a.png: it is empty (0 bytes); replace it or take it out"),
    "text": (partial(written, "cat/a.png", b"hello"), f"/cat/a.png: {NO_PICTURE}"),
    "a program": (partial(written, "cat/a.gif", b"\x7fELF" + bytes(99)), f"/cat/a.gif: {NO_PICTURE}"),
    "PostScript": (partial(written, "cat/a.png", b"%!PS-Adobe-3.0 EPSF-3.0\n"), f"/cat/a.png: {NO_PICTURE}"),
    "truncated PNG": (
        partial(written, "cat/a.png", encoded("PNG", 64)[:-2000]),
        "/cat/a.png: it is damaged or cut off (image file is truncated",
    ),
    "truncated JPEG": (
        partial(written, "cat/a.jpg", encoded("JPEG", 64)[:-1000]),
        "/cat/a.jpg: it is damaged or cut off (image file is truncated",
    ),
    "PNG of a header only": (
        partial(written, "cat/a.png", encoded("PNG")[:33]),
        f"/cat/a.png: {NO_PICTURE}",
    ),
    "flipped bits in a PNG": (
        partial(written, "cat/a.png", encoded("PNG").replace(b"IDAT", b"IDAU")),
        f"/cat/a.png: {NO_PICTURE}",
    ),
    "a bomb of many pixels": (
        partial(written, "cat/a.png", png(9_000, 9_000, 8, 0, b"")),
        "/cat/a.png: 9000x9000 are more than 67,108,864 pixels; shrink it or take it out",
    ),
    "a bomb of more pixels": (
        partial(written, "cat/a.png", png(60_000, 60_000, 8, 2, b"")),
        "/cat/a.png: it claims to have more than 67,108,864 pixels; shrink it or take it out",
    ),
    "a bomb in a PNG's text": (
        partial(
            written,
            "cat/a.png",
            encoded("PNG")[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10**8))) + encoded("PNG")[33:],
        ),
        "/cat/a.png: it is damaged or cut off (",
    ),
    "16 bits": (
        lambda folder: put(folder / "cat/a.png", np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000),
        "/cat/a.png: its pixels are of mode 'I;16', and only 8-bit grey and RGB are read; save it as one of these",
    ),
    "CMYK": (
        partial(written, "cat/a.jpg", encoded("JPEG", mode="CMYK")),
        "/cat/a.jpg: its pixels are of mode 'CMYK', and only 8-bit grey and RGB are read; save it as one of these",
    ),
    "floats": (
        lambda folder: put(folder / "cat/a.tif", np.full((8, 8), np.nan, dtype=np.float32)),
        "/cat/a.tif: its pixels are of mode 'F', and only 8-bit grey and RGB are read; save it as one of these",
    ),
    "transparent": (
        transparent,
        "/cat/a.png: some of its pixels are transparent; put it on a background and save it without alpha",
    ),
    "animated": (animated, "/cat/a.gif: it holds 3 pictures; save each to a file of its own"),
    "another suffix": (partial(written, "cat/a.txt", b"x"), f"/cat/a.txt: {NOT_BY_NAME}"),
    "no suffix": (partial(written, "cat/a", b"x"), f"/cat/a: {NOT_BY_NAME}"),
    "a picture beside the classes": (
        partial(written, "a.png", b"x"),
        "/a.png: this picture belongs to no class; put it into a class folder",
    ),
    "a folder in a class": (
        lambda folder: (folder / "cat/deep").mkdir(),
        "/cat/deep: a folder stands in a class folder, where only pictures may; give the folder of the class folders",
    ),
    "a level too high": (
        partial(moved_into, "mine"),
        ": there is one class only ('mine'), and a classifier tells at least two apart; add another",
    ),
    "a link to itself": (
        lambda folder: (folder / "cat/a.png").symlink_to("a.png"),
        "/cat/a.png: it cannot be read (Too many levels of symbolic links); repair or remove it",
    ),
    "a link to nothing": (
        lambda folder: (folder / "cat/a.png").symlink_to("nothing.png"),
        "/cat/a.png: it cannot be read (No such file or directory); repair or remove it",
    ),
    "a link to itself among the classes": (
        lambda folder: (folder / "loop").symlink_to("loop"),
        "/loop: it cannot be read (Too many levels of symbolic links); repair or remove it",
    ),
    "a loop of folders": (
        lambda folder: (folder / "cat/all").symlink_to(folder),
        "/cat/all: a folder stands in a class folder, where only pictures may; give the folder of the class folders",
    ),
    "a pipe": (
        lambda folder: os.mkfifo(folder / "cat/a.png"),
        "/cat/a.png: it is no ordinary file; take it out",
    ),
    "a socket": (socketed, "/cat/a.png: it is no ordinary file; take it out"),
    "an empty class": (
        lambda folder: (folder / "bird").mkdir(),
        "/bird: no picture is in it; add some, or take the folder out",
    ),
    "no class": (emptied, ": it has no class folders; make one for each class, with its pictures in it"),
    "one image a class": (
        partial(removed, "*/[1-9].png"),
        (
            ": class 'cat' has 1 different images, and to set some aside for validation and test a class needs 10;"
            " add images, or give train, validation and test of your own"
        ),
    ),
    "equal images only": (
        lambda folder: [put(path, OK) for path in (folder / "cat").iterdir()],
        (
            ": class 'cat' has 1 different images, and to set some aside for validation and test a class needs 10;"
            " add images, or give train, validation and test of your own"
        ),
    ),
    "a class of the test split only": (
        class_of_the_test_split_only,
        ": class 'bird' has no image in the train split, and every class needs one in each; add some",
    ),
    "a split without a class": (
        split_without_a_class,
        ": class 'dog' has no image in the test split, and every class needs one in each; add some",
    ),
    "test and no train": (
        partial(moved_into, "test"),
        ": it has test/ and no train/; name the training images' folder train/",
    ),
    "a picture beside train": (
        picture_beside_train,
        "/loose.png: this picture belongs to no class; put it into a class folder",
    ),
    "a folder beside train": (
        beside_train,
        (
            "/extra: stands beside train/, where only test/ and validation/ may stand;"
            " put it into one of these, or take it out; where train is a class, put all classes under train/"
        ),
    ),
    "two folders for validation": (
        both_names_of_validation,
        ": it has both val/ and validation/; put them together",
    ),
    "two sizes": (
        partial(mixed, (10, 12)),
        (
            ": its pictures have 2 sizes: 8x8 (cat/0.png and 18 more), 10x12 (dog/0.png);"
            " --image.size '[HEIGHT, WIDTH]' resizes all"
        ),
    ),
    "many sizes": (
        many_sizes,
        f": its pictures have 11 sizes: {SHOWN_SIZES}, 6 others; --image.size '[HEIGHT, WIDTH]' resizes all",
    ),
    "grey and coloured": (
        partial(mixed, (8, 8, 3)),
        (
            ": its pictures are grey (cat/0.png and 18 more), RGB (dog/0.png);"
            " --image.channels 1 makes all grey, --image.channels 3 all RGB"
        ),
    ),
    "too small": (
        partial(all_of, (8, 7)),
        f": its images are 8x7, and {SMALL}",
    ),
    "too large": (
        partial(all_of, (8, 513)),
        (
            ": its images are 8x513, and both sides must be from 8 to 512 pixels;"
            " --image.size '[HEIGHT, WIDTH]' resizes them"
        ),
    ),
    "a name with a line break": (
        partial(named, "c\nt"),
        ": the name of class 'c\\nt' must be 1 to 100 characters that can be printed; rename it",
    ),
    "a name that is no text": (
        partial(named, b"c\xff"),
        ": the name of class 'c\\udcff' must be 1 to 100 characters that can be printed; rename it",
    ),
    "a name that is too long": (
        partial(named, "c" * 101),
        f": the name of class '{'c' * 100}' must be 1 to 100 characters that can be printed; rename it",
    ),
}


def test_all_bad_pictures_of_a_folder_are_told_at_once(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    for name, content in {"cat/a.png": b"", "cat/b.png": b"hello", "dog/c.gif": b"\x7fELF" + bytes(99)}.items():
        written(name, content, folder)
    assert refusal(folder, tmp_path / "root").splitlines() == [
        "set/cat/a.png: it is empty (0 bytes); replace it or take it out",
        f"set/cat/b.png: {NO_PICTURE}",
        f"set/dog/c.gif: {NO_PICTURE}",
    ]


@pytest.mark.parametrize("fault", FOLDERS)
def test_a_bad_folder_is_refused(fault: str, tmp_path: Path) -> None:
    spoil, expected = FOLDERS[fault]
    folder = fill(tmp_path / "set")
    spoil(folder)
    said = refusal(folder, tmp_path / "root")
    assert said.splitlines()[0].startswith(f"set{expected}")
    assert [line for line in said.splitlines() if not line.startswith("set") or "; " not in line] == []


def test_all_bad_files_are_named_up_to_twenty(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    for number in range(25):
        written(f"cat/bad{number}.png", b"x", folder)
    lines = refusal(folder, tmp_path / "root").splitlines()
    assert lines[:20] == [f"set/cat/bad{number}.png: {NO_PICTURE}" for number in range(20)]
    assert lines[20:] == ["... and 5 more"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission_are_named(tmp_path: Path) -> None:
    folder = fill(tmp_path / "set")
    (folder / "cat/3.png").chmod(0)
    law = "it is damaged or cut off (Permission denied); replace it or take it out"
    assert refusal(folder, tmp_path / "root") == f"set/cat/3.png: {law}"
    (folder / "cat").chmod(0)
    assert refusal(folder, tmp_path / "root") == "set/cat: it cannot be read (Permission denied); is there permission?"
    (folder / "cat").chmod(0o755)


def test_a_folder_that_vanishes_is_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path / "set.npz", tmp_path / "root")
    assert said == "set.npz: it cannot be read (No such file or directory); make it again, or give another"


@pytest.mark.parametrize("source", ["folder", "npz"])
def test_a_set_that_would_fill_the_memory_is_refused(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnnsearch.own.found.most_bytes", lambda: 1000)
    path = {"folder": fill(tmp_path / "set"), "npz": save(tmp_path / "set.npz", **arrays())}[source]
    law = "bytes, and a set may have 1,000 here (a quarter of the memory)"
    assert (
        refusal(path, tmp_path / "root")
        == {
            "folder": f"set: 20 images of 8x8x1 are 1,280 {law}; take a smaller --image.size or fewer images",
            "npz": f"set.npz: its arrays unpack to 1,440 {law}; take fewer or smaller images",
        }[source]
    )


def test_a_set_may_take_a_quarter_of_the_memory() -> None:
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert found.most_bytes() == pages // 4


def test_images_are_not_blown_up_beyond_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnsearch.own.found.most_bytes", lambda: 10_000)
    path = save(tmp_path / "set.npz", **arrays())
    with pytest.raises(DataError) as caught:
        facts_of(str(path), Image(size=(32, 32)), tmp_path / "root")
    law = "20 images of 32x32x1 are 20,480 bytes, and a set may have 10,000 here (a quarter of the memory)"
    assert str(caught.value) == f"{path}: images: {law}; take a smaller --image.size or fewer images"


# .npz files

IMAGES, LABELS = arrays()["images"], arrays()["labels"]


def with_(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 (arrays of all kinds, good and bad)
    return {name: value for name, value in {**arrays(), **changed}.items() if value is not None}


def labels_with(value: Any, row: int = 3, dtype: Any = int) -> dict[str, Any]:  # noqa: ANN401
    labels = LABELS.astype(dtype)
    labels[row] = value
    return with_(labels=labels)


def floats(value: float) -> Any:  # noqa: ANN401
    images = IMAGES / 255
    images[3, 4, 5] = value
    return images


def span(text: str, way_out: str = WAY_TO_BYTES) -> str:
    return f"images: its dtype is float64 ({text}), and pixels are uint8, from 0 to 255; {way_out}"


NO_NUMBER = "1 of its values are no numbers, the first at images[3, 4, 5]"


FORM = "images are (N, H, W), (N, H, W, C) or (N, C, H, W) with C 1 or 3; transpose them, or take other channels away"
TWO = "the 2 classes have the numbers 0 to 1; correct it or take the image out"
TEXTS = "save it as numpy.array(['cat', 'dog'])"
NAMED = {"classes": np.array(["cat", "dog"])}
KNOWN = "the arrays are images, labels, validation_images, validation_labels, test_images, test_labels, classes"
ONE_HOT = "labels.ravel(), or labels.argmax(1) where they are one-hot, makes it so"
ONE_A_ROW = f"and labels are one a row; {ONE_HOT}"
NUMBERS = "they are numbers and `labels` are texts, and no `classes` say which number is which"
WHOLE = "labels are whole numbers from 0 or text"
FILES: dict[str, tuple[dict[str, Any], str]] = {
    "floats": (with_(images=IMAGES / 255), span("values from 0 to 1")),
    "floats to 255": (
        with_(images=IMAGES.astype(float)),
        span(f"values from {IMAGES.min()} to {IMAGES.max()}", "images.round().astype('uint8') makes them so"),
    ),
    "NaN": (with_(images=floats(np.nan)), span(NO_NUMBER, "put numbers there, or take these images out")),
    "inf": (with_(images=floats(np.inf)), span(NO_NUMBER, "put numbers there, or take these images out")),
    "bytes as int64": (
        with_(images=IMAGES.astype(np.int64)),
        (
            f"images: its dtype is int64 (values from {IMAGES.min()} to {IMAGES.max()}), and pixels are uint8,"
            " from 0 to 255; images.astype('uint8') makes them so"
        ),
    ),
    "wide numbers": (
        with_(images=np.full((20, 8, 8), 300, np.int16)),
        f"images: its dtype is int16 (values from 300 to 300), and pixels are uint8, from 0 to 255; {SPREAD}",
    ),
    "floats around 0": (
        with_(images=np.where(IMAGES > 9, 1.0, -1.0)),
        span("values from -1 to 1", SPREAD),
    ),
    "truth values": (
        with_(images=IMAGES > 9),
        f"images: its dtype is bool, and pixels are uint8, from 0 to 255; {WAY_TO_BYTES}",
    ),
    "texts": (
        with_(images=np.full((20, 8, 8), "x")),
        "images: its dtype is <U1, and pixels are uint8, from 0 to 255; save pixels as numbers",
    ),
    "flat images": (with_(images=IMAGES.reshape(20, 64)), f"images: its shape is (20, 64), and {FORM}"),
    "one image alone": (with_(images=IMAGES[0]), f"images: its shape is (8, 8), and {FORM}"),
    "four channels": (with_(images=noise(0, 20, 8, 8, 4)), f"images: its shape is (20, 8, 8, 4), and {FORM}"),
    "five axes": (with_(images=noise(0, 20, 8, 8, 3, 1)), f"images: its shape is (20, 8, 8, 3, 1), and {FORM}"),
    "no images": (
        with_(images=IMAGES[:0], labels=LABELS[:0]),
        "images: it is empty (shape (0, 8, 8)); put images in, or leave it out",
    ),
    "one image": (
        with_(images=IMAGES[:1], labels=LABELS[:1]),
        "there is one class only ('0'), and a classifier tells at least two apart; add another",
    ),
    "images too small": (with_(images=noise(0, 20, 4, 8)), f"images: its images are 4x8, and {SMALL}"),
    "label -1": (labels_with(-1), f"labels[3] is -1, and {TWO}"),
    "label -100": (labels_with(-100), f"labels[3] is -100, and {TWO}"),
    "label 10 of two classes": (
        {**labels_with(10), **NAMED}, f"labels[3] is 10, and {TWO}",
    ),
    "several wrong labels": (
        {**labels_with([7, 8, 9], slice(3, 6)), **NAMED},
        f"labels[3] is 7 (2 more are wrong), and {TWO}",
    ),
    "a huge label": (
        labels_with(2**63, dtype=np.uint64),
        f"labels[3] is {2**63}, and the 21 classes have the numbers 0 to 20; correct it or take the image out",
    ),
    "label 1.5": (
        labels_with(1.5, dtype=float),
        f"labels: its dtype is float64, labels[3] is 1.5; {WHOLE}; correct it",
    ),
    "label NaN": (
        labels_with(np.nan, dtype=float),
        f"labels: its dtype is float64, labels[3] is nan; {WHOLE}; correct it",
    ),
    "labels as floats": (
        with_(labels=LABELS.astype(np.float32)),
        f"labels: its dtype is float32; {WHOLE}; labels.astype(int) makes them so",
    ),
    "one-hot labels as floats": (
        with_(labels=np.eye(2)[LABELS]),
        f"labels: its dtype is float64; {WHOLE}; {ONE_HOT}",
    ),
    "numbers beside texts": (
        with_(labels=np.array(["cat", "dog"])[LABELS], test_images=IMAGES, test_labels=LABELS),
        f"test_labels: {NUMBERS}; save them as texts too, or name the classes",
    ),
    "labels as truth values": (
        with_(labels=LABELS > 0),
        f"labels: its dtype is bool; {WHOLE}; labels.astype(int) makes them so",
    ),
    "labels as bytes": (
        with_(labels=LABELS.astype("S")),
        f"labels: its dtype is |S21; {WHOLE}; labels.astype(str) makes them so",
    ),
    "a gap": (
        labels_with([3, 3], slice(3, 5)),
        ("labels: no image has the label 2, and without `classes` the labels go from 0 to 3 without a gap;"
        " number them anew, or name the classes"),
    ),
    "labels from 1": (
        with_(labels=LABELS + 1),
        ("labels: no image has the label 0, and without `classes` the labels go from 0 to 2 without a gap;"
        " number them anew, or name the classes"),
    ),
    "one class": (
        with_(labels=np.full(20, "cat")),
        "there is one class only ('cat'), and a classifier tells at least two apart; add another",
    ),
    "one-hot labels": (with_(labels=np.eye(20, dtype=int)), f"labels: its shape is (20, 20), {ONE_A_ROW}"),
    "a column of labels": (with_(labels=LABELS[:, None]), f"labels: its shape is (20, 1), {ONE_A_ROW}"),
    "too few labels": (with_(labels=LABELS[:19]), "labels: it has 19 labels for 20 images; one belongs to each"),
    "too many labels": (
        with_(labels=np.tile(LABELS, 2)),
        "labels: it has 40 labels for 20 images; one belongs to each",
    ),
    "an unknown text": (
        {**with_(labels=np.array(["cat", "bird"] * 10)), **NAMED},
        "labels[1] is 'bird' (9 more are wrong), and the classes are cat, dog; correct it or name it in `classes`",
    ),
    "a text longer than numbers may be": (
        with_(labels=np.array(["1" * 5000, "2"] * 10)),
        f"the name of class '{'1' * 100}' must be 1 to 100 characters that can be printed; rename it",
    ),
    "classes that are equal": (
        with_(classes=np.array(["cat", "cat"])),
        f"classes: it must be a list of texts, all different, not ['cat', 'cat']; {TEXTS}",
    ),
    "classes that are numbers": (
        with_(classes=np.array([1, 2])),
        f"classes: it must be a list of texts, all different, not [1, 2]; {TEXTS}",
    ),
    "the same images under two labels": (
        with_(images=np.concatenate([IMAGES[:10], IMAGES[:10]]), labels=np.repeat([0, 1], 10)),
        ("class '1' has 0 different images besides 10 that stand in another class too, and to set some aside for"
        " validation and test a class needs 10; add images, or give train, validation and test of your own"),
    ),
    "a class without images": (
        {**with_(), "classes": np.array(["cat", "dog", "owl"])},
        ("class 'owl' has 0 different images, and to set some aside for validation and test a class needs 10;"
        " add images, or give train, validation and test of your own"),
    ),
    "no labels": (
        with_(labels=None),
        "it has no array 'labels' (it has 'images'); save it with images and labels",
    ),
    "neither": (
        {"classes": NAMED["classes"]},
        "it has no array 'images' and no array 'labels' (it has 'classes'); save it with images and labels",
    ),
    "test images without labels": (
        with_(test_images=IMAGES),
        ("it has no array 'test_labels' (it has 'images', 'labels', 'test_images'); save it with test_images and"
        " test_labels"),
    ),
    "an unknown array": (with_(weights=LABELS), f"array 'weights' is not known; {KNOWN}"),
    "test images of another size": (
        with_(test_images=noise(1, 2, 8, 9), test_labels=LABELS[:2]),
        ("its images differ in shape: images 8x8x1, test_images 8x9x1;"
        " --image.size and --image.channels make them equal"),
    ),
    "a test label that training lacks": (
        with_(test_images=noise(1, 2, 8, 8), test_labels=np.array([0, 2])),
        f"test_labels[1] is 2, and {TWO}",
    ),
    "Python objects": (
        with_(labels=np.array([{}] * 20, dtype=object)),
        ("labels: it holds Python objects, which are not unpickled: that could run anything;"
        " save an array of numbers or text"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FILES)
def test_a_bad_file_is_refused(fault: str, tmp_path: Path) -> None:
    given, expected = FILES[fault]
    assert refusal(save(tmp_path / "set.npz", **given), tmp_path / "root") == f"set.npz: {expected}"


def rezipped(path: Path, name: str, content: bytes) -> None:
    """Write the file again with other bytes for one array."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, old in members.items():
            archive.writestr(each, content if each == name else old)


def header(shape: tuple[int, ...], descr: str = "|u1") -> bytes:
    buffer = io.BytesIO()
    npy.write_array_header_1_0(buffer, {"descr": descr, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def packed_otherwise(path: Path) -> None:
    """Write the file again as no numpy does."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        for each, content in members.items():
            archive.writestr(each, content)


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path: Path) -> None:
    """Change a pixel, so that the archive's own check sum is wrong."""
    content = bytearray(path.read_bytes())
    content[content.index(IMAGES.tobytes()) + 7] ^= 1
    path.write_bytes(content)


def claiming(shape: tuple[int, ...], path: Path) -> None:
    rezipped(path, "images.npy", header(shape) + IMAGES.tobytes())


def exaggerating(path: Path) -> None:
    """Let the archive's table say of an array that it is as long as its header says, which it is not."""
    told = header((20, 8, 8))
    rezipped(path, "images.npy", told + bytes(500))
    content = bytearray(path.read_bytes())
    entry = content.index(b"images.npy", content.index(b"PK\x01\x02")) - 46
    struct.pack_into("<I", content, entry + 24, len(told) + 20 * 8 * 8)
    path.write_bytes(content)


NOT_WHOLE = "it cannot be read, or is no whole .npz file"
SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "0 bytes": (lambda path: path.write_bytes(b""), f"{NOT_WHOLE} (File is not a zip file); {NO_NPZ}"),
    "text": (lambda path: path.write_text("hello"), f"{NOT_WHOLE} (File is not a zip file); {NO_NPZ}"),
    "half": (shortened, f"{NOT_WHOLE} (File is not a zip file); {NO_NPZ}"),
    "packed by bzip2": (packed_otherwise, f"{NOT_WHOLE} (images.npy is packed in a way that is not numpy's); {NO_NPZ}"),
    "a flipped bit": (flipped, f"{NOT_WHOLE} (Bad CRC-32 for file 'images.npy'); {NO_NPZ}"),
    "an array that is none": (
        partial(rezipped, name="images.npy", content=b"hello world"),
        ("images: it is no array of numpy's (the magic string is not correct; expected b'\\x93NUMPY',"
        " got b'hello '); save it anew"),
    ),
    "a header that lies": (
        partial(claiming, (10**9, 28, 28)),
        "images: shape (1000000000, 28, 28) of uint8 needs 784,000,000,000 bytes, and 1,280 are there; save it anew",
    ),
    "less than it says": (
        exaggerating,
        "images: it breaks off after 500 bytes; save it anew",
    ),
    "two negative sides": (
        lambda path: rezipped(path, "images.npy", header((-2, -2, 4)) + bytes(16)),
        "images: shape (-2, -2, 4) of uint8 needs 16 bytes, and 16 are there; save it anew",
    ),
    "a negative shape": (
        partial(claiming, (-20, 8, 8)),
        "images: shape (-20, 8, 8) of uint8 needs -1,280 bytes, and 1,280 are there; save it anew",
    ),
    "a bomb": (
        lambda path: rezipped(path, "images.npy", header((2 * 10**6, 8, 8)) + bytes(128 * 10**6)),
        ("its arrays unpack to 128,000,160 bytes, and a set may have 1,000,000 here (a quarter of the memory);"
        " take fewer or smaller images"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_file_is_refused(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnsearch.own.found.most_bytes", lambda: 10**6)
    spoil, expected = SPOILT[fault]
    path = save(tmp_path / "set.npz", **arrays())
    spoil(path)
    assert refusal(path, tmp_path / "root") == f"set.npz: {expected}"
