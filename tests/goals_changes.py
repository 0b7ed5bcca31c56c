"""Goals of a run's name that another plan, or other images, would take over."""

import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from faults import SEED, goal
from goals_kills import folder
from own_sets import fill, noise, put
from study_rig import CONV, TINY, events, plan, search

from cnnsearch.errors import RunError
from cnnsearch.history import read
from cnnsearch.parts import Budget, Executor, Finals, Limits, Pruner, Sampler
from cnnsearch.plan import Plan
from cnnsearch.recipe import Recipe
from cnnsearch.text import Plain

Draw = Callable[[random.Random], Plain]
START = {"input": {"channels": 1, "height": 8, "width": 8}, "blocks": [{"conv": {"out_channels": 5, "kernel_size": 1}}]}
BASE: dict[str, Any] = {
    **TINY,
    "name": "x",
    "space": {"blocks": [{"conv": CONV, "maxpool": {"kernel_size": 2}}, {"conv": CONV}]},
    "recipe": Recipe(epochs=2, augmentation=None).model_dump(mode="json"),
    "objectives": {"parameters": {}},
    "budget": {"trials": 2},
    "limits": dict.fromkeys(Limits.model_fields, 10**6),
    "pruner": Pruner().model_dump(mode="json"),
    "finals": Finals().model_dump(mode="json"),
}


def of(*values: Plain) -> Draw:
    return lambda dice: dice.choice(values)


def whole(least: int, most: int) -> Draw:
    return lambda dice: dice.randint(least, most)


def real(least: float, most: float) -> Draw:
    return lambda dice: dice.uniform(least, most)


REFUSED: dict[str, Draw] = {
    "dataset": of("mnist"),
    "space.blocks": lambda dice: BASE["space"]["blocks"][:1] * dice.choice((1, 3)),
    "space.blocks[0].conv.out_channels.choice[2]": whole(5, 64),
    "space.blocks[1].conv.kernel_size.choice": of([1], [1, 3, 5]),
    "space.blocks[1].conv.padding": of(0, 1, "valid", [1, 0]),
    "space.blocks[0].conv.bias": lambda dice: dice.random() < 0.5,
    "space.blocks[1].relu": of(None, {}, {"choice": [None, {}]}),
    "space.blocks[0].maxpool": of(None),
    "space.blocks[0].maxpool.kernel_size": of([2, 1], {"choice": [1, 2]}),
    "space.head": of({"pool": "max"}, {"dropout": 0.1}),
    "recipe.epochs": whole(3, 1000),
    "recipe.first_epoch_share": real(0.1, 0.9),
    "recipe.batch_size": whole(2, 127),
    "recipe.optimizer": of("sgd", "muon", {"choice": ["sgd", "adamw"]}),
    "recipe.learning_rate": real(0.02, 1),
    "recipe.weight_decay": real(0.02, 1),
    "recipe.momentum": of(0, 0.5, {"float": [0.1, 0.9]}),
    "recipe.schedule": of("cosine"),
    "recipe.restarts": of([1], [1, 2]),
    "recipe.label_smoothing": real(0.1, 0.5),
    "recipe.augmentation": of({}, {"shift": 1.0}, {"choice": [None, {}]}),
    "objectives": of({}, {"macs": {}}),
    "objectives.latency": of({}),
    "objectives.validation_accuracy.at_least": real(0.5, 1),
    **{f"limits.{name}": whole(10**5, 10**6 - 1) for name in Limits.model_fields},
    "sampler.kind": of("random"),
    "sampler.startup": whole(11, 100),
    "pruner.kind": of("successive", "median", "none"),
    "pruner.rungs": of([2], [1, 2], []),
    "pruner.keep": real(0.3, 1),
    "pruner.startup": of(*range(4), 5, 6),
    "repeats": of("seed"),
    "seed": whole(1, 2**32 - 1),
    "start": of([{**START, "classes": 10}]),
    "imports": of(["json"], ["json", "csv"]),
}
"""For each place in a plan another value; a study of the same name must not take it."""

HARMLESS: dict[str, Draw] = {
    "budget.trials": of(1, 3, 4),
    "budget.minutes": real(0.5, 9),
    "budget.trial_minutes": real(0.5, 9),
    "budget.until_flat": lambda _: False,
    "finals": of(None),
    "finals.candidates": whole(1, 100),
    "finals.finalists": whole(1, 100),
    "finals.seeds": whole(1, 100),
    "finals.epochs": whole(1, 1000),
    "finals.baselines": of([], ["majority"]),
    "executor.kind": of("local"),
    "executor.workers": whole(1, 8),
    "executor.device": of(None, "cpu"),
    "storage": of("sqlite:///elsewhere.db"),
    "data_root": of("elsewhere"),
}
"""What may be changed: where, on what and how long a study runs, and what comes after it."""

WORDS = {
    "budget": Budget,
    "executor": Executor,
    "finals": Finals,
    "limits": Limits,
    "pruner": Pruner,
    "recipe": Recipe,
    "sampler": Sampler,
}
NAMES = {"name", "runs"}  # under another one it is another run
OF_THE_DATA = {"data", "image"}  # follow from images of one's own, of which the other goal is


