"""Who takes part in the finals, and what is still to be trained?"""

import random
import shutil
from pathlib import Path

import pytest
from amount import examples
from finals_rig import FINALS, WITH_FINALS, run_of
from hypothesis import given
from hypothesis import strategies as st
from own_sets import fill
from study_rig import BUG, LISTED, SIX_NETWORKS, TINY, Listed, in_turn, network, plan, run, search, write_plan

import cnnsearch
from cnnsearch import history
from cnnsearch.baselines import GENTLE, gentle
from cnnsearch.blocks import KINDS
from cnnsearch.certainty import surely
from cnnsearch.entering import entering
from cnnsearch.errors import RunError
from cnnsearch.evaluate.conduct import evaluate
from cnnsearch.evaluate.entrants import Entrant, Field, Key, Training, field, finalists, random_twin, score_of, to_train
from cnnsearch.events import Retrained
from cnnsearch.network import Network
from cnnsearch.objectives import Aim
from cnnsearch.parts import Finals
from cnnsearch.plan import Plan
from cnnsearch.recipe import Recipe
from cnnsearch.verdict import decided

pytestmark = pytest.mark.usefixtures("trained_here")

NETWORK = Network.model_validate(network(2))


def entrants(names: str) -> tuple[Entrant, ...]:
    recipe = Plan.model_validate(TINY).start_with(NETWORK).recipe
    return tuple(Entrant(name, NETWORK, recipe) for name in names)


def result(training: Training, accuracy: float | None) -> Retrained:
    name, seed = training.key
    return Retrained(
        entrant=name,
        seed=seed,
        state="failed" if accuracy is None else "complete",
        parameters=1,
        macs=1,
        accuracies=() if accuracy is None else (accuracy,),
    )


@given(
    st.integers(1, 6), st.integers(0, 2), st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(0, 999)
)
def test_all_are_trained_once_and_the_best_as_often_as_asked(
    candidates: int, baselines: int, best: int, seeds: int, slots: int, seed: int
) -> None:
    dice = random.Random(seed)
    taking_part = Field(
        Finals(finalists=best, seeds=seeds), entrants("abcdef"[:candidates]), entrants("xy"[:baselines])
    )
    done: dict[Key, Retrained] = {}
    live: list[Training] = []

    def filled() -> list[Training]:
        waiting = [each for each in to_train(taking_part, done) if each not in live]
        return live + waiting[: slots - len(live)]

    while live := filled():
        over = live.pop(dice.randrange(len(live)))
        assert over.key not in done
        done[over.key] = result(over, dice.random())
    chosen = {entrant.name for entrant in finalists(taking_part, done)}
    firsts = sorted("abcdef"[:candidates], key=lambda name: done[name, 0].accuracies, reverse=True)
    assert chosen == set(firsts[:best])
    assert done.keys() == {(name, 0) for name in "abcdef"[:candidates] + "xy"[:baselines]} | {
        (name, number) for name in chosen for number in range(seeds)
    }
    assert len(done) == taking_part.most_trainings


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 999))
def test_with_a_floor_the_cheapest_are_finalists_until_one_meets_it_surely(most: int, seeds: int, seed: int) -> None:
    dice = random.Random(seed)
    priced = tuple(entrant._replace(costs=(float(cost),)) for cost, entrant in enumerate(entrants("abcde"[:most])))
    taking_part = Field(Finals(finalists=1, seeds=seeds), priced, (), Aim(("parameters",), 0.9))
    done: dict[Key, Retrained] = {}
    while left := to_train(taking_part, done):
        done[left[0].key] = result(left[0], 0.9 + dice.gauss(0.01, 0.01))
    chosen = [entrant.name for entrant in finalists(taking_part, done)]
    first = {name: score_of(done[name, 0]) for name in "abcde"[:most]}
    met = [name for name in first if first[name] >= 0.9]
    assert chosen == [*met, *sorted(first.keys() - {*met}, key=lambda name: -first[name])][: len(chosen)]
    sure = [name for name in chosen if surely([score_of(done[name, seed]) for seed in range(seeds)], None) >= 0.9]
    assert sure == chosen[-1:] or (not sure and len(chosen) == most)


def test_one_whose_other_seeds_failed_meets_no_floor() -> None:
    priced = tuple(entrant._replace(costs=(float(cost),)) for cost, entrant in enumerate(entrants("ab")))
    taking_part = Field(Finals(finalists=1, seeds=3), priced, (), Aim(("parameters",), 0.9))
    done: dict[Key, Retrained] = {}
    while left := to_train(taking_part, done):
        name, seed = left[0].key
        done[left[0].key] = result(left[0], None if name == "a" and seed else 0.95)
    assert [entrant.name for entrant in finalists(taking_part, done)] == ["a", "b"]


