"""The finals: who is trained again, who wins, and when the test images are read."""

import json
import random
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

import pytest
import torch
from commands import python
from hypothesis import given, settings
from hypothesis import strategies as st
from made_runs import write_run
from study_rig import (
    LISTED,
    SIX_NETWORKS,
    TINY,
    Listed,
    Script,
    ScriptedExecutor,
    die,
    end_of,
    fail,
    in_turn,
    interrupt,
    learn,
    plan,
    processes_in,
    run,
    search,
    start,
    text_of,
    until,
    write_plan,
)

import cnnsearch
from cnnsearch import history, record
from cnnsearch.baselines import GENTLE, gentle
from cnnsearch.blocks import KINDS
from cnnsearch.causes import Cause
from cnnsearch.certainty import surely
from cnnsearch.data import DataSet, load_test
from cnnsearch.entering import entering
from cnnsearch.errors import InvalidSpecError, RunError
from cnnsearch.evaluate import opening, publish, simple
from cnnsearch.evaluate.conduct import evaluate
from cnnsearch.evaluate.entrants import Entrant, Field, Key, Training, field, finalists, random_twin, score_of, to_train
from cnnsearch.evaluate.machine import Machine
from cnnsearch.evaluate.training import Trainings, bar_of_trainings, weights_name
from cnnsearch.events import Retrained
from cnnsearch.export import source
from cnnsearch.messages import CHECKPOINT, checkpoint_of
from cnnsearch.network import Network
from cnnsearch.objectives import Aim, Latency
from cnnsearch.parts import BASELINES, Finals
from cnnsearch.plan import Plan
from cnnsearch.recipe import Recipe
from cnnsearch.report import finals, mistakes, smaller
from cnnsearch.report.write import as_page
from cnnsearch.study import ending
from cnnsearch.tradeoff import Tie
from cnnsearch.verdict import Against, decided, failed, other_schedule, verdict

NETWORK = cnnsearch.Network.model_validate(
    {
        "input": {"channels": 1, "height": 8, "width": 8},
        "blocks": [{"conv": {"out_channels": 2, "kernel_size": 3}}],
        "classes": 10,
    }
)
FINALS: dict[str, Any] = {"candidates": 2, "finalists": 2, "seeds": 2, "epochs": 1}
WITH_FINALS: dict[str, Any] = {**TINY, "budget": {"trials": 3}, "name": "x", "finals": FINALS}


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


# Who is trained


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


def test_a_training_may_take_any_time_where_the_plan_sets_no_limit(tmp_path: Path) -> None:
    assert {job.seconds for job in train(run_of(tmp_path), learn).jobs} == {None}


# Training


def run_of(folder: Path) -> Path:
    """Write a run of three trials on digits with scripted results."""
    made = plan(folder, WITH_FINALS, finals=None)
    search(made)
    return made.folder


def train(folder: Path, script: Script, slots: int = 1, **finals: Any) -> ScriptedExecutor:  # noqa: ANN401
    asked = Plan.model_validate({**history.plan_of(folder), "finals": {**FINALS, **finals}})
    executor = ScriptedExecutor(script, slots)
    found = history.read(folder)
    with record.own(folder) as to, bar_of_trainings("finals", quiet=True) as bar:
        Trainings(field(asked, found), found, asked.seed, to, bar).run(executor)
    return executor


def told(folder: Path) -> set[tuple[str, int, tuple[float, ...]]]:
    return {(event.entrant, event.seed, event.accuracies) for event in history.read(folder).retrained}


def test_finals_cut_anywhere_end_like_those_that_were_not(tmp_path: Path) -> None:
    whole = run_of(tmp_path / "whole")
    jobs = train(whole, learn).jobs
    for cut in range(len(jobs)):
        folder = run_of(tmp_path / str(cut))
        scripts: list[Script] = [learn] * cut

        def interrupt(job: Any) -> Iterator[Any]:  # noqa: ANN401
            raise KeyboardInterrupt
            yield job

        with pytest.raises(KeyboardInterrupt):
            train(folder, in_turn(*scripts, interrupt))
        again = train(folder, learn).jobs
        assert told(folder) == told(whole)
        assert [job.seed for job in again] == [job.seed for job in jobs[cut:]]


