"""How are the test images read once, for weights that were named before?

The only place that reads them. What they will be read for is on the disk before they are: a record without it knows
that nobody has looked.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# (torch's own annotations have holes)

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from cnnsearch import weights
from cnnsearch.data import DataSet, Split, load_test
from cnnsearch.evaluate import simple
from cnnsearch.evaluate.entrants import simple_names
from cnnsearch.evaluate.simple import Classify, Fit
from cnnsearch.events import Retrained, Tested, TestOpened
from cnnsearch.history import Run
from cnnsearch.plan import Plan
from cnnsearch.record import Record

BATCH = 250


class Judged(NamedTuple):
    """Something that is to read the test images."""

    entrant: str
    seed: int
    sha256: str
    classifier: Callable[[], Classify]
    """Loads it."""

    @property
    def label(self) -> str:
        """Name it in the record."""
        return f"{self.entrant}, seed {self.seed}"


class _Misread(NamedTuple):
    place: int
    taken_for: int
    truth: int


def record_simple(plan: Plan, run: Run, data: DataSet, fit: Fit, record: Record) -> Iterator[Retrained]:
    """Fit the baselines that are no networks and note how they read the validation images."""
    known = {training.entrant for training in run.retrained}
    for name in simple_names(plan):
        if name in known:
            continue
        classify, learned = fit(name)
        images = len(data.validation.labels_N)
        accuracy = (images - len(_misread(classify, data.validation))) / images  # not 1 - ...: ties are to be equal
        fitted = Retrained(
            entrant=name,
            seed=0,
            state="complete",
            parameters=learned,
            macs=learned,
            accuracies=(accuracy,),
            sha256=simple.identity(name, data.sha256),
        )
        record.append(fitted)
        yield fitted


def judge(run: Run, named: Iterable[Retrained], data: DataSet, fit: Fit, root: Path, record: Record) -> int:
    """Read the test images for the named trainings that they were not read for yet; say for how many.

    Raises RunError for weights that are damaged, DataError where the test images cannot be had.
    """
    known = {tested.sha256 for tested in run.tested}
    new = [_judged(run.folder, training, data, fit) for training in named if training.sha256 not in known]
    if not new:
        return 0
    wanted = {judged.label: judged.sha256 for judged in new}
    announced = run.openings[-1].weights if run.openings else {}
    if not wanted.items() <= announced.items():  # else it was said before a crash that came before the result
        record.append(TestOpened(weights=wanted))
    test = load_test(data.key, root, data.train.labels_N.device)
    of_class = tuple(test.labels_N.bincount(minlength=len(data.classes)).tolist())
    for judged in new:
        misread = _misread(judged.classifier(), test)
        record.append(
            Tested(
                entrant=judged.entrant,
                seed=judged.seed,
                sha256=judged.sha256,
                images=len(test.labels_N),
                wrong=tuple(each.place for each in misread),
                taken_for=tuple(each.taken_for for each in misread),
                truth=tuple(each.truth for each in misread),
                of_class=of_class,
            )
        )
    return len(new)


def _judged(folder: Path, training: Retrained, data: DataSet, fit: Fit) -> Judged:
    def fitted() -> Classify:
        return fit(training.entrant)[0]

    def loaded() -> Classify:
        module = weights.load(folder / training.weights).to(data.train.labels_N.device)
        return lambda images_NCHW: module(images_NCHW.float() / 255).argmax(dim=1)

    return Judged(training.entrant, training.seed, training.sha256, loaded if training.weights else fitted)


def _misread(classify: Classify, split: Split) -> list[_Misread]:
    """Give the images that are taken for another class, by their places."""
    found: list[_Misread] = []
    with torch.inference_mode():
        for start in range(0, len(split.labels_N), BATCH):
            images_NCHW, labels_N = (part[start : start + BATCH] for part in split)
            read_N = classify(images_NCHW).to(labels_N)
            places_M = (read_N != labels_N).nonzero().flatten()
            triples = zip(places_M.tolist(), read_N[places_M].tolist(), labels_N[places_M].tolist(), strict=True)
            found += [_Misread(start + place, read, truth) for place, read, truth in triples]
    return found