def test_who_surely_meets_the_floor_is_told_by_all_seeds_also_those_of_finals_with_more() -> None:
    first, second = (entrant._replace(costs=(float(cost),)) for cost, entrant in enumerate(entrants("ab")))
    taking_part = Field(Finals(finalists=1, seeds=3), (first, second), (), Aim(("parameters",), 0.985))
    scores = [0.99, 0.9905, 0.991]
    done = {(first.name, seed): result(Training(first, seed), score) for seed, score in enumerate(scores)}
    done[second.name, 0] = result(Training(second, 0), 0.99)
    assert [entrant.name for entrant in finalists(taking_part, done)] == ["a"]
    more = {(first.name, seed): result(Training(first, seed), score) for seed, score in ((3, 0.97), (4, 0.995))}
    assert [entrant.name for entrant in finalists(taking_part, done | more)] == ["a", "b"]


def test_a_kind_of_block_may_have_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "listed", Listed)
    both = tuple(entrant._replace(network=Network.model_validate(LISTED)) for entrant in entrants("ab"))
    taking_part = Field(Finals(finalists=1, seeds=1), both, ())
    done = {(entrant.name, 0): result(Training(entrant, 0), 0.5) for entrant in both}
    assert [entrant.name for entrant in finalists(taking_part, done)] == ["a"]


def test_one_that_failed_is_no_finalist() -> None:
    taking_part = Field(Finals(finalists=2), entrants("ab"), ())
    first, second = to_train(taking_part, {})
    done = {first.key: result(first, None), second.key: result(second, 0.5)}
    assert [entrant.name for entrant in finalists(taking_part, done)] == ["b"]


def test_the_finals_train_one_whole_schedule_of_their_own_length() -> None:
    searched = cnnsearch.Plan.model_validate({"dataset": "mnist"}).start_with(NETWORK).recipe
    recipe = Finals(epochs=7).recipe(searched)
    assert (searched.restarts, recipe.restarts, recipe.epochs, recipe.first_epoch_share) == ((1,), (), 7, 1.0)
    assert Finals().recipe(searched).epochs == searched.epochs


@pytest.mark.parametrize(("epochs", "seconds"), [(None, 60.0), (1, 60.0), (6, 180.0)])
def test_a_training_of_the_finals_may_take_as_many_times_longer_as_its_schedule_is_longer(
    tmp_path: Path, epochs: int | None, seconds: float
) -> None:
    folder = run_of(tmp_path)
    budget, finals = {"trial_minutes": 1.0}, {**FINALS, "epochs": epochs}
    asked = Plan.model_validate({**history.plan_of(folder), "budget": budget, "finals": finals})
    everyone = field(asked, history.read(folder))
    assert [each.name for each in everyone.baselines] == ["hand-made network"]
    assert {each.seconds for each in (*everyone.candidates, *everyone.baselines)} == {seconds}


def test_whoever_was_trained_in_finals_before_stays_in_them(judged: Path) -> None:
    before = decided(history.read(judged))
    found = evaluate(judged, finals={"candidates": 1, "finalists": 1}, quiet=True)
    assert len(entering(found, found.finals)) == 2
    assert decided(found) == before
    worse = tuple(trial.model_copy(update={"score": 0.0}) for trial in found.trials)
    better = found.trials[0].model_copy(update={"number": 3, "score": 1.0, "network_data": {"one": "more"}})
    longer = found._replace(trials=(*worse, better))
    assert {trial.number for trial in entering(longer, found.finals)} == {
        3,
        *(t.number for t in entering(found, found.finals)),
    }


def test_of_two_that_are_one_candidate_the_trained_one_stays(judged: Path) -> None:
    found = history.read(judged)
    winner = decided(found)
    assert winner
    assert winner.winner.trial
    twin = winner.winner.trial.model_copy(update={"number": 3, "score": 1.0})
    later = found._replace(trials=(*found.trials, twin))
    assert later.ranked[0] == twin
    assert winner.winner.trial in entering(later, later.finals)
    assert twin not in entering(later, later.finals)


def test_candidates_come_by_the_mean_of_all_that_are_trained_alike(judged: Path) -> None:
    found = history.read(judged)
    often, once = found.ranked[0], found.ranked[1]
    again = often.model_copy(update={"number": 3, "score": 0.0})
    fresh = found._replace(trials=(*found.trials, again), retrained=())
    assert fresh.ranked[0] == often
    first, *_ = entering(fresh, fresh.finals)
    assert first.network == once.network, "half a lucky seed and half a bad one is not the best"