def test_what_a_training_may_go_on_from_is_kept_until_it_is_over(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    (folder / "finals").mkdir()
    asked = Plan.model_validate({**history.plan_of(folder), "finals": FINALS})
    first = field(asked, history.read(folder)).candidates[0]
    longer = first._replace(recipe=first.recipe.model_copy(update={"epochs": 9}))
    second_seed, other_epochs = (
        checkpoint_of(folder / weights_name(Training(entrant, 1), "entrant")) for entrant in (first, longer)
    )
    for checkpoint in (second_seed, other_epochs):
        checkpoint.touch()
    with pytest.raises(KeyboardInterrupt):  # before it is known who has a second seed
        train(folder, interrupt)
    assert second_seed.exists()
    assert not other_epochs.exists()
    train(folder, learn)
    assert not list((folder / "finals").glob(f"*{CHECKPOINT}"))


def test_seeds_are_fresh_and_all_differ(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    seeds = [job.seed for job in train(folder, learn).jobs]
    assert len({*seeds}) == len(seeds) == 5


def test_a_worker_that_dies_costs_an_attempt_and_the_third_death_the_training(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    jobs = train(folder, in_turn(die, die, die)).jobs
    first, *others = history.read(folder).retrained
    assert (first.state, {other.state for other in others}) == ("failed", {"complete"})
    spent = [job.spent for job in jobs if job.seed == jobs[0].seed]
    assert 0 == spent[0] < spent[1] < spent[2], "against its limit of time"
    assert first.reason == ("worker died: 3 workers did, the last one so: worker 0 was ended by SIGKILL")


def test_a_training_short_of_memory_beside_others_is_tried_again_and_a_diverged_one_is_not(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    jobs = train(folder, in_turn(fail("out of memory", "full", shared=True), learn, fail("diverged", "nan"))).jobs
    assert jobs[0] == jobs[1], "by its number the executor knows for whom it gave up a slot"
    assert len({job.trial for job in jobs}) == len(jobs) - 1
    assert [(each.state, each.reason) for each in history.read(folder).retrained][:2] == [
        ("complete", ""),
        ("failed", "diverged: nan"),
    ]


def test_weights_that_were_harmed_are_trained_again(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    train(folder, learn)
    harmed = history.read(folder).retrained[0]
    (folder / harmed.weights).write_bytes(b"harmed")
    assert len(train(folder, learn).jobs) == 1
    assert len(history.read(folder).retrained) == 5


def test_other_epochs_are_another_training(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    train(folder, learn)
    assert len(train(folder, learn, epochs=2).jobs) == 5


@pytest.mark.parametrize("reason", ["bug", "timeout"])
def test_what_a_bug_or_the_clock_ended_is_tried_again_by_the_next_call_and_a_divergence_is_not(
    tmp_path: Path, reason: Cause
) -> None:
    folder = run_of(tmp_path)
    train(folder, in_turn(fail(reason, "ours"), fail("diverged", "nan")))
    again = train(folder, learn).jobs
    states = {(each.entrant, each.seed): each.state for each in history.read(folder).retrained}
    assert again[0].seed == train(run_of(tmp_path / "twin"), learn).jobs[0].seed
    assert sorted(states.values()) == ["complete"] * (len(states) - 1) + ["failed"]


def test_finals_with_other_epochs_and_fewer_seeds_forget_the_earlier_ones(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    train(folder, learn, seeds=3)
    train(folder, learn, seeds=2, epochs=2)
    plan_file = folder / "plan.json"
    plan_file.write_text(json.dumps({**history.plan_of(folder), "finals": {**FINALS, "epochs": 2}}))
    found = verdict(history.read(folder))
    assert found
    assert {len(training.accuracies) for row in found.rows if row.trial for training in row.trainings} == {2}
    assert [training.seed for training in found.winner.trainings] == [0, 1]


def test_more_seeds_than_asked_are_no_reason_to_win(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    train(folder, learn, seeds=4, finalists=1)
    train(folder, learn, seeds=2, finalists=2)
    (folder / "plan.json").write_text(json.dumps({**history.plan_of(folder), "finals": FINALS}))
    found = verdict(history.read(folder))
    assert found
    assert sorted(len(row.trainings) for row in found.rows if row.trial) == [2, 4]
    assert found.winner.mean == max(row.mean for row in found.rows if row.trial)


def test_a_winner_without_all_of_its_seeds_surely_meets_no_floor(tmp_path: Path) -> None:
    folder = run_of(tmp_path)
    train(folder, learn, seeds=2)
    floor = {"validation_accuracy": {"at_least": 0.5}, "parameters": {}}
    read = history.read(folder)
    run = read._replace(retrained=tuple(each.model_copy(update={"accuracies": (0.9,)}) for each in read.retrained))
    whole = run._replace(plan={**run.plan, "objectives": floor, "finals": FINALS})
    first = run._replace(plan=whole.plan, retrained=tuple(each for each in run.retrained if each.seed == 0))
    found = verdict(whole), verdict(first)
    assert [each and each.meets_floor for each in found] == [True, False]


def test_baselines_that_are_asked_for_no_more_take_no_part(finished: tuple[Path, str]) -> None:
    run = history.read(finished[0])
    fewer = run._replace(plan={**run.plan, "finals": {**run.plan["finals"], "baselines": ["majority"]}})
    before, after = verdict(run), verdict(fewer)
    assert before
    assert after
    assert {row.entrant for row in before.rows if not row.trial} > {"majority class"}
    assert {row.entrant for row in after.rows if not row.trial} == {"majority class"}


# Baselines that are no networks


@given(st.integers(1, 40), st.sampled_from([1, 3]), st.integers(8, 40), st.integers(8, 40), st.integers(0, 99_999))
def test_however_large_images_are_logistic_regression_sees_no_more_of_them_than_it_may(
    images: int, channels: int, height: int, width: int, most: int
) -> None:
    most += 4 * images * channels  # of one average each
    images_NCHW = torch.randint(0, 256, (images, channels, height, width), dtype=torch.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simple, "MOST_BYTES", most)
        patch.setattr(simple, "BATCH", 7)
        side = simple._side(images_NCHW.shape)  # noqa: SLF001
        seen_NP = simple._seen(images_NCHW, side)  # noqa: SLF001
    assert seen_NP.nbytes <= most
    corner_NC = images_NCHW[:, :, :side, :side].float().mean(dim=(2, 3)) / 255
    assert torch.allclose(seen_NP.view(images, channels, -1)[..., 0], corner_NC, atol=1e-5)
    assert side == 1 or images_NCHW.numel() * 4 > most, "nothing is averaged where there is room"


def test_logistic_regression_on_averages_still_reads(digits: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, learned = simple.fit(BASELINES["logistic"], digits)
    monkeypatch.setattr(simple, "MOST_BYTES", 4 * 1_197 * 16)
    averaged, fewer = simple.fit(BASELINES["logistic"], digits)
    images_NCHW, labels_N = digits.validation
    right = [(classify(images_NCHW) == labels_N).float().mean().item() for classify in (whole, averaged)]
    assert (learned, fewer) == (650, 170)
    assert right[0] >= right[1] > 0.85


# A whole study


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run a study with its finals on real digits; give its folder and what it said."""
    folder = tmp_path_factory.mktemp("finals")
    status, out, err = run(folder, write_plan(folder, WITH_FINALS))
    assert (status, err) == (0, "")
    return folder / "runs" / "x", out


@pytest.fixture
def study(finished: tuple[Path, str], tmp_path: Path) -> Path:
    """Copy the finished study."""
    return Path(shutil.copytree(finished[0], tmp_path / "runs" / "x"))


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "record.jsonl").read_bytes().splitlines()]


def wrong_by_hand(weights: Path) -> list[int]:
    test = load_test("digits", Path(), torch.device("cpu"))
    with torch.inference_mode():
        predicted_N = cnnsearch.load(weights)(test.images_NCHW / 255).argmax(1)
    return [place for place, right in enumerate((predicted_N == test.labels_N).tolist()) if not right]


def test_a_study_ends_with_a_winner_that_was_tested_once(finished: tuple[Path, str]) -> None:
    folder, out = finished
    found = history.read(folder)
    best = verdict(found)
    assert best
    winner = json.loads((folder / "summary.json").read_text())["winner"]
    wrong = wrong_by_hand(folder / "winner")
    assert winner["test_accuracy"] == (300 - len(wrong)) / 300
    images = found.validation_images
    assert images
    shares = {right / images for right in range(images + 1)}
    assert shares >= {score for row in best.rows for score in row.scores}, "ties are equal to the bit"
    assert (winner["test_opened"], winner["test_images"]) == (1, 300)
    assert winner["validation_accuracy"] == pytest.approx(sum(winner["validation_accuracy_per_seed"]) / 2)
    assert (
        cnnsearch.Network.model_validate_json((folder / winner["network"]).read_text()).cost.parameters
        == (winner["parameters"])
    )
    trial = next(trial for trial in found.trials if trial.number == winner["trial"])
    assert winner["optimism_gap"] == pytest.approx((trial.score or 0) - winner["validation_accuracy"])
    names = {each["entrant"] for each in winner["compared"]}
    assert names >= {"hand-made network", "logistic regression", "majority class"}
    assert "LeNet-5" not in names, "it does not fit 8x8 images"
    assert f"The winner is {winner['entrant']} with {winner['parameters']:,} parameters" in out
    assert "The test images were opened once." in out
    assert "told apart" not in out, "the noise is not known by two trainings each of two networks"


def test_the_page_tells_the_finals(finished: tuple[Path, str]) -> None:
    page = (finished[0] / "report.html").read_text()
    assert "<h2>The finals</h2>" in page
    assert "The test images were opened once." in page
    assert "<h2>Smaller networks</h2>" in page


def test_the_record_says_what_the_test_images_are_read_for_before_they_are(finished: tuple[Path, str]) -> None:
    names = [event["event"] for event in events(finished[0])]
    assert names.index("test_opened") > max(place for place, name in enumerate(names) if name == "retrained")
    assert names.index("test_opened") < names.index("tested")
    opened = next(event for event in events(finished[0]) if event["event"] == "test_opened")
    assert {event["sha256"] for event in events(finished[0]) if event["event"] == "tested"} == {
        *opened["weights"].values()
    }


def test_it_is_told_which_classes_are_taken_for_which(finished: tuple[Path, str]) -> None:
    folder, out = finished
    found = decided(history.read(folder))
    assert found
    tested = found.winner.tested[found.winner.best]
    assert tested
    test = load_test("digits", Path(), torch.device("cpu"))
    with torch.inference_mode():
        read_N = cnnsearch.load(folder)(test.images_NCHW / 255).argmax(1)
    wrong = list(tested.wrong)
    assert list(tested.taken_for) == read_N[wrong].tolist()
    assert list(tested.truth) == test.labels_N[wrong].tolist()
    assert list(tested.of_class) == test.labels_N.bincount().tolist()
    pairs = Counter(zip(tested.truth, tested.taken_for, strict=True))
    most = max(pairs.values())
    said = " ".join(out.split()).partition("Most often taken for another class, of the test images: ")[2]
    assert said.partition(",")[0] in {f"{truth} for {read} ({most})" for (truth, read), n in pairs.items() if n == most}
    worst = min(range(10), key=lambda digit: 1 - tested.truth.count(digit) / tested.of_class[digit])
    page = (folder / "report.html").read_text()
    told = page.partition("<h2>What the winner reads wrong</h2>")[2].partition("</table>")[0]
    assert told.partition("<tr><td>")[2].startswith(f'{worst}</td><td class="n">{tested.of_class[worst]}</td>')


@pytest.mark.parametrize(
    "damage",
    [{"of_class": ()}, {"of_class": (300,)}, {"truth": ()}, {"taken_for": tuple(range(999))}, {"truth": (99,)}],
)
def test_a_record_that_does_not_tell_it_rightly_shows_nothing(
    finished: tuple[Path, str], damage: dict[str, tuple[int, ...]]
) -> None:
    found = history.read(finished[0])
    other = found._replace(tested=tuple(each.model_copy(update=damage) for each in found.tested))
    assert mistakes.section(found) != ""
    assert (mistakes.section(other), list(mistakes.sentences(other))) == ("", [])


def test_names_of_classes_are_text_on_the_page(finished: tuple[Path, str]) -> None:
    found = history.read(finished[0])
    told = mistakes.section(found._replace(classes=("<script>alert(1)</script>", *found.classes[1:])))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in told
    assert "<script>" not in told


def test_the_test_images_have_no_part_in_choosing_the_winner(finished: tuple[Path, str]) -> None:
    found = history.read(finished[0])
    tested = tuple(each.model_copy(update={"wrong": tuple(range(299))}) for each in found.tested)
    before, after, untested = verdict(found), verdict(found._replace(tested=tested)), verdict(found._replace(tested=()))
    assert before
    assert after
    assert untested
    assert before.winner.entrant == after.winner.entrant == untested.winner.entrant
    assert untested.winner.test_accuracy is None


def test_the_same_finals_again_train_and_read_nothing(study: Path) -> None:
    before = events(study)
    evaluate(study, quiet=True)
    assert events(study) == before


@pytest.mark.parametrize("damaged", ["", "[]", "{"])
def test_a_damaged_summary_keeps_no_winner_from_being_told(study: Path, damaged: str) -> None:
    before = json.loads((study / "summary.json").read_text())["winner"]
    (study / "summary.json").write_text(damaged)
    evaluate(study, quiet=True)
    assert json.loads((study / "summary.json").read_text()) == {"finals": "over", "winner": before}


def test_an_edited_plan_is_told_before_anything_is_made_of_it(study: Path) -> None:
    (study / "plan.json").write_text("{}")
    with pytest.raises(RunError, match="is not the plan of this run, so damaged or edited"):
        evaluate(study, quiet=True)


def test_the_same_command_again_keeps_the_winner_in_the_summary(study: Path) -> None:
    before = json.loads((study / "summary.json").read_text())["winner"]
    status, _, err = run(study.parents[1], write_plan(study.parents[1], WITH_FINALS))
    assert (status, err) == (0, "")
    assert json.loads((study / "summary.json").read_text())["winner"] == before


def test_a_search_without_finals_keeps_the_winner_of_earlier_ones(study: Path) -> None:
    before, page = json.loads((study / "summary.json").read_text())["winner"], "<h2>The finals</h2>"
    status, out, err = run(study.parents[1], write_plan(study.parents[1], WITH_FINALS), "--no-finals")
    assert (status, err) == (0, "")
    assert json.loads((study / "summary.json").read_text())["winner"] == before
    assert history.plan_of(study)["finals"]["epochs"] == 1, "by which the winner was trained"
    assert f"The winner is {before['entrant']} with" in out
    assert page in (study / "report.html").read_text()
    with pytest.raises(KeyboardInterrupt):
        search(plan(study.parent, WITH_FINALS, finals=None, budget={"trials": 4}), interrupt)
    told = json.loads((study / "summary.json").read_text())
    assert (told["state"], told["winner"]) == ("interrupted", before)


def cut_in_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainings, "run_in_workers", cut)


def test_first_finals_that_are_cut_at_once_are_told_not_to_be_over(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (study / "record.jsonl").read_bytes().splitlines(keepends=True)
    first = next(place for place, line in enumerate(lines) if b'"finals_opened"' in line)
    (study / "record.jsonl").write_bytes(b"".join(lines[:first]))
    publish.renew(history.read(study))
    assert json.loads((study / "summary.json").read_text())["finals"] is None
    shutil.rmtree(study / "finals")
    cut_in_trainings(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        evaluate(study, quiet=True)
    assert json.loads((study / "summary.json").read_text())["finals"] == "not over"


@pytest.mark.parametrize(("other", "trained"), [({"candidates": 3}, 3), ({"epochs": 2}, 2)])
def test_finals_that_go_on_with_others_name_no_winner_until_they_end(
    study: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, int], trained: int
) -> None:
    weights = (study / "winner/weights.safetensors").read_bytes()
    cut_in_trainings(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        evaluate(study, finals=other, quiet=True)
    begun = history.read(study)
    assert decided(begun) is None
    summary = json.loads((study / "summary.json").read_text())
    assert (summary["finals"], summary["winner"]) == ("not over", None)
    assert (study / "winner/weights.safetensors").read_bytes() == weights, "a tested network is not thrown away"
    cutter = begun._replace(plan={**begun.plan, "finals": {**begun.plan["finals"], "epochs": 1}})
    page = as_page(cutter)
    assert "The finals are not over; so far trial" in page
    assert "Until then winner/weights.safetensors are those of the winner of the finals before." in page
    monkeypatch.undo()
    over = evaluate(study, quiet=True)
    assert len({each.entrant for each in over.retrained if each.entrant.startswith("trial")}) == trained
    assert decided(over)
    assert (study / "winner/weights.safetensors").exists()


def test_an_export_of_other_weights_than_the_winners_is_told(study: Path) -> None:
    (study / "export").mkdir()
    exported = study / "export/weights.safetensors"
    shutil.copyfile(study / "winner/weights.safetensors", exported)
    assert "export/" not in as_page(history.read(study))
    exported.write_bytes(b"of a former winner")
    law = "export/ holds other weights, of before; python -m cnnsearch.export"
    assert escape(f"{law} {study} writes the winner's.") in as_page(history.read(study))


def test_whoever_was_trained_in_finals_before_stays_in_them(study: Path) -> None:
    before = decided(history.read(study))
    found = evaluate(study, finals={"candidates": 1, "finalists": 1}, quiet=True)
    assert len(entering(found, found.finals)) == 2
    assert decided(found) == before
    worse = tuple(trial.model_copy(update={"score": 0.0}) for trial in found.trials)
    better = found.trials[0].model_copy(update={"number": 3, "score": 1.0, "network_data": {"one": "more"}})
    longer = found._replace(trials=(*worse, better))
    assert {trial.number for trial in entering(longer, found.finals)} == {
        3,
        *(t.number for t in entering(found, found.finals)),
    }


def test_finals_of_former_epochs_are_not_forgotten(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = decided(history.read(study))
    capsys.readouterr()
    longer = evaluate(study, finals={"epochs": 2})
    held, replaced = capsys.readouterr().out.splitlines()[:2]
    assert held == f"{study}: finals of 2 candidates, 2 epochs each, the best 2 with 2 seeds"
    assert (
        replaced == "finals of other epochs were held before; these take their place, and their weights stay in finals/"
    )
    trained = len(events(study))
    assert decided(longer) != before
    again = evaluate(study, finals={"epochs": 1}, quiet=True)
    now = decided(again)
    assert before
    assert now
    assert now.rows == before.rows
    assert len(events(study)) == trained, "nothing is left to train"


def test_a_baseline_of_former_epochs_takes_no_part(study: Path) -> None:
    found = history.read(study)
    whole = verdict(found)
    assert whole
    assert BASELINES["handmade"] in {row.entrant for row in whole.rows}
    finals = {**found.plan["finals"], "epochs": 2}
    recipe = found.retrained[0].recipe
    assert recipe
    longer = [
        each.model_copy(update={"recipe": recipe.model_copy(update={"epochs": 2})})
        for each in found.retrained
        if each.entrant.startswith("trial")
    ]
    others = [each for each in found.retrained if not each.entrant.startswith("trial")]
    begun = verdict(found._replace(plan={**found.plan, "finals": finals}, retrained=(*others, *longer)))
    assert begun
    assert {row.entrant for row in begun.rows if not row.trial} == {BASELINES["majority"], BASELINES["logistic"]}


def test_a_candidate_that_reads_more_with_fewer_seeds_is_named(study: Path) -> None:
    found = history.read(study)
    first = found.retrained[0]
    better = first.model_copy(update={"accuracies": (0.99,)})
    others = [each for each in found.retrained if each.entrant != first.entrant]
    run_of_better = found._replace(retrained=(better, *others))
    row = verdict(run_of_better)
    assert row
    law = (
        f"With 1 seed {first.entrant} reads 99.00 %, more than the winner's mean; --finals.finalists 3 trains one more"
    )
    assert f"{law} as often." in list(finals.sentences(run_of_better, row._replace(is_final=True)))


def test_a_failed_training_is_named_and_nobody_advised_to_train_it_again(study: Path) -> None:
    found = history.read(study)
    first = found.retrained[0]
    failed = first.model_copy(update={"seed": 1, "state": "failed", "reason": "diverged: epoch 1", "accuracies": ()})
    assert first.recipe
    earlier = failed.model_copy(update={"recipe": first.recipe.model_copy(update={"epochs": 9})})  # of other finals
    others = [each for each in found.retrained if each.entrant != first.entrant]
    better = first.model_copy(update={"accuracies": (0.99,)})
    run = found._replace(retrained=(better, failed, earlier, *others))
    row = verdict(run)
    assert row
    for is_final in (False, True):
        told = " ".join(finals.sentences(run, row._replace(is_final=is_final)))
        assert told.count("Failed:") == 1
        assert f"Failed: {first.entrant}, seed 1: diverged: epoch 1." in told
        assert "trains one more" not in told


def test_a_failed_baseline_is_named_until_it_is_trained_by_another_recipe(study: Path) -> None:
    found = history.read(study)
    over = next(each for each in found.retrained if each.entrant == "hand-made network")
    assert over.recipe
    slower = over.recipe.model_copy(update={"learning_rate": over.recipe.learning_rate / 2})
    broken = over.model_copy(update={"state": "failed", "reason": "timeout: 9 s", "accuracies": (), "recipe": slower})
    assert failed(found._replace(retrained=(*found.retrained, broken))) == [broken]
    assert failed(found._replace(retrained=(broken, *found.retrained))) == []


def test_of_two_that_are_one_candidate_the_trained_one_stays(study: Path) -> None:
    found = history.read(study)
    winner = decided(found)
    assert winner
    assert winner.winner.trial
    twin = winner.winner.trial.model_copy(update={"number": 3, "score": 1.0})
    later = found._replace(trials=(*found.trials, twin))
    assert later.ranked[0] == twin
    assert winner.winner.trial in entering(later, later.finals)
    assert twin not in entering(later, later.finals)


def test_candidates_come_by_the_mean_of_all_that_are_trained_alike(study: Path) -> None:
    found = history.read(study)
    often, once = found.ranked[0], found.ranked[1]
    again = often.model_copy(update={"number": 3, "score": 0.0})
    fresh = found._replace(trials=(*found.trials, again), retrained=())
    assert fresh.ranked[0] == often
    first, *_ = entering(fresh, fresh.finals)
    assert first.network == once.network, "half a lucky seed and half a bad one is not the best"


def test_the_test_images_are_read_for_no_more_finalists_than_asked(study: Path) -> None:
    before = len(history.read(study).tested)
    evaluate(study, finals={"epochs": 2, "finalists": 1, "seeds": 1, "candidates": 2, "baselines": []}, quiet=True)
    found = history.read(study)
    over = decided(found)
    assert over
    assert len([row for row in over.rows if row.trial]) == 2
    assert (over.finalists, len(found.tested) - before) == ((over.winner.entrant,), 1)


def test_finals_that_cannot_be_held_change_nothing(study: Path) -> None:
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file() and path.name != "lock"}
    plan_file = json.loads((study / "plan.json").read_text())
    edited = json.dumps({**plan_file, "executor": {"device": "cuda:77"}}, indent=2).encode()
    (study / "plan.json").write_bytes(edited)
    with pytest.raises(InvalidSpecError, match="cuda:77"):
        evaluate(study, finals={"candidates": 3}, quiet=True)
    assert {path: path.read_bytes() for path in before} == {**before, study / "plan.json": edited}
    assert decided(history.read(study))
    found = evaluate(study, finals={"candidates": 3}, machine=Machine(device="cpu", workers=1), quiet=True)
    assert decided(found)
    assert found.plan["executor"]["device"] == "cuda:77", "what a command is told is of that command alone"


def test_the_first_runs_finals_are_over_with_the_test_images_read(study: Path) -> None:
    before = decided(history.read(study))
    assert before
    lines = (study / "record.jsonl").read_bytes().splitlines(keepends=True)
    closed = [line for line in lines if b'"finals_closed"' in line]
    assert len(closed) == 1
    (study / "record.jsonl").write_bytes(b"".join(line for line in lines if line not in closed))
    assert decided(history.read(study)) == before
    opened = next(line for line in lines if b'"finals_opened"' in line)
    (study / "record.jsonl").write_bytes(b"".join(line for line in [*lines, opened] if line not in closed))
    assert decided(history.read(study)) == before, "opened again, with nothing to do"
    tests = [place for place, line in enumerate(lines) if b'"tested"' in line]
    (study / "record.jsonl").write_bytes(b"".join(lines[: tests[-1]]))
    assert decided(history.read(study)) is None, "not yet for all"


def without_last_words(folder: Path) -> None:
    """Let the record be one of the first versions, or of finals that were cut when only their last word lacked."""
    lines = (folder / "record.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "record.jsonl").write_bytes(b"".join(line for line in lines if b'"finals_closed"' not in line))


def test_others_after_finals_without_a_last_word_keep_the_former_winners_files(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_last_words(study)
    weights, seconds = (study / "winner/weights.safetensors").read_bytes(), history.read(study).finals_seconds
    cut_in_trainings(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        evaluate(study, finals={"epochs": 2}, quiet=True)
    begun = history.read(study)
    assert begun.finals_are_open
    assert seconds < begun.finals_seconds < seconds + 1, "the former ones ended when they did"
    assert (study / "winner/weights.safetensors").read_bytes() == weights


def test_a_study_with_other_finals_keeps_the_former_winners_files_too(study: Path) -> None:
    without_last_words(study)
    weights = (study / "winner/weights.safetensors").read_bytes()
    longer = plan(study.parent, WITH_FINALS, finals={**FINALS, "epochs": 2})

    def interrupted(*_: object) -> None:
        assert history.plan_of(study)["finals"]["epochs"] == 2
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainings, "run_in_workers", interrupted)
        with pytest.raises(KeyboardInterrupt):
            cnnsearch.search(longer, quiet=True)
    assert history.read(study).finals_are_open
    assert (study / "winner/weights.safetensors").read_bytes() == weights


def test_a_death_between_the_record_and_the_plan_of_other_finals_leaves_no_winner(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die_there(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"{evaluate.__module__}.write_whole", die_there)
    with pytest.raises(KeyboardInterrupt):
        evaluate(study, finals={"seeds": 3}, quiet=True)
    assert decided(history.read(study)) is None


def test_the_winners_folder_is_that_of_whom_the_record_names_now(study: Path) -> None:
    before = decided(history.read(study))
    assert before
    draft = study / "winner/.weights.safetensors.0badf00d.tmp"  # as a kill leaves it
    draft.touch()
    others = {row.trial.number for row in before.rows[1:] if row.trial}
    found = history.read(study)
    only_others = found._replace(retrained=tuple(e for e in found.retrained if e.entrant != before.winner.entrant))
    publish.renew(only_others)
    now = json.loads((study / "summary.json").read_text())["winner"]
    assert now["trial"] in others
    assert not draft.exists()
    assert cnnsearch.load(study).network == history.read(study).trials[now["trial"]].network
    weights = (study / "winner/weights.safetensors").read_bytes()
    for each in (study / "finals").glob("*.safetensors"):
        each.write_bytes(each.read_bytes()[:-1] + b"?")
    publish.renew(only_others)
    assert (study / "winner/weights.safetensors").read_bytes() == weights, "not those that were damaged"
    shutil.rmtree(study / "finals")  # to save room: what is in winner/ is still the winner's
    publish.renew(only_others)
    assert (study / "winner/weights.safetensors").read_bytes() == weights
    publish.renew(only_others._replace(retrained=()))
    assert json.loads((study / "summary.json").read_text())["winner"] is None
    assert not (study / "winner/weights.safetensors").exists()
    best = json.loads((study / "best/network.json").read_text())
    assert cnnsearch.load(study).network == cnnsearch.Network.model_validate(best)


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


def test_finals_that_were_cut_are_not_told_as_if_they_were_over(study: Path) -> None:
    found = history.read(study)._replace(tested=())
    assert decided(found) is None
    page = as_page(found)
    assert "The winner of the finals" not in page
    assert "The finals are not over; so far trial" in page
    assert "The winner, layer by layer" not in page


def test_the_page_tells_how_the_winner_was_trained(study: Path) -> None:
    run = history.read(study)
    found = decided(run)
    assert found
    assert found.winner.trial
    assert found.winner.recipe
    assert found.winner.trial.recipe.epochs == 2
    assert other_schedule(found.winner) == ", of 1 epoch in place of 2"
    assert escape(found.winner.recipe.model_dump_json(indent=2)) in as_page(run)
    equal = found.winner._replace(trial=found.winner.trial.model_copy(update={"recipe": found.winner.recipe}))
    assert other_schedule(equal) == ""
    parts = found.winner.recipe.model_copy(update={"epochs": 5, "restarts": (2,)})
    in_two = found.winner._replace(trial=found.winner.trial.model_copy(update={"recipe": parts}))
    assert other_schedule(in_two) == ", of 1 epoch in one schedule in place of 5 in 2"


def test_what_the_test_images_have_shown_to_be_worse_is_said_to_be(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = history.read(study)
    found = decided(run)
    assert found
    other = next(row for row in found.rows[1:] if row.trial and row.against)
    monkeypatch.setattr(smaller, "as_good", lambda _: Tie(other.trial, 0.01, 3))
    law = "(95 %, 3 degrees of freedom, by trainings at least as long)"
    for gained, told in ((1, f"{law}; the test images tell it from the winner (p: 0.03)."), (30, f"{law}.")):
        rows = tuple(row._replace(against=Against(15, gained, 0.03)) if row is other else row for row in found.rows)
        monkeypatch.setattr(smaller, "decided", lambda _, rows=rows: found._replace(rows=rows))
        assert next(smaller.sentences(run)).endswith(told)


def test_a_winners_network_is_built_as_it_is(study: Path) -> None:
    found = verdict(history.read(study))
    assert found
    assert found.winner.network
    module = cnnsearch.build(found.winner.network)
    assert sum(weight.numel() for weight in module.parameters()) == found.winner.parameters


def test_no_other_weights_take_the_place_of_a_winners_that_were_lost(study: Path) -> None:
    (study / "winner/weights.safetensors").unlink()
    with pytest.raises(RunError, match=r"winner/weights\.safetensors: no such file"):
        cnnsearch.load(study)
    with pytest.raises(RunError) as error:
        source.find(study)
    law = f"{study}/winner: no network.json with weights.safetensors, though the finals have a winner"
    assert str(error.value) == f"{law}; `python -m cnnsearch.evaluate {study}` writes them again"
    evaluate(study, quiet=True)
    assert source.find(study).role == "winner"


def test_finals_that_were_cut_have_no_winner_yet(study: Path) -> None:
    lines = (study / "record.jsonl").read_bytes().splitlines(keepends=True)
    (study / "record.jsonl").write_bytes(b"".join(line for line in lines if b'"test' not in line))
    status, _, err = run(study.parents[1], write_plan(study.parents[1], WITH_FINALS), "--no-finals")
    assert (status, err) == (0, "")
    assert json.loads((study / "summary.json").read_text())["winner"] is None


def test_finals_killed_between_announcement_and_result_open_the_test_images_once(study: Path) -> None:
    lines = (study / "record.jsonl").read_bytes().splitlines(keepends=True)
    opened = next(place for place, line in enumerate(lines) if b'"test_opened"' in line)
    (study / "record.jsonl").write_bytes(b"".join(lines[: opened + 2]))
    found = evaluate(study, quiet=True)
    assert len(found.openings) == 1
    assert len(found.tested) == len(found.openings[0].weights)


def test_a_baseline_that_is_no_network_is_fitted_once(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for the validation images and again for the test images; after a kill again, for want of weights."""
    fitted: list[str] = []
    fit = simple.fit

    def counted(name: str, data: DataSet) -> tuple[simple.Classify, int]:
        fitted.append(name)
        return fit(name, data)

    monkeypatch.setattr(simple, "fit", counted)
    names = [BASELINES["majority"], BASELINES["logistic"]]
    lines = (study / "record.jsonl").read_bytes().splitlines(keepends=True)
    untested = [line for line in lines if b'"test' not in line]
    networks = [line for line in untested if not any(f'"entrant":"{name}"'.encode() in line for name in names)]
    assert len(networks) == len(untested) - 2
    for kept in (networks, untested):
        (study / "record.jsonl").write_bytes(b"".join(kept))
        found = evaluate(study, quiet=True)
        assert sorted(fitted) == sorted(names)
        assert {*names} < {tested.entrant for tested in found.tested}
        fitted.clear()


def test_a_second_look_is_possible_but_counted(study: Path) -> None:
    found = evaluate(study, finals={"seeds": 3, "finalists": 1}, quiet=True)
    assert len(found.openings) == 2
    assert json.loads((study / "summary.json").read_text())["winner"]["test_opened"] == 2
    first, second = ({*opening.weights.values()} for opening in found.openings)
    assert first.isdisjoint(second)


def test_a_guard_less_reader_would_be_noticed(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the announcement the record could not tell how often the test images were read."""
    lines = (study / "record.jsonl").read_bytes().splitlines(keepends=True)
    (study / "record.jsonl").write_bytes(b"".join(line for line in lines if b'"test' not in line))
    monkeypatch.setattr(opening, "TestOpened", lambda **_: pytest.fail("said before it is read"))
    with pytest.raises(pytest.fail.Exception, match="said before it is read"):
        evaluate(study, quiet=True)
    assert history.read(study).tested == ()


def test_finals_killed_at_any_moment_lose_nothing_and_open_once(tmp_path: Path) -> None:
    name = write_plan(tmp_path, WITH_FINALS)
    path = tmp_path / "runs" / "x" / "record.jsonl"
    for count in (1, 3, 6):  # trainings of networks, then of those and the baselines that are none
        process = start(tmp_path, name)
        until(lambda: text_of(path).count('"event":"retrained"') >= count or process.poll() is not None)  # noqa: B023
        process.kill()
        end_of(process)
        until(lambda: not processes_in(tmp_path), patience=5)
    acknowledged = text_of(path).rpartition("\n")[0]
    status, _, err = run(tmp_path, name)
    assert (status, err) == (0, "")
    assert text_of(path).startswith(acknowledged)
    trained = [(event["entrant"], event["seed"]) for event in events(path.parent) if event["event"] == "retrained"]
    assert len(trained) == len({*trained}) == 7
    assert [event["event"] for event in events(path.parent)].count("test_opened") == 1


# The command


def evaluated(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(["-m", "cnnsearch.evaluate", *arguments], folder)


def test_the_finals_of_a_study_without_them_are_held_later(study: Path) -> None:
    kept = (study / "record.jsonl").read_bytes().splitlines(keepends=True)
    searched = kept[: 1 + next(place for place, line in enumerate(kept) if b'"closed"' in line)]
    (study / "record.jsonl").write_bytes(b"".join(searched))
    shutil.rmtree(study / "winner")
    done = evaluated(study.parents[1], "runs/x", "--candidates", "1", "--seeds", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Trained again once it reads" in done.stdout
    assert (study / "winner" / "weights.safetensors").exists()
    assert "<h2>The finals</h2>" in (study / "report.html").read_text()


def test_a_run_in_a_folder_of_another_name_is_evaluated(study: Path) -> None:
    moved = study.rename(study.parent / "my run")
    done = evaluated(study.parent, "my run", "--seeds", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert history.plan_of(moved)["name"] == "x"


def test_a_run_is_found_from_within_its_folder(study: Path) -> None:
    done = python(["-m", "cnnsearch.evaluate", "."], study)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_study_whose_finals_have_no_winner_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    budget = {"trials": 1, "minutes": None, "until_flat": False}
    folder = write_run(tmp_path / "x", ("complete",), plan={"finals": FINALS, "budget": budget})
    found = history.read(folder)
    broken = Retrained(
        entrant="trial 0", seed=0, state="failed", reason="diverged: epoch 1", parameters=1, macs=1,
        recipe=found.finals.recipe(found.trials[0].recipe),
    )  # fmt: skip
    with record.own(folder) as to:
        to.append(broken)
    assert ending.show(history.read(folder), "") == 1
    said = " ".join(capsys.readouterr().out.split())
    law = (
        "The finals have no winner (trial 0: diverged: epoch 1); the same command tries again what ended in a bug, a"
        " dead worker or a timeout; else try other --finals.epochs or a longer search"
    )
    assert law in said


@pytest.mark.parametrize(("rate", "gentler"), [(0.015, GENTLE), (0.0005, 0.0005)])
def test_without_batch_norm_the_rate_is_never_higher_than_the_search_s(rate: float, gentler: float) -> None:
    trained = gentle(Recipe(optimizer="muon", learning_rate=rate, epochs=3))
    assert trained == Recipe(optimizer="adamw", learning_rate=gentler, epochs=3)


def test_who_may_be_as_fast_as_the_winner_is_named_and_each_cost_sought_has_a_column(
    finished: tuple[Path, str],
) -> None:
    run = history.read(finished[0])
    objectives = {"validation_accuracy": {"at_least": 0.05}, "latency": {}}
    measured = [
        trial.model_copy(update={"latency": Latency(1e-3 * (1 + trial.number / 100), 0.9e-3, 1.1e-3)})
        for trial in run.trials
    ]
    sought = run._replace(plan={**run.plan, "objectives": objectives}, trials=tuple(measured))
    found = verdict(sought)
    assert found
    others = [row.entrant for row in found.rows if row.trial and row is not found.winner]
    told = list(finals.sentences(sought, found))
    assert others
    assert all(f"{name} may be as fast: the intervals of the two latencies overlap." in told for name in others)
    assert finals.columns(sought.aim)[:3] == ("entrant", "parameters", "latency")
    shown = {row.entrant: finals.cells(row, sought.aim)[2] for row in found.rows}
    assert re.fullmatch(r"1\.\d{3} ms \(0\.900 to 1\.100\)", shown[found.winner.entrant])
    assert shown["majority class"] == "-"


def test_a_baseline_of_a_block_that_is_not_imported_here_costs_the_table_only_its_cost(
    finished: tuple[Path, str],
) -> None:
    run = history.read(finished[0])
    found = verdict(run)
    assert found
    row = next(row for row in found.rows if row.trial is None and row.network)
    unknown = {**row.shipped.network, "blocks": [{"kind": "nowhere"}]} if row.shipped.network else None
    foreign = row._replace(trainings=tuple(each.model_copy(update={"network": unknown}) for each in row.trainings))
    aim = Aim(("macs", "weight_bytes"))
    assert finals.cells(foreign, aim)[1:4] == (f"{row.parameters:,}", f"{row.shipped.macs:,}", "-")


def test_a_baseline_that_meets_the_floor_with_fewer_parameters_is_named(finished: tuple[Path, str]) -> None:
    run = history.read(finished[0])
    objectives = {"validation_accuracy": {"at_least": 0.05}, "parameters": {}}
    sought = run._replace(plan={**run.plan, "objectives": objectives})
    found = verdict(sought)
    assert found
    told = list(finals.sentences(sought, found))
    law = "The baseline majority class reads 10.00 %, more than is asked for, with 1 parameters: fewer than the winner."
    assert law in told
    assert law not in list(finals.sentences(run, found))
    told_of = ((run, None), (sought, True), (sought, False))
    said = (" ".join(finals.sentences(each, found._replace(meets_floor=meets))) for each, meets in told_of)
    advice = ["may find better ones" in sentences for sentences in said]
    assert advice == [True, False, True], "where the floor is met, one that reads more is no reason to search longer"


def test_random_search_that_is_not_over_is_refused(study: Path) -> None:
    with pytest.raises(RunError) as caught:
        evaluate(study, finals={"baselines": ["random-search"]}, quiet=True)
    law = "random search is to take part in the finals, but its study is not over"
    assert str(caught.value) == (
        f"{study.parent / 'x-random'}: {law}; the command of the study itself, with this baseline, makes it"
    )


def test_random_search_that_ended_in_bugs_is_refused_with_its_log(study: Path) -> None:
    twin = random_twin(Plan.model_validate({**history.plan_of(study), "runs": str(study.parent)}), trials=9)
    five = [fail("bug", "KeyError: 'channels'")] * 5
    assert search(twin, in_turn(*five))[0].state == "failed"
    with pytest.raises(RunError) as caught:
        evaluate(study, finals={"baselines": ["random-search"]}, quiet=True)
    law = "random search is to take part in the finals, but its study ended in bugs of the program"
    assert str(caught.value) == f"{twin.folder}: {law}; see {twin.folder / 'log'}, or leave this baseline out"


def test_a_run_without_a_complete_trial_has_no_finals(tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "x", states=("stopped", "failed"), plan=history_plan())
    done = evaluated(tmp_path, "runs/x")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "runs/x: no trial is complete, so nobody can enter the finals; search longer\n"


def history_plan() -> dict[str, Any]:
    return Plan.model_validate({"dataset": "mnist"}).stored()


def test_what_is_no_run_and_what_is_no_number_is_said(tmp_path: Path) -> None:
    done = evaluated(tmp_path, "nowhere")
    assert (done.returncode, done.stderr) == (
        1,
        "nowhere: no such folder; give the folder of a run, such as runs/NAME\n",
    )
    write_run(tmp_path / "runs" / "x", plan=history_plan())
    done = evaluated(tmp_path, "runs/x", "--seeds", "0")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "finals.seeds: input should be greater than or equal to 1, not 0",
    )


def test_no_finals_ends_with_the_search(tmp_path: Path) -> None:
    status, out, err = run(tmp_path, write_plan(tmp_path, WITH_FINALS), "--no-finals", "--trials", "1")
    assert (status, err) == (0, "")
    assert "The winner" not in out
    assert json.loads((tmp_path / "runs/x/summary.json").read_text())["winner"] is None


# Random search


@settings(max_examples=5)
@given(st.sampled_from(["digits", "mnist"]))
def test_the_random_twin_differs_by_its_sampler_alone(dataset: str) -> None:
    asked = Plan.model_validate({"dataset": dataset, "finals": {"baselines": ["random-search"]}})
    twin = random_twin(asked)
    assert (twin.sampler.kind, twin.run_name, twin.finals) == ("random", f"{asked.run_name}-random", None)
    same = {"space", "recipe", "limits", "pruner", "budget"}
    assert asked.seed != twin.seed
    assert asked.model_dump(include=same) == twin.model_dump(include=same)


def test_random_search_takes_part_where_it_is_asked_for(study: Path) -> None:
    folder = study.parents[1]
    finals = {**FINALS, "baselines": ["random-search"], "candidates": 1, "finalists": 1, "seeds": 1}
    status, _, err = run(folder, write_plan(folder, WITH_FINALS, finals=finals))
    assert (status, err) == (0, "")
    assert history.read(study.parent / "x-random").count("complete") == 3
    assert "random search" in {training.entrant for training in history.read(study).retrained}
