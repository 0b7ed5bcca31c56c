"""What do the finals say? The winner with its intervals, from a run's record; reads no weights and no images.

The winner is the finalist with the best mean on the validation images over its seeds, or where the plan has a floor the
cheapest whose interval's lower end meets it; the test images, read once and for weights named before, have no part in
choosing it. Shipped are the weights of its best seed on validation.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from cnnsearch.causes import cause_of
from cnnsearch.certainty import Interval, accuracy_interval, holm, paired_p, share_interval, surely
from cnnsearch.entering import entering
from cnnsearch.errors import refuse_unlike
from cnnsearch.events import Retrained, Tested
from cnnsearch.history import A_RUN, Run, Trial
from cnnsearch.network import Network
from cnnsearch.objectives import Aim
from cnnsearch.parts import BASELINES, Finals
from cnnsearch.ranking import mean_of, rank
from cnnsearch.recipe import Recipe
from cnnsearch.units import counted, percent


class Against(NamedTuple):
    """The winner's shipped weights beside another's, on the same test images."""

    only_winner_right: int
    only_other_right: int
    p_value: float
    """Of the exact McNemar test, Holm-corrected over all that the winner is compared with."""


class Row(NamedTuple):
    """An entrant of the finals, with all of its trainings."""

    entrant: str
    trial: Trial | None
    """Of the search; None for a baseline."""
    trainings: tuple[Retrained, ...]
    tested: tuple[Tested | None, ...]
    """What the test images said to each training, where they were read for it."""
    images: int | None = None
    """On which the scores were measured; a record of a former version does not tell."""
    against: Against | None = None

    def __repr__(self) -> str:
        """Name it with its scores."""
        return f"<Row {self.entrant}: {', '.join(map(percent, self.scores))}>"

    @property
    def scores(self) -> tuple[float, ...]:
        """Accuracy of each training on the validation images."""
        return tuple(training.accuracies[-1] for training in self.trainings)

    @property
    def mean(self) -> float:
        """Mean of the scores."""
        return mean_of(self.scores)

    @property
    def interval(self) -> Interval | None:
        """95 % interval of the mean over seeds; None for a single one."""
        return accuracy_interval(self.scores, self.images)

    @property
    def best(self) -> int:
        """The place of the training with the best score: the one whose weights stand for the entrant."""
        return max(range(len(self.scores)), key=lambda place: (self.scores[place], -place))

    @property
    def shipped(self) -> Retrained:
        """The training with the best score."""
        return self.trainings[self.best]

    @property
    def parameters(self) -> int:
        """Learned numbers."""
        return self.trainings[0].parameters

    @property
    def network(self) -> Network | None:
        """The network; None for what is none."""
        data = self.trainings[0].network
        return None if data is None else Network.model_validate(data)

    @property
    def recipe(self) -> Recipe | None:
        """How it was trained in the finals; None for what is no network, and in a record of a former version."""
        return self.shipped.recipe

    @property
    def test_accuracies(self) -> tuple[float | None, ...]:
        """Accuracy of each training on the test images."""
        return tuple(tested and (tested.images - len(tested.wrong)) / tested.images for tested in self.tested)

    @property
    def test_accuracy(self) -> float | None:
        """Accuracy on the test images of the weights that stand for the entrant."""
        return self.test_accuracies[self.best]

    @property
    def test_interval(self) -> Interval | None:
        """Wilson's 95 % interval of that accuracy, over the images."""
        tested = self.tested[self.best]
        return tested and share_interval(tested.images - len(tested.wrong), tested.images)


