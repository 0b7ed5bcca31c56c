from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from cnnsearch.ranking import Standing, beats, front, rank

# Few values, so that ties and dominated ones are common.
STANDINGS = st.builds(Standing, st.sampled_from([0.5, 0.97, 0.98, 0.99, 1.0]), st.tuples(*[st.integers(1, 4)] * 2))
SEVERAL = st.dictionaries(st.integers(0, 100), STANDINGS, min_size=1, max_size=12)
FLOORS = st.none() | st.sampled_from([0.97, 0.975, 0.99])


@given(SEVERAL)
def test_nobody_beats_a_member_of_the_front_and_a_member_beats_everybody_else(several: dict[int, Standing]) -> None:
    members = front(several)
    assert len(set(members)) == len(members)
    for member in members:
        assert not any(beats(other, several[member]) for other in several.values())
    for other in several.keys() - set(members):
        assert any(beats(several[member], several[other]) for member in members)


@given(SEVERAL)
def test_the_front_is_told_from_the_cheapest_on(several: dict[int, Standing]) -> None:
    for one, other in pairwise(front(several)):
        assert several[one].costs <= several[other].costs


@given(st.dictionaries(st.integers(0, 100), st.builds(Standing, st.floats(0, 1), st.just(())), min_size=1))
def test_with_accuracy_alone_the_front_is_the_most_accurate(several: dict[int, Standing]) -> None:
    best = max(several.values())
    assert front(several) == sorted(trial for trial, standing in several.items() if standing == best)


@given(STANDINGS, STANDINGS, FLOORS)
def test_who_beats_another_is_ranked_before_it(one: Standing, other: Standing, floor: float | None) -> None:
    assert not beats(one, other) or rank(one, floor) < rank(other, floor)


@given(SEVERAL)
def test_without_a_floor_the_first_is_the_most_accurate(several: dict[int, Standing]) -> None:
    first = min(several.values(), key=rank)
    assert first.accuracy == max(standing.accuracy for standing in several.values())


@given(SEVERAL, st.sampled_from([0.97, 0.975, 0.99]))
def test_with_a_floor_the_first_is_the_cheapest_that_meets_it(several: dict[int, Standing], floor: float) -> None:
    first = min(several.values(), key=lambda standing: rank(standing, floor))
    meeting = [standing for standing in several.values() if standing.accuracy >= floor]
    best = min(meeting, key=lambda standing: (standing.costs, -standing.accuracy)) if meeting else None
    assert first == (best or min(several.values(), key=rank))


@given(SEVERAL, st.data())
def test_a_floor_is_met_by_the_lower_bound_where_there_is_one(
    several: dict[int, Standing], data: st.DataObject
) -> None:
    bounds = {trial: data.draw(st.floats(0, standing.accuracy)) for trial, standing in several.items()}
    first = min(several, key=lambda trial: rank(several[trial], 0.97, bounds[trial]))
    meeting = [trial for trial in several if bounds[trial] >= 0.97]
    assert not meeting or (first in meeting and several[first].costs == min(several[trial].costs for trial in meeting))


@given(STANDINGS, st.sampled_from([0.97, 0.99]))
def test_a_candidate_that_meets_the_floor_is_ranked_before_all_that_do_not(standing: Standing, floor: float) -> None:
    short = Standing(floor - 0.001, (0, 0))
    assert (rank(standing, floor) < rank(short, floor)) == (standing.accuracy >= floor)
