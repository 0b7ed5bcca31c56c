"""Who takes part in the finals, and what is still to be trained?

First the best of the search are trained once, with a fresh seed; then the best of these with more seeds, and last the
baselines. What follows is decided by what is done alone, so finals that were cut go on as if they had not been.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from cnnsearch import history
from cnnsearch.baselines import gentle, handmade, lenet5
from cnnsearch.entering import entering
from cnnsearch.errors import RunError
from cnnsearch.events import Retrained
from cnnsearch.history import PLAN, Run, Trial
from cnnsearch.network import Network
from cnnsearch.objectives import Aim
from cnnsearch.parts import BASELINES, SIMPLE, Finals
from cnnsearch.plan import Plan
from cnnsearch.ranking import Standing, rank
from cnnsearch.recipe import Recipe
from cnnsearch.shapes import Shape
from cnnsearch.verdict import sure_of

Key = tuple[str, int]
"""An entrant's name, and which of its seeds."""


class Entrant(NamedTuple):
    """A network that is trained in the finals, and how."""

    name: str
    network: Network
    recipe: Recipe
    costs: tuple[float, ...] = ()
    """Of one from the search: what the plan wants to be small."""
    seconds: float | None = None
    """How long one training may take; None for any time."""


class Training(NamedTuple):
    """One training of an entrant."""

    entrant: Entrant
    seed: int
    """From 0."""

    @property
    def key(self) -> Key:
        """Name the training."""
        return self.entrant.name, self.seed


class Field(NamedTuple):
    """All who take part."""

    finals: Finals
    candidates: tuple[Entrant, ...]
    """The best of the search, and who was trained in finals before; best first."""
    baselines: tuple[Entrant, ...]
    aim: Aim = Aim()
    validation_images: int | None = None

    @property
    def trainings(self) -> Iterator[Training]:
        """Give all that there may be: of each candidate as many as of a finalist."""
        yield from (Training(entrant, seed) for entrant in self.candidates for seed in range(self.finals.seeds))
        yield from (Training(entrant, 0) for entrant in self.baselines)

    @property
    def most_trainings(self) -> int:
        """How many trainings there will be, but for more seeds that finals before had, or a floor asks for."""
        more = min(self.finals.finalists, len(self.candidates)) * (self.finals.seeds - 1)
        return len(self.candidates) + len(self.baselines) + more


def field(plan: Plan, run: Run) -> Field:
    """Say who takes part, from the search's result; nobody where the search has none."""
    assert plan.finals
    candidates = tuple(_candidate(trial, plan) for trial in entering(run, plan.finals))
    baselines = tuple(_baselines(plan, candidates[0])) if candidates else ()
    return Field(plan.finals, candidates, baselines, plan.aim, run.validation_images)


def random_twin(plan: Plan, trials: int | None = None) -> Plan:
    """Make the same study with uniform draws, in a run beside it; with as many trials as the study came to.

    By another seed: a sampler's first draws are uniform too, and would be the same ones.
    """
    return plan.with_budget(trials=trials or plan.budget.trials, until_flat=False).altered(
        sampler=plan.sampler.model_copy(update={"kind": "random"}),
        seed=(plan.seed + 1_000_000) % 2**32,
        name=f"{plan.run_name[:93]}-random",
        finals=None,
    )


def simple_names(plan: Plan) -> tuple[str, ...]:
    """Name the baselines that are no networks; they are fitted when all else is trained."""
    assert plan.finals
    return tuple(BASELINES[asked] for asked in plan.finals.baselines if asked in SIMPLE)


def to_train(field: Field, done: Mapping[Key, Retrained]) -> list[Training]:
    """Give what may be trained by what is done, the most urgent first."""
    first = [Training(entrant, 0) for entrant in field.candidates]
    best = finalists(field, done)
    more = [Training(entrant, seed) for seed in range(1, field.finals.seeds) for entrant in best]
    baselines = [Training(entrant, 0) for entrant in field.baselines]
    return [training for training in chain(first, more, baselines) if training.key not in done]


