"""The table of precomputed curves and the searches that are played on it, in examples/benchmarks."""

import math

import curves
import pytest
import searching
from searching import HALVING, RANDOM, Found, Game, Naive, Way, play, play_naively

from cnnsearch.parts import Limits

WAYS = [Way("TPE", HALVING), Way("random", RANDOM), Naive("Optuna alone", searching.MedianPruner)]


def game(way: Way | Naive, seed: int = 0, limits: Limits = Limits()) -> Game:  # noqa: B008 (frozen)
    return (play if isinstance(way, Way) else play_naively)(way, limits, 14, seed)


def test_the_table_holds_every_candidate_of_its_space() -> None:
    drawn = curves.candidates(curves.plan_of("restart")).values()
    costs = {(str(each.network), each.recipe.learning_rate): each.network.cost for each in drawn}
    rows = searching.table("restart")
    assert {key: (row.parameters, row.macs) for key, row in rows.items()} == {
        key: (cost.parameters, cost.macs) for key, cost in costs.items()
    }


def test_a_row_has_a_score_and_a_time_for_each_epoch() -> None:
    for row in curves.read_table():
        assert len(row.right) == len(row.seconds) == 4
        assert max(row.right) <= curves.VALIDATION_IMAGES
        assert min(row.seconds) > 0


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_a_seed_gives_the_same_game_again_and_another_seed_another(way: Way | Naive) -> None:
    assert game(way) == game(way)
    assert game(way) != game(way, seed=1)


def test_without_stopping_two_workers_share_all_trials() -> None:
    played = game(Way("random", RANDOM))
    assert sorted(found.trials for found in played.found) == list(range(1, 15))
    prices = [sum(row.seconds) for row in searching.table("restart").values()]
    assert 7 * min(prices) <= played.seconds <= 7 * max(prices)


def test_a_search_that_stops_trials_ends_sooner() -> None:
    assert game(Way("TPE", HALVING)).seconds < game(Way("TPE", {})).seconds


def test_alone_optuna_spends_trials_on_what_cannot_be_built() -> None:
    assert len(game(Naive("Optuna alone"), limits=Limits(max_parameters=2_000)).found) < 14


def test_a_search_that_never_comes_there_counts_as_longer_than_all_others() -> None:
    reached = [searching.first(Game([Found(60.0, 3, 0.9)], 60.0), accuracy) for accuracy in (0.8, 0.95, 0.95)]
    assert searching.seconds_and_trials(reached) == "not in 50 (1 of 3 did)"
    assert searching.seconds_and_trials(reached[:1]) == "60 s, 3"


def test_what_the_whole_space_covers_no_search_covers_more_of() -> None:
    everything = searching.covered(
        (curve.parameters, curve.accuracies[-1]) for curve in searching.table("restart").values()
    )
    part = searching.covered(
        (curve.parameters, curve.accuracies[-1]) for curve in list(searching.table("restart").values())[::3]
    )
    assert 0 < part < everything
    assert searching.covered([(12_000, 0.8), (12_000, 0.8), (20_000, 0.75)]) == pytest.approx(0.1 * math.log(2))


@pytest.mark.parametrize("way", list(searching.seeking(0.92, HALVING)), ids=lambda way: way.name)
def test_every_way_to_look_for_few_parameters_can_be_played(way: Way) -> None:
    played = game(way)
    assert 0 <= searching.place_of(played, 0.5) < searching.place_of(Game([], 0.0), 0.5)
    assert all(found.parameters for found in played.found)
