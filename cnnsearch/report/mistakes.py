"""Which classes does the winner read wrong, and what for? By its shipped weights, of the test images."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from cnnsearch.events import Tested
from cnnsearch.history import Run
from cnnsearch.report.table import named, table
from cnnsearch.units import percent
from cnnsearch.verdict import decided

COLUMNS = ("class", "test images", "read right", "taken for")
MOST_PAIRS = 3  # that are named in a sentence, or in a row
MOST_ROWS = 30


class Reading(NamedTuple):
    """How the images of one class were read."""

    name: str
    images: int
    taken_for: tuple[tuple[str, int], ...]
    """The classes they were wrongly taken for, the most frequent first, and how many were."""

    @property
    def right(self) -> float:
        """The share that was read right."""
        return 1 - sum(count for _, count in self.taken_for) / self.images


def readings(run: Run) -> list[Reading]:
    """Give the classes that the winner reads worst first; nothing where its record does not tell."""
    found = decided(run)
    tested = found and found.winner.tested[found.winner.best]
    if not tested or not tested.of_class or not _is_whole(tested, len(run.classes)):
        return []
    taken: dict[int, Counter[str]] = defaultdict(Counter)
    for truth, read in zip(tested.truth, tested.taken_for, strict=True):
        taken[truth][run.classes[read]] += 1
    made = [
        Reading(name, images, tuple(taken[truth].most_common()))
        for truth, (name, images) in enumerate(zip(run.classes, tested.of_class, strict=True))
        if images
    ]
    return sorted(made, key=lambda reading: reading.right)


def _is_whole(tested: Tested, classes: int) -> bool:
    """Say whether all that is told of classes names one: a record may come from somebody else."""
    named = (*tested.truth, *tested.taken_for)
    alike = len(tested.truth) == len(tested.taken_for) and len(tested.of_class) == classes
    return alike and all(number < classes for number in named)


def sentences(run: Run) -> Iterator[str]:
    """Name what is most often taken for something else."""
    pairs = [(count, reading.name, name) for reading in readings(run) for name, count in reading.taken_for]
    if pairs:
        worst = sorted(pairs, key=lambda pair: -pair[0])[:MOST_PAIRS]
        told = ", ".join(f"{name} for {other} ({count})" for count, name, other in worst)
        yield f"Most often taken for another class, of the test images: {told}."


def section(run: Run) -> str:
    """Write the page's part about it; nothing where the record does not tell."""
    found = readings(run)
    if not found:
        return ""
    shown = table(named(*COLUMNS), map(_cells, found[:MOST_ROWS]))
    rest = len(found) - MOST_ROWS
    more = f" {rest:,} more classes are read better than these." if rest > 0 else ""
    return f"""<section class="card"><h2>What the winner reads wrong</h2>
<p class="caption">The test images by class, as the shipped weights read them, the worst class first.{more} The record
(<code>tested</code> in record.jsonl) has the place of each misread image in the test split.</p>
{shown}</section>"""


def _cells(reading: Reading) -> tuple[str, ...]:
    taken = ", ".join(f"{name} ({count})" for name, count in reading.taken_for[:MOST_PAIRS])
    more = len(reading.taken_for) - MOST_PAIRS
    others = f"{taken}, {more} others" if more > 0 else taken or "-"
    return reading.name, f"{reading.images:,}", percent(reading.right), others
