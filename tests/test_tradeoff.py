"""The smallest that is as good, the best under each budget, the knee: laws over drawn runs."""

from collections.abc import Iterator
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import write_run

from cnnsearch import history
from cnnsearch.events import Retrained
from cnnsearch.history import Run
from cnnsearch.parts import Finals
from cnnsearch.tradeoff import as_good, best_under, front_of, knee

POINTS = st.lists(st.tuples(st.integers(100, 100_000), st.floats(0.5, 0.999)), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return history.read(write_run(tmp_path_factory.mktemp("run"), ("complete",)))


def run_of(template: Run, points: list[tuple[int, float]], spread: float | None = None) -> Run:
    trial = template.trials[0]
    trials = tuple(
        trial.model_copy(
            update={"number": number, "parameters": parameters, "score": score, "fingerprint": str(number)}
        )
        for number, (parameters, score) in enumerate(points)
    )
    run = template._replace(trials=trials)
    best, recipe = run.ranked[0], Finals().recipe(run.ranked[0].recipe)
    seeds = [] if spread is None else [0.9, 0.9 + spread]
    retrained = (
        Retrained(
            entrant=f"trial {best.number}",
            seed=seed,
            state="complete",
            recipe=recipe,
            parameters=1,
            macs=1,
            accuracies=(accuracy,),
        )
        for seed, accuracy in enumerate(seeds)
    )
    return run._replace(retrained=tuple(retrained))


@given(POINTS)
def test_budgets_rise_and_within_each_none_is_better(template: Run, points: list[tuple[int, float]]) -> None:
    run = run_of(template, points)
    budgets = list(best_under(run))
    assert [budget for budget, _ in budgets] == sorted({budget for budget, _ in budgets})
    for budget, trial in budgets:
        assert trial.score == max(score for parameters, score in points if parameters <= budget)
    assert budgets[-1][1].score == max(score for _, score in points)


@pytest.fixture(scope="module")
def _a_pair_is_enough() -> Iterator[None]:
    """Believe the noise of two trainings, which are all that these runs have."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnnsearch.noise.LEAST_FREEDOM", 1)
        yield


@pytest.mark.usefixtures("_a_pair_is_enough")
@given(POINTS, st.floats(0.001, 0.05))
def test_the_tied_one_is_the_smallest_within_the_margin(
    template: Run, points: list[tuple[int, float]], spread: float
) -> None:
    tie = as_good(run_of(template, points, spread))
    assert tie
    best = max(score for _, score in points)
    assert best - (tie.trial.score or 0) <= tie.margin
    assert all(best - score > tie.margin for parameters, score in points if parameters < tie.trial.parameters)
    assert tie.freedom == 1


def test_two_trainings_that_happen_to_agree_tell_no_tie(template: Run) -> None:
    assert as_good(run_of(template, [(100, 0.9), (200, 0.95)], 0.0)) is None


def test_without_several_seeds_nobody_knows_what_is_tied(template: Run) -> None:
    assert as_good(run_of(template, [(100, 0.9), (200, 0.95)])) is None


@given(POINTS)
def test_the_knee_is_on_the_front_and_no_end_of_it(template: Run, points: list[tuple[int, float]]) -> None:
    run = run_of(template, points)
    members, found = front_of(run), knee(run)
    assert found is None or found in members[1:-1]
    (small, low), *inner = [(log(trial.parameters), trial.accuracy) for trial in members]
    (large, high) = [(small, low), *inner][-1]
    rise = [(score - low) * (large - small) - (high - low) * (size - small) for size, score in inner[:-1]]
    highest = max(rise, default=0.0)  # above the line from end to end
    assert (found is not None) == (highest > 0) or highest == pytest.approx(0, abs=1e-9)


def test_a_front_that_bends_the_other_way_has_no_knee(template: Run) -> None:
    assert knee(run_of(template, [(1_000, 0.98), (4_000, 0.985), (16_000, 0.999)])) is None


def test_the_knee_is_where_the_curve_bends(template: Run) -> None:
    points = [(100, 0.5), (1_000, 0.9), (10_000, 0.95), (100_000, 0.96)]
    assert knee(run_of(template, points)) == run_of(template, points).trials[1]


def test_equal_networks_make_no_front_of_their_own(template: Run) -> None:
    run = run_of(template, [(100, 0.9)] * 4)
    assert [trial.number for trial in front_of(run)] == [0]
    assert knee(run) is None