def test_two_that_would_be_trained_alike_are_one_candidate(tmp_path: Path) -> None:
    recipe = {"epochs": {"choice": [1, 2, 3]}, "learning_rate": 0.01}
    fields = {**SIX_NETWORKS, "recipe": recipe, "finals": FINALS}
    run, _ = search(plan(tmp_path, fields, budget={"trials": 12}, pruner={"kind": "none"}, finals=None))
    finals = Finals.model_validate({**FINALS, "candidates": 50})
    candidates = entering(run, finals)
    known = {trial.fingerprint for trial in run.ranked}
    assert len(known) > len(candidates) == len({trial.network for trial in candidates})
    assert candidates[0] == run.ranked[0]
    longer = finals.model_copy(update={"epochs": None})
    assert {trial.fingerprint for trial in entering(run, longer)} == known, "each with its own epochs"


# Baselines


@pytest.mark.parametrize(("rate", "gentler"), [(0.015, GENTLE), (0.0005, 0.0005)])
def test_without_batch_norm_the_rate_is_never_higher_than_the_search_s(rate: float, gentler: float) -> None:
    trained = gentle(Recipe(optimizer="muon", learning_rate=rate, epochs=3))
    assert trained == Recipe(optimizer="adamw", learning_rate=gentler, epochs=3)


@examples(5)
@given(st.sampled_from(["digits", "mnist"]))
def test_the_random_twin_differs_by_its_sampler_alone(dataset: str) -> None:
    asked = Plan.model_validate({"dataset": dataset, "finals": {"baselines": ["random-search"]}})
    twin = random_twin(asked)
    assert (twin.sampler.kind, twin.run_name, twin.finals) == ("random", f"{asked.run_name}-random", None)
    same = {"space", "recipe", "limits", "pruner", "budget"}
    assert asked.seed != twin.seed
    assert asked.model_dump(include=same) == twin.model_dump(include=same)


def test_the_random_twin_searches_on_the_very_images_of_the_study_whatever_lies_there_since(tmp_path: Path) -> None:
    asked = Plan.model_validate({**TINY, "dataset": str(fill(tmp_path / "mine")), "data_root": str(tmp_path / "root")})
    shutil.rmtree(tmp_path / "mine")
    twin = random_twin(asked)
    assert (twin.facts, twin.stored()["data"]) == (asked.facts, asked.facts.sha256)
    assert twin.fingerprint != asked.fingerprint


def test_random_search_takes_part_where_it_is_asked_for(judged: Path) -> None:
    folder = judged.parents[1]
    finals = {**FINALS, "baselines": ["random-search"], "candidates": 1, "finalists": 1, "seeds": 1}
    status, _, err = run(folder, write_plan(folder, WITH_FINALS, finals=finals))
    assert (status, err) == (0, "")
    assert history.read(judged.parent / "x-random").count("complete") == 3
    assert "random search" in {training.entrant for training in history.read(judged).retrained}


def test_a_folder_of_random_search_that_is_another_plans_is_told_before_the_search(tmp_path: Path) -> None:
    finals = {**FINALS, "baselines": ["random-search"]}
    search(plan(tmp_path, name="x-random", budget={"trials": 1}))
    with pytest.raises(RunError, match="x-random was made by another plan"):
        search(plan(tmp_path, name="x", budget={"trials": 1}, finals=finals))
    assert not (tmp_path / "x").exists()


def test_random_search_that_is_not_over_is_refused(judged: Path) -> None:
    with pytest.raises(RunError) as caught:
        evaluate(judged, finals={"baselines": ["random-search"]}, quiet=True)
    law = "random search is to take part in the finals, but its study is not over"
    assert str(caught.value) == (
        f"{judged.parent / 'x-random'}: {law}; the command of the study itself, with this baseline, makes it"
    )


def test_random_search_that_ended_in_bugs_is_refused_with_its_log(judged: Path) -> None:
    twin = random_twin(Plan.model_validate({**history.plan_of(judged), "runs": str(judged.parent)}), trials=9)
    five = [BUG] * 5
    assert search(twin, in_turn(*five))[0].state == "failed"
    with pytest.raises(RunError) as caught:
        evaluate(judged, finals={"baselines": ["random-search"]}, quiet=True)
    law = "random search is to take part in the finals, but its study ended in bugs of the program"
    assert str(caught.value) == f"{twin.folder}: {law}; see {twin.folder / 'log'}, or leave this baseline out"
