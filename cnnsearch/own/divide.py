"""How are the images of a set divided, and what of them is suspicious?

What is drawn is drawn by the hash of the pixels: equal images stay together, and an image that is added or renamed
leaves the others where they are, but for those at the margins. Given splits are kept.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from hashlib import sha256

from cnnsearch.own.found import SPLITS, Found, refuse
from cnnsearch.splits import stratified
from cnnsearch.units import counted

SHARE = 0.15  # of the images, for each of validation and test where they are not given
LEAST = 10  # different images of a class, so that each split gets one at least


def digests_of(found: Found) -> list[str]:
    """Give the hash of each image's pixels."""
    return [sha256(image.tobytes()).hexdigest() for image in found.images_NHWC]


def divided(found: Found, digests: Sequence[str], source: str) -> Found:
    """Draw the splits that are not given, from the training images; raise DataError where a split lacks a class."""
    absent = [split for split in ("test", "validation") if split not in found.splits]
    if len(absent) == 1:
        _check_every_class(found, found.splits, ("train",), source)
    if absent:
        _check_enough(found, digests, source)
    splits = list(found.splits)
    drawable = len({digest for digest, split in zip(digests, splits, strict=True) if split == "train"})
    for split in absent:
        first: dict[str, int] = {}
        for row, digest in enumerate(digests):
            if splits[row] == "train":
                first.setdefault(digest, found.labels[row])
        names = list(first)
        chosen = stratified(list(first.values()), round(SHARE * drawable), f"own {split}", names)
        taken = {names[place] for place in chosen}
        rows = enumerate(zip(digests, splits, strict=True))
        splits = [split if was == "train" and digest in taken else was for _, (digest, was) in rows]
    _check_every_class(found, splits, SPLITS, source)
    return found._replace(splits=splits)


def _check_enough(found: Found, digests: Sequence[str], source: str) -> None:
    label_of: dict[str, int] = {}
    elsewhere: Counter[int] = Counter()
    for digest, label, split in zip(digests, found.labels, found.splits, strict=True):
        if split == "train":
            elsewhere[label] += label_of.setdefault(digest, label) != label
    counts = Counter(label_of.values())
    few = [label for label in range(len(found.classes)) if counts[label] < LEAST]
    law = f"and to set some aside for validation and test a class needs {LEAST}"
    way = "add images, or give train, validation and test of your own"
    if few:
        raise refuse(
            source,
            [
                f"class {found.classes[label]!r} has {counts[label]} different images"
                f"{_beside(elsewhere[label])}, {law}; {way}"
                for label in few
            ],
        )


def _beside(count: int) -> str:
    return f" besides {count:,} that stand in another class too" if count else ""


def _check_every_class(found: Found, splits: Sequence[str], asked: Sequence[str], source: str) -> None:
    counts = Counter(zip(splits, found.labels, strict=True))
    faults = [
        f"class {name!r} has no image in the {split} split, and every class needs one in each; add some"
        for split in asked
        for label, name in enumerate(found.classes)
        if not counts[split, label]
    ]
    if faults:
        raise refuse(source, faults)


def notice(found: Found, digests: Sequence[str]) -> str:
    """Say what may be a fault of the set and does not hinder a study: images in two splits, or of two classes."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests):
        rows[digest].append(row)
    told: list[str] = []
    for later, earlier in (("test", "train"), ("validation", "train"), ("test", "validation")):
        firsts = ({found.splits[row]: row for row in reversed(same)} for same in rows.values())
        both = [(first[later], first[earlier]) for first in firsts if {later, earlier} <= first.keys()]
        if both:
            one, other = both[0]
            example = f"{found.names[one]} is {found.names[other]}"
            images = counted(len(both), f"image of the {later} split is", f"different images of the {later} split are")
            told.append(f"{images} among the {earlier} images too ({example})")
    mixed = [same for same in rows.values() if len({found.labels[row] for row in same}) > 1]
    if mixed:
        one, other = mixed[0][0], next(row for row in mixed[0] if found.labels[row] != found.labels[mixed[0][0]])
        example = f"{found.names[one]} is {found.names[other]}"
        told.append(f"{counted(len(mixed), 'image stands', 'images stand')} in more than one class ({example})")
    return f"The data set looks faulty: {'; '.join(told)}." if told else ""
