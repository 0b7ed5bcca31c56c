"""What must somebody know who meets an exported network? The model card, in the words of the run it comes from."""

import json
from collections.abc import Iterator

from cnnsearch.data import DataSet
from cnnsearch.datasets import FACTS
from cnnsearch.export.source import Source
from cnnsearch.export.table import Table, in_markdown, sentences
from cnnsearch.history import Run
from cnnsearch.own.image import Image
from cnnsearch.recipe import Recipe
from cnnsearch.units import percent, times
from cnnsearch.verdict import Verdict, other_schedule

STUDY = "study.json"

USE = """\
Every model takes `pixels`, floats from 0 to 1 of shape (images, {image}), any number of images at once (a tensor, or
for ONNX a NumPy array), and gives a logit for each class; mean and spread of the training pixels are inside. No
file needs cnnsearch. `model.pt2` holds a pickle: torch.export.load is for files you trust.

```python
from model import CLASSES, load                                   # model.py: torch and safetensors
logits = load()(pixels)

import torch                                                      # model.pt2: torch
logits = torch.export.load("model.pt2").module()(pixels)

import onnxruntime                                                # model.onnx, model.int8.onnx: ONNX Runtime
logits, = onnxruntime.InferenceSession("model.onnx").run(None, {{"pixels": pixels.numpy()}})
```

The class names travel in `CLASSES` of model.py, in the extra file `classes.json` of model.pt2, and in the entry
`classes` of the metadata of ONNX. In this order: {classes}"""

COLUMNS = """\
Each file was opened in a process that cannot import cnnsearch, and read all validation images there. The difference is
the largest between two logits, the file's and the network's; changed are the images that get another class; the time
is the median of calls with one image, on one thread of this processor: {processor}. Its 95 % interval is of the calls
of one process; another process may be faster or slower by more."""

LIMITS = """\
It was trained on the images of {dataset} and on no others, and was looked at on images of the same origin. What it says
of other images (another camera, pen, size, contrast, a thing of no class) is not known, and it has no way to say "none
of these". Its logits were not calibrated: do not read their softmax as a chance."""


def card(source: Source, data: DataSet, table: Table) -> str:
    """Write the whole page."""
    sections = {
        "Result": _result(source, table),
        "Files": _files(table),
        "Use": _use(source),
        "Data": _data(data, source.run),
        "Protocol": _protocol(source),
        "Limits": LIMITS.format(dataset=data.name),
        "Made with": _made_with(source, table),
        "Make it again": _again(source),
    }
    return "\n\n".join([_top(source, data.name), *(f"## {head}\n\n{text}" for head, text in sections.items())]) + "\n"


def _top(source: Source, dataset: str) -> str:
    network, name = source.classifier.network, source.folder.resolve().name
    text = (
        f"# {name}\n\nA convolutional network that reads {dataset}: {network}. "
        f"{network.cost.parameters:,} parameters, {network.cost.macs:,} multiply-adds an image."
    )
    return f"{text}\n\n**{source.run.notice}**" if source.run and source.run.notice else text


def _result(source: Source, table: Table) -> str:
    seen = f"{percent(table.validation_accuracy)} of the {table.validation_images:,} validation images right"
    if source.role == "winner":
        return f"The winner of a study, trained again after the search. It reads {seen}. {_tested(source.verdict)}"
    if source.role == "best":
        opened = len(source.run.openings) if source.run else 0
        test = f"were opened {times(opened)}, for other weights" if opened else "were not read"
        return (
            f"The best network of a search: not trained again since, and **not tested**; the test images {test}. "
            f"It reads {seen}. That is the best of many scores on these images: expect less on new ones."
        )
    return f"Exported from a folder without a run: how it was chosen is not known. It reads {seen}."


def _tested(verdict: Verdict | None) -> str:
    if not verdict or not verdict.winner.test_interval:
        return "The test images were not read for it: it is **not tested**."
    low, high = (percent(end) for end in verdict.winner.test_interval)
    by_seed = [accuracy for accuracy in verdict.winner.test_accuracies if accuracy is not None]
    best = verdict.winner.test_accuracies[verdict.winner.best] or 0.0
    gap = f"{100 * verdict.optimism_gap:+.2f} points"
    return (
        f"Of the test images it reads {percent(best)} right (95 % interval {low} to {high}); trained with each seed: "
        f"{', '.join(map(percent, by_seed))}. The test images were opened {times(verdict.test_opened)}. Optimism gap "
        f"(the search's score less the mean score of the trainings after it{other_schedule(verdict.winner)}): {gap}."
    )


