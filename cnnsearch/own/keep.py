"""How does a data set of one's own come to lie ready? Read and checked once, then kept as arrays in the data root.

    own/my_images-HASH/      facts.json, listing.json, and images and labels of each split as .npy
    own/seen/                for each state of a folder or file (names, sizes, times) which of these it is

So a plan knows its data after one look at names and times, and workers map the arrays into memory instead of decoding
pictures. The SHA-256 covers pixels, labels, splits and the names of classes: equal sets have equal hashes wherever they
lie. Everything in `own` may be deleted while the pictures are where they were; it is made again.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# (numpy's annotations have holes)

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from cnnsearch.datasets import Facts
from cnnsearch.errors import FULL, DataError, DiskFullError
from cnnsearch.files import sync_file, sync_folder, write_whole
from cnnsearch.lock import in_turn
from cnnsearch.own import folder
from cnnsearch.own.found import SPLITS, refuse
from cnnsearch.own.image import Image

if TYPE_CHECKING:
    from cnnsearch.own.found import Found

LAW = 1  # counted up whenever the same files would be read otherwise
MANY = 2_000  # images, above which one is told what takes so long
MOST_NAMED = 3


class Kept(NamedTuple):
    """A set that lies ready; `digests` are the SHA-256 of each split's images and labels."""

    facts: Facts
    digests: dict[str, str]
    folder: Path


def is_there(source: str) -> bool:
    """Say whether a name is that of a folder or an .npz file."""
    try:
        path = Path(source).expanduser()
        return path.is_dir() or (path.suffix == ".npz" and path.is_file())
    except (OSError, ValueError, RuntimeError):  # too long for a name, a NUL in it, or the home of nobody
        return False


def facts_of(source: str, image: Image, root: Path) -> Facts:
    """Return what is known of a folder or .npz file, which is read and kept if it has changed since the last time.

    A set that is kept may be named by its own folder. Raises DataError with every file or row that cannot be used.
    """
    path = Path(source).expanduser()
    if path.parent == own_root(root):
        return kept(path.name, root).facts
    listing = folder.listed(path) if path.is_dir() else None
    seen = own_root(root) / "seen" / f"{_state(path, listing, image)}.json"
    known = _known(seen, root)
    if known:
        return known.facts
    try:
        with in_turn(own_root(root) / ".lock"):
            seen.parent.mkdir(exist_ok=True)
            return (_known(seen, root) or _keep(path, listing, image, root, seen)).facts
    except DiskFullError:
        raise
    except OSError as error:
        law = f"the images of {source} cannot be kept there ({error.strerror or error})"
        kind = DiskFullError if error.errno in FULL else DataError
        raise kind(f"{own_root(root)}: {law}; free space, or name another --data-root") from error


def kept(key: str, root: Path) -> Kept:
    """Return a set by its key, or the same images kept under another name; raise DataError where they are not there."""
    place = own_root(root) / key
    if not place.exists() and re.fullmatch(r"[0-9a-f]{16}", key[-16:]):
        place = next(own_root(root).glob(f"*-{key[-16:]}"), place)
    try:
        written: dict[str, Any] = json.loads((place / "facts.json").read_bytes())
        facts: dict[str, Any] = {**written["facts"], "classes": tuple(written["facts"]["classes"])}
        return Kept(Facts(**facts), written["digests"], place)
    except (OSError, ValueError, TypeError, KeyError):
        raise gone(key, root) from None


def gone(key: str, root: Path) -> DataError:
    """Make the error for a set that was kept and cannot be read any more."""
    return DataError(
        f"data set {key!r} is gone from {own_root(root)}, or damaged; delete what is left of it and run again"
    )


def own_root(root: Path) -> Path:
    """Give the folder of all kept sets within a data root."""
    return root / "own"


def places_of(digest: str, root: Path) -> list[Path]:
    """Give the kept sets that may have this SHA-256, by their names."""
    return sorted(own_root(root).glob(f"*-{digest[:16]}")) if re.fullmatch(r"[0-9a-f]{64}", digest) else []


def _state(path: Path, listing: folder.Listing | None, image: Image) -> str:
    """Name all that decides what is read, without reading it."""
    if listing is None:
        try:
            found = path.stat()
        except OSError as error:
            raise refuse(str(path), [f"it cannot be read ({error.strerror}); make it again, or give another"]) from None
        files: object = [found.st_size, found.st_mtime_ns, found.st_ctime_ns]
    else:
        files = listing
    text = json.dumps([LAW, str(path.resolve()), image.model_dump(mode="json"), files])
    return sha256(text.encode()).hexdigest()[:32]


def _known(seen: Path, root: Path) -> Kept | None:
    try:
        return kept(json.loads(seen.read_bytes())["key"], root)
    except (OSError, ValueError, TypeError, KeyError, DataError):
        return None