def untried() -> set[str]:
    """Give the fields of a plan of which neither table says anything."""
    inner = {f"{name}.{field}" for name, word in WORDS.items() for field in word.model_fields}
    tried = {**REFUSED, **HARMLESS}
    own = Plan.model_fields.keys() - WORDS.keys() - NAMES - OF_THE_DATA
    return {field for field in own | inner if not any(re.match(rf"{field}([.[]|$)", path) for path in tried)}


def changed(data: Plain, path: str, value: Plain) -> Plain:
    """Give plain data with another value at a place, `blocks[0].conv`."""
    if not path:
        return value
    key, rest = re.match(r"\.?([^.[]+|\[\d+\])(.*)", path).groups()  # pyright: ignore[reportOptionalMemberAccess]
    if key.startswith("["):
        place = int(key[1:-1])
        return [*data[:place], changed(data[place], rest, value), *data[place + 1 :]]
    within: dict[str, Plain] = data or {}
    return {**within, key: changed(within.get(key), rest, value)}


def nothing(*_: object, **__: object) -> None:
    pass


@goal("R11", "another plan under the name of a run", 30)
def plans(count: int) -> str:
    """Change each field of a plan again and again; what decides is refused, with the field and both its values."""
    assert not untried(), f"nothing is known of {sorted(untried())}"
    dice = random.Random(SEED)
    refused = harmless = 0
    with folder() as where, pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnnsearch.study.conduct.hold", nothing)  # the finals have no part in it
        base = plan(where, BASE)
        search(base)
        for _ in range(count):
            for path, draw in REFUSED.items():
                value = draw(dice)
                assert_refused(base, plan(where, changed(BASE, path, value)), path)
                refused += 1
            for path, draw in HARMLESS.items():
                value = draw(dice)
                trials = read(base.folder).trials
                search(plan(where, changed(BASE, path, value)))
                assert read(base.folder).trials[: len(trials)] == trials, f"{path} {value!r}: other trials"
                harmless += 1
    return f"{refused} changes of {len(REFUSED)} fields refused with both values, {harmless} of {len(HARMLESS)} taken"


def assert_refused(base: Plan, other: Plan, path: str) -> None:
    """Check that a plan is refused for one change alone, with both values."""
    told = refusal(base.folder, other, path)
    stray = [line for line in told if not re.match(rf"{re.escape(path)}[^:]*: .+ before, .+ now$", line)]
    stray = [line for line in stray if path != "dataset" or not line.startswith("data: ")]
    assert told, f"{path} was refused without a difference"
    assert not stray, f"{path}: {stray}"


def refusal(run: Path, other: Plan, what: str) -> list[str]:
    """Give what a refusal says, and check that it comes before anything of the run is touched."""
    before = content(run)
    try:
        search(other)
    except RunError as error:
        told = [line.strip() for line in str(error).splitlines()[1:-1]]
    else:
        raise AssertionError(f"{what} was taken though it decides")
    assert content(run) == before, f"{what} was refused, and something of the run is another"
    return told


def content(run: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != "lock"}


def other_pixels(images: Path, dice: random.Random) -> str:
    put(one(images, dice), noise(dice.randrange(10**6, 10**9), 8, 8))
    return "other pixels"


def another(images: Path, dice: random.Random) -> str:
    put(images / "cat" / "new.png", noise(dice.randrange(10**6, 10**9), 8, 8))
    return "new"


def fewer(images: Path, dice: random.Random) -> str:
    one(images, dice).unlink()
    return "gone"


def renamed(images: Path, dice: random.Random) -> str:
    name = one(images, dice)
    name.rename(name.with_name("renamed.png"))
    return "new"


def other_class(images: Path, dice: random.Random) -> str:
    name = one(images, dice)
    name.rename(images / {"cat": "dog", "dog": "cat"}[name.parent.name] / "moved.png")
    return "new"


def one(images: Path, dice: random.Random) -> Path:
    return dice.choice(sorted(images.glob("*/*.png")))


@goal("R11", "other images under the name of a data set", 30)
def images(count: int) -> str:
    """Change a data set of one's own between two calls of the same plan."""
    dice = random.Random(SEED)
    with folder() as where:
        data = {**TINY, "name": "x", "dataset": str(where / "mine"), "data_root": str(where / "root")}
        for number in range(count):
            shutil.rmtree(where / "mine", ignore_errors=True)
            shutil.rmtree(where / "x", ignore_errors=True)
            fill(where / "mine", count=40)
            base = plan(where, data, budget={"trials": 1})
            search(base)
            search(plan(where, data, budget={"trials": 2}))  # the same images: it goes on
            assert [line["event"] for line in events(base.folder)].count("finished") == 2
            act = (other_pixels, another, fewer, renamed, other_class)[number % 5]
            what = act(where / "mine", dice)
            told = refusal(base.folder, plan(where, data, budget={"trials": 3}), act.__name__)
            assert any(re.fullmatch(r'data: "\w{64}" before, "\w{64}" now', line) for line in told), f"{told}"
            assert any(line.startswith(f"images: {what}: ") for line in told), f"{act.__name__}: {told}"
    return f"{count} changes refused with the names of the images"