def _files(table: Table) -> str:
    words = [f"- {sentence}" for sentence in sentences(table)]
    words += [f"- {name} is missing: it {why}." for name, why in table.missing.items()]
    return "\n\n".join([in_markdown(table), COLUMNS.format(processor=table.processor), "\n".join(words)])


def _use(source: Source) -> str:
    return USE.format(
        image=", ".join(str(axis) for axis in source.classifier.network.input.shape),
        classes=f"`{json.dumps(source.classifier.classes, ensure_ascii=False)}`.",
    )


def _data(data: DataSet, run: Run | None) -> str:
    hashed = "training and validation images with their labels" if data.key in FACTS else "all images and labels"
    return (
        f"{data.name}: {len(data.train.labels_N):,} training, {len(data.validation.labels_N):,} validation and "
        f"{data.test_images:,} test images of {len(data.classes)} classes{_brought(run)}. SHA-256 of {hashed}: "
        f"`{data.sha256}`. Weights were learned from the training images, networks chosen by "
        "the validation images; this export calibrated int8 on training images, compared on validation images, and "
        "read no test image."
    )


def _brought(run: Run | None) -> str:
    """Say to what form images were brought, if to any: so must others be before they are read."""
    image = Image.model_validate((run and run.plan.get("image")) or {})
    changes = [f"stretched or shrunk, bilinearly, to {image.size[0]}x{image.size[1]} pixels"] if image.size else []
    changes += [{1: "made grey", 3: "made RGB"}[image.channels]] if image.channels else []
    return f"; all were {' and '.join(changes)}" if changes else ""


def _protocol(source: Source) -> str:
    run = source.run
    if run is None:
        return "Not known: there was no run's record beside the weights."
    counts = {state: run.count(state) for state in ("complete", "stopped", "failed", "turned_away", "repeated")}
    counted = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items())
    stopped = f"stopped early by `{_kind(run, 'pruner')}`" if run.count("stopped") else "none stopped early"
    text = (
        f"Networks were proposed by the sampler `{_kind(run, 'sampler')}` (seed {run.plan.get('seed')}), {stopped}, "
        "and scored by the share of validation images read right after their last epoch. "
        f"Trials: {counted}."
    )
    return "\n\n".join([text, *_training(source, run)])


def _training(source: Source, run: Run) -> Iterator[str]:
    """Say by which recipe the weights came about."""
    if source.verdict:
        winner, again = source.verdict.winner, [row for row in source.verdict.rows if row.trial]
        seeds = len(winner.trainings)
        finalists = sum(len(row.trainings) == seeds for row in again)
        more = f", and {finalists} of them with {seeds} in all" if seeds > 1 else ""
        yield (
            f"Then {len(again)} of the best were trained again with a fresh seed{more}; the winner "
            f"{_law(run, source.verdict)}. Its scores there: {', '.join(map(percent, winner.scores))}; these are the "
            "weights of the best. Recipe:"
        )
        yield _recipe(winner.recipe)
    elif source.role == "best" and run.ranked:
        trial = run.ranked[0]
        yield f"This network is trial {trial.number}, trained in {trial.seconds:.0f} s by this recipe:"
        yield _recipe(trial.recipe)


def _law(run: Run, verdict: Verdict) -> str:
    if run.aim.floor is None:
        return "has the best mean on the validation images"
    floor = percent(run.aim.floor)
    if verdict.meets_floor is False:
        return f"has the best mean on the validation images, as none surely reads {floor} of them right"
    return f"is the cheapest whose 95 % interval begins at {floor} of the validation images or above"


def _recipe(recipe: Recipe | None) -> str:
    return f"    {recipe.model_dump_json()}" if recipe else "    unknown"


def _kind(run: Run, part: str) -> str:
    return str(run.plan.get(part, {}).get("kind", "unknown"))


def _made_with(source: Source, table: Table) -> str:
    lines = {"Exported": table.versions} | ({"Searched": source.run.versions} if source.run else {})
    return "\n".join(
        f"- {what} with {', '.join(f'{name} {number}' for name, number in found.items())}."
        for what, found in lines.items()
    )


def _again(source: Source) -> str:
    if source.run is None:
        return f"    python -m cnnsearch.export {source.folder.resolve().name}"
    dataset = source.run.plan["dataset"]
    where = "" if dataset in FACTS else f" Where `{dataset}` lies elsewhere, `--dataset` says where."
    return (
        f"    python -m cnnsearch.study {STUDY} --name again\n"
        "    python -m cnnsearch.export runs/again\n\n"
        f"`{STUDY}` lies beside this page.{where} The same seed on another machine, or with other versions, may find "
        "another network."
    )