def _keep(path: Path, listing: folder.Listing | None, image: Image, root: Path, seen: Path) -> Kept:
    from cnnsearch.own.divide import digests_of, divided, notice

    found = _read(path, listing, image)
    digests = digests_of(found)
    found = divided(found, digests, str(path))
    for draft in own_root(root).glob(".*.tmp"):  # of one who was killed; the lock is ours
        shutil.rmtree(draft, ignore_errors=True)
    draft = own_root(root) / f".{uuid4().hex[:8]}.tmp"
    draft.mkdir()
    try:
        of_splits = {split: _write_split(draft, split, found) for split in SPLITS}
        facts = _facts(_name(path), found, of_splits, notice(found, digests))
        listed = zip(found.names, found.splits, (found.classes[label] for label in found.labels), digests, strict=True)
        _write(draft / "listing.json", {name: [split, label, digest[:16]] for name, split, label, digest in listed})
        _write(draft / "facts.json", {"facts": facts._asdict(), "digests": of_splits})
        sync_folder(draft)
        place = own_root(root) / facts.key
        if not (place / "facts.json").exists():  # else the same content was kept before, and is perhaps being read
            shutil.rmtree(place, ignore_errors=True)
            draft.rename(place)
            sync_folder(own_root(root))
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    write_whole(seen, json.dumps({"key": facts.key}))
    return Kept(facts, of_splits, place)


def _read(path: Path, listing: folder.Listing | None, image: Image) -> "Found":
    if listing is None:
        from cnnsearch.own import npz

        return npz.read(path, image)
    if len(listing.files) >= MANY:
        sys.stderr.write(f"reading the {len(listing.files):,} pictures of {path}, once\n")
    return folder.read(path, listing, image)


def _write_split(draft: Path, split: str, found: "Found") -> str:
    """Write images (NCHW bytes) and labels of a split; return the hash of both."""
    import numpy as np

    rows = [row for row, each in enumerate(found.splits) if each == split]
    images_NCHW = np.ascontiguousarray(found.images_NHWC[rows].transpose(0, 3, 1, 2))
    labels_N = np.array([found.labels[row] for row in rows], dtype="<i8")
    for kind, array in (("images", images_NCHW), ("labels", labels_N)):
        with (draft / f"{split}_{kind}.npy").open("wb") as file:
            np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
            file.write(array.data)  # numpy's own way does not say why a disk takes no more
            file.flush()
            sync_file(file.fileno())
    return digest_of(images_NCHW, labels_N)


def digest_of(*arrays: Any) -> str:  # noqa: ANN401 (numpy's arrays, or whatever shows its bytes)
    """Return the hash of the bytes of arrays, one after the other."""
    digest = sha256()
    for array in arrays:
        digest.update(memoryview(array).cast("B"))
    return digest.hexdigest()


def _facts(name: str, found: "Found", digests: dict[str, str], notice: str) -> Facts:
    _, height, width, channels = found.images_NHWC.shape
    whole = json.dumps([channels, height, width, found.classes, [digests[split] for split in SPLITS]])
    digest = sha256(whole.encode()).hexdigest()
    train, validation, test = (found.splits.count(split) for split in SPLITS)
    counts = train, validation, test
    return Facts(name, channels, height, width, found.classes, *counts, digest, f"{name}-{digest[:16]}", notice)


def _name(path: Path) -> str:
    """Give the folder's or file's own name, as far as a run may bear it."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", path.resolve().name.removesuffix(".npz")).strip("-_")
    return plain[:40] or "images"


def _write(path: Path, content: object) -> None:
    with path.open("w") as file:
        json.dump(content, file)
        file.flush()
        sync_file(file.fileno())


def changes(before: str, now: str, root: Path) -> Iterator[str]:
    """Say in what two kept sets differ, given their SHA-256; nothing where one of them is no longer kept."""
    listings = [_listing(digest, root) for digest in (before, now)]
    old, new = listings
    if before == now or old is None or new is None:
        return
    groups = {
        "new": [name for name in new if name not in old],
        "gone": [name for name in old if name not in new],
        "other pixels": [name for name in new if name in old and new[name][2] != old[name][2]],
        "another class": [name for name in new if name in old and new[name][1] != old[name][1]],
        "another split": [name for name in new if name in old and new[name][0] != old[name][0]],
    }
    for what, names in groups.items():
        if names:
            more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
            yield f"images: {what}: {', '.join(names[:MOST_NAMED])}{more}"


def _listing(digest: str, root: Path) -> dict[str, list[str]] | None:
    for place in places_of(digest, root):
        with suppress(OSError, ValueError):
            return json.loads((place / "listing.json").read_bytes())
    return None
