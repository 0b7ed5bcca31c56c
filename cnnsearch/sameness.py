"""Are two plans the same study? By what decides in them, as they are stored in the folders of their runs."""

import hashlib
import json
from collections.abc import Iterator
from typing import cast

from cnnsearch.datasets import FACTS
from cnnsearch.errors import place
from cnnsearch.text import Plain

_INDECISIVE = frozenset({"budget", "finals", "executor", "name", "runs", "storage", "data_root", "image"})
_LATER: dict[str, Plain] = {"objectives": {"validation_accuracy": {"at_least": None}}, "repeats": "record"}
"""What the fields that the plans of the first runs did not have stand for in these."""
_NOTHING: Plain = object()
"""In place of a field that a plan has and another has not."""


def decisive(stored: dict[str, Plain]) -> dict[str, Plain]:
    """Leave out of a stored plan what does not decide what is found: where, on what and how long it runs.

    Images of one's own are what their SHA-256 says, wherever they lie. A later field that says what was always done is
    left out too, so that older runs go on under their name.
    """
    kept = {key: value for key, value in stored.items() if key not in _INDECISIVE and value != _LATER.get(key, ...)}
    return {**kept, "dataset": kept["dataset"] if kept.get("dataset") in FACTS else "images of one's own"}


def fingerprint_of(stored: dict[str, Plain]) -> str:
    """Give eight hexadecimal digits of what decides, in a stored plan."""
    return hashlib.sha256(json.dumps(decisive(stored), sort_keys=True).encode()).hexdigest()[:8]


def differences(before: dict[str, Plain], now: dict[str, Plain]) -> Iterator[str]:
    """Say each difference between what decides in two stored plans, by its place; none means one fingerprint."""
    yield from _differences({**_LATER, **decisive(before)}, {**_LATER, **decisive(now)}, "")


def _differences(old: Plain, new: Plain, where: str) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        before, now = cast("dict[str, Plain]", old), cast("dict[str, Plain]", new)
        for key in {**before, **now}:
            yield from _differences(before.get(key, _NOTHING), now.get(key, _NOTHING), place(where, key))
    elif (pairs := _pairs(old, new)) is not None:
        for number, (one, other) in enumerate(pairs):
            yield from _differences(one, other, place(where, number))
    elif _shown(old) != _shown(new):
        yield f"{where}: {_shown(old)} before, {_shown(new)} now"


def _pairs(old: Plain, new: Plain) -> list[tuple[Plain, Plain]] | None:
    """Pair the elements of two lists of one length; None for anything else."""
    if not (isinstance(old, list) and isinstance(new, list)):
        return None
    before, now = cast("list[Plain]", old), cast("list[Plain]", new)
    return list(zip(before, now, strict=True)) if len(before) == len(now) else None


def _shown(value: Plain) -> str:
    # As the fingerprint takes it: 1 and 1.0 are two texts, and a field without a word is not one that says null.
    return "nothing" if value is _NOTHING else json.dumps(value, sort_keys=True)