class Verdict(NamedTuple):
    """The result of the finals."""

    winner: Row
    rows: tuple[Row, ...]
    """All entrants, the winner first, then by their mean score."""
    seeds: int
    """Trainings that make a finalist: as many as asked, or the most that anybody has had of them so far."""
    finalists: tuple[str, ...]
    """Those that have had them, the winner first; where one makes a finalist, the best of all, as many as asked (also
    with a floor, for which more may have been looked at)."""
    optimism_gap: float
    """The winner's score in the search less the mean of its scores in the finals."""
    test_opened: int
    """How often the test images were read."""
    meets_floor: bool | None = None
    """Whether the winner surely reaches the plan's floor; None where there is none."""
    is_final: bool = False
    """Whether the finals came to their end, and the test images were read for all that they are read for."""

    def __repr__(self) -> str:
        """Name the winner: the fields hold every image that was read wrong."""
        return f"<Verdict: {self.winner.entrant} wins, of {len(self.rows)} entrants>"


def decided(run: Run) -> Verdict | None:
    """Read the finals of a run that came to their end; None where they did not. Raises TypeError for what is no run."""
    refuse_unlike(run, Run, A_RUN)
    found = verdict(run)
    return found if found and found.is_final else None


def verdict(run: Run) -> Verdict | None:
    """Read the finals of a run as far as they came; None where no finalist is trained to its end."""
    finals = run.finals  # read in any case: a plan whose finals nobody knows is refused
    if not run.retrained:
        return None
    rows = _rows(run, finals)
    candidates = [row for row in rows if row.trial]
    if not candidates:
        return None
    seeds = min(finals.seeds, max(len(row.trainings) for row in candidates))
    whole = [row for row in candidates if len(row.trainings) >= seeds]
    whole.sort(key=lambda row: _place(row, run.aim, finals))
    winner = whole[0]
    finalists = tuple(row.entrant for row in (whole if seeds > 1 else whole[: finals.finalists]))
    others = sorted((row for row in rows if row is not winner), key=_rank)
    assert winner.trial
    gap = winner.trial.accuracy - winner.mean
    sure = sure_of(winner.scores, finals, winner.images)
    meets = None if run.aim.floor is None else sure >= run.aim.floor
    compared = (winner, *_compared(winner, others))
    so_far = Verdict(winner, compared, seeds, finalists, gap, len(run.openings), meets)
    return so_far._replace(is_final=not run.finals_are_open and is_judged(so_far, run))


def lacking(run: Run) -> str:
    """Say why the finals of a run have no winner; nothing where they have one, or did not begin."""
    if not run.retrained or verdict(run):
        return ""
    broken = failed(run)
    reasons = "; ".join(f"{each.entrant}: {each.reason}" for each in broken)
    law = f"the finals have no winner{reasons and f' ({reasons})'}"
    again = "the same command tries again what ended in a bug, a dead worker, a timeout or for want of memory"
    causes = {cause_of(each.reason) for each in broken}
    if "timeout" in causes:
        again += ", and the study's command may give a longer --budget.trial-minutes"
    if "out of memory" in causes:
        again += f", and python -m cnnsearch.evaluate {run.folder} may take --workers 1 or another --device"
    return f"{law}; {again}; else try other --finals.epochs or a longer search"


def other_schedule(winner: Row) -> str:
    """Say how long the finals' trainings were, where the search had others: then the gap tells of that too."""
    assert winner.trial
    before, recipe = winner.trial.recipe, winner.recipe
    if recipe is None or (recipe.cycles, recipe.passes) == (before.cycles, before.passes):
        return ""
    whole, parts = (" in one schedule", f" in {len(before.cycles)}") if len(before.cycles) > 1 else ("", "")
    return f", of {counted(recipe.epochs, 'epoch', 'epochs')}{whole} in place of {before.epochs}{parts}"


def to_judge(verdict: Verdict) -> list[Retrained]:
    """Name the trainings that the test images are read for: those of the finalists and of the baselines."""
    taking_part = [row for row in verdict.rows if row.trial is None or row.entrant in verdict.finalists]
    return [training for row in taking_part for training in row.trainings]