def finalists(field: Field, done: Mapping[Key, Retrained]) -> Sequence[Entrant]:
    """Give the best candidates by their first training, once all have had theirs.

    Where the plan has a floor they are the cheapest that meet it, and more follow until one meets it surely: by the
    lower end of the interval of its mean.
    """
    if any((entrant.name, 0) not in done for entrant in field.candidates):
        return ()
    trained = [entrant for entrant in field.candidates if done[entrant.name, 0].state == "complete"]
    ranked = sorted(trained, key=lambda entrant: _place(field, entrant, score_of(done[entrant.name, 0])))
    chosen = field.finals.finalists
    while chosen < len(ranked) and _nobody_is_sure(field, ranked[:chosen], done):
        chosen += 1
    return ranked[:chosen]


def _place(field: Field, entrant: Entrant, score: float) -> tuple[float, ...]:
    return *rank(Standing(score, entrant.costs), field.aim.floor), entrant.network.cost.parameters


def _nobody_is_sure(field: Field, chosen: Sequence[Entrant], done: Mapping[Key, Retrained]) -> bool:
    """Say whether all of the chosen have had their seeds, and none surely meets the floor."""
    asked = [[(entrant.name, seed) for seed in range(field.finals.seeds)] for entrant in chosen]
    if field.aim.floor is None or any(key not in done for own in asked for key in own):
        return False
    over = [training for training in done.values() if training.state == "complete"]  # more seeds too, of finals before
    scores = [[score_of(each) for each in over if each.entrant == entrant.name] for entrant in chosen]
    return all(sure_of(own, field.finals, field.validation_images) < field.aim.floor for own in scores)


def score_of(training: Retrained) -> float:
    """Give a complete training's accuracy on the validation images, at its end."""
    return training.accuracies[-1]


def _candidate(trial: Trial, plan: Plan) -> Entrant:
    assert plan.finals
    costs = plan.aim.standing(0.0, trial, trial.latency).costs
    recipe = plan.finals.recipe(trial.recipe)
    return Entrant(trial.name, trial.network, recipe, costs, seconds_for(recipe, trial.recipe, plan))


def seconds_for(recipe: Recipe, searched: Recipe, plan: Plan) -> float | None:
    """Give how long a training after the search may take, by how much longer its schedule is; None for any time."""
    limit = plan.budget.trial_seconds
    return limit and limit * max(1.0, sum(recipe.passes) / sum(searched.passes))


def _finished_twin(plan: Plan) -> Run:
    """Read the study with uniform draws; raise RunError where it is not over: it shall have the same budget."""
    folder = random_twin(plan).folder
    if not (folder / PLAN).exists() or (run := history.read(folder)).state in {"running", "interrupted"}:
        law = "random search is to take part in the finals, but its study is not over"
        raise RunError(f"{folder}: {law}; the command of the study itself, with this baseline, makes it")
    if run.state == "failed":
        law = "random search is to take part in the finals, but its study ended in bugs of the program"
        raise RunError(f"{folder}: {law}; see {folder / 'log'}, or leave this baseline out")
    return run


def _baselines(plan: Plan, best: Entrant) -> list[Entrant]:
    """Make the baselines that are networks; they are trained as the best candidate is."""
    assert plan.finals
    shape, classes, asked = Shape(*plan.facts.shape), len(plan.facts.classes), plan.finals.baselines
    made: list[Entrant] = []
    if "lenet5" in asked and (lenet := lenet5(shape, classes)):
        made.append(best._replace(name=BASELINES["lenet5"], network=lenet, recipe=gentle(best.recipe), costs=()))
    if "handmade" in asked:
        made.append(best._replace(name=BASELINES["handmade"], network=handmade(shape, classes), costs=()))
    if "random-search" in asked:
        twin = _finished_twin(plan)
        made += [_candidate(trial, plan)._replace(name=BASELINES["random-search"]) for trial in twin.ranked[:1]]
    return made