def is_judged(verdict: Verdict, run: Run) -> bool:
    """Say whether the test images were read for all that they are to be read for."""
    tested = {tested.sha256 for tested in run.tested}
    return all(training.sha256 in tested for training in to_judge(verdict))


def failed(run: Run) -> list[Retrained]:
    """Give the trainings that came to no end, of those who take part now; of a baseline by its last recipe."""
    of_now = list(_of_now(run, run.finals, _candidates(run, run.finals)))
    recipes = {each.entrant: each.recipe for each in of_now}
    return [each for each in of_now if each.state == "failed" and each.recipe == recipes[each.entrant]]


def _candidates(run: Run, finals: Finals) -> dict[str, Trial]:
    return {trial.name: trial for trial in entering(run, finals)}


def _of_now(run: Run, finals: Finals, candidates: Mapping[str, Trial]) -> Iterator[Retrained]:
    """Give the trainings of those who take part now: earlier finals, with other epochs or baselines, had others."""
    recipes = {name: finals.recipe(trial.recipe) for name, trial in candidates.items()}
    lengths = {recipe.epochs for recipe in recipes.values()}
    baselines = {BASELINES[name] for name in finals.baselines}
    # Where the epochs are searched too, the best of random search may have others than all candidates.
    searched = finals.epochs is None and isinstance(run.plan.get("recipe", {}).get("epochs"), dict)
    varies = {BASELINES["random-search"]} if searched else set[str]()
    for each in run.retrained:
        is_as_now = each.entrant in recipes and each.recipe == recipes[each.entrant]
        is_as_long = each.recipe is None or each.recipe.epochs in lengths or each.entrant in varies
        if is_as_long if each.entrant in baselines else is_as_now:
            yield each


def _rows(run: Run, finals: Finals) -> list[Row]:
    """Give those who take part and were trained; a baseline by the recipe that it was trained by last."""
    tested = {tested.sha256: tested for tested in run.tested}
    candidates = _candidates(run, finals)
    complete: dict[str, list[Retrained]] = {}
    for training in _of_now(run, finals, candidates):
        if training.state == "complete":
            complete.setdefault(training.entrant, []).append(training)
    rows: list[Row] = []
    for entrant, trainings in complete.items():
        alike = (each for each in trainings if each.recipe == trainings[-1].recipe)
        own = tuple(sorted(alike, key=lambda each: each.seed))
        of_each = tuple(tested.get(training.sha256) for training in own)
        rows.append(Row(entrant, candidates.get(entrant), own, of_each, images=run.validation_images))
    return rows


def _place(row: Row, aim: Aim, finals: Finals) -> tuple[float, ...]:
    assert row.trial
    standing = aim.standing(row.mean, row.trial, row.trial.latency)
    return *rank(standing, aim.floor, sure_of(row.scores, finals, row.images)), row.parameters, row.trial.number


def sure_of(scores: Sequence[float], finals: Finals, images: int | None) -> float:
    """Give the accuracy that an entrant surely has; none without all of its seeds, be they failed or still to come."""
    return surely(scores, images) if len(scores) >= finals.seeds else 0.0


def _rank(row: Row) -> tuple[float, int, str]:
    return -row.mean, row.parameters, row.entrant


def _compared(winner: Row, others: Iterable[Row]) -> list[Row]:
    """Test the winner's shipped weights against those of all others that the test images were read for."""
    others = list(others)
    mine = winner.tested[winner.best]
    rivals = [row for row in others if mine and row.tested[row.best]]
    raw = [paired_p(_wrong(winner), _wrong(row)) for row in rivals]
    against = {
        row.entrant: Against(len(_wrong(row) - _wrong(winner)), len(_wrong(winner) - _wrong(row)), p_value)
        for row, p_value in zip(rivals, holm(raw), strict=True)
    }
    return [row._replace(against=against.get(row.entrant)) for row in others]


def _wrong(row: Row) -> set[int]:
    tested = row.tested[row.best]
    assert tested
    return set(tested.wrong)
