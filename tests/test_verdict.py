"""Who wins the finals, and what is told of them."""

import json
import re
import shutil
from collections import Counter
from html import escape
from pathlib import Path

import pytest
import torch
from finals_rig import FINALS, run_of, train
from made_runs import write_run
from study_rig import learn

import cnnsearch
from cnnsearch import history, record
from cnnsearch.data import load_test
from cnnsearch.events import Retrained
from cnnsearch.objectives import Aim, Latency
from cnnsearch.parts import BASELINES
from cnnsearch.report import finals, mistakes, smaller
from cnnsearch.report.write import as_page
from cnnsearch.study import ending
from cnnsearch.tradeoff import Tie
from cnnsearch.verdict import Against, decided, failed, lacking, other_schedule, verdict


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


def test_a_baseline_of_former_epochs_takes_no_part(judged: Path) -> None:
    found = history.read(judged)
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


@pytest.mark.parametrize(
    ("searched", "asked", "had", "takes_part"),
    [({"choice": [1, 5]}, None, 5, True), ({"choice": [1, 5]}, 1, 5, False), (1, None, 5, False), (1, 1, 1, True)],
)
def test_the_best_of_random_search_may_have_epochs_of_its_own_where_they_are_searched(
    finished: tuple[Path, str], searched: object, asked: int | None, had: int, *, takes_part: bool
) -> None:
    run = history.read(finished[0])
    first = run.retrained[0]
    assert first.recipe
    recipe = first.recipe.model_copy(update={"epochs": had})
    at_random = first.model_copy(update={"entrant": BASELINES["random-search"], "recipe": recipe})
    trials = tuple(trial.model_copy(update={"recipe": first.recipe}) for trial in run.trials)
    finals = {**run.plan["finals"], "epochs": asked, "baselines": ["random-search"]}
    plan = {**run.plan, "recipe": {**run.plan["recipe"], "epochs": searched}, "finals": finals}
    own = tuple(each for each in run.retrained if each.recipe == first.recipe)
    found = verdict(run._replace(plan=plan, trials=trials, retrained=(*own, at_random)))
    assert found
    assert (BASELINES["random-search"] in {row.entrant for row in found.rows}) == takes_part


def test_the_first_runs_finals_are_over_with_the_test_images_read(judged: Path) -> None:
    before = decided(history.read(judged))
    assert before
    lines = (judged / "record.jsonl").read_bytes().splitlines(keepends=True)
    closed = [line for line in lines if b'"finals_closed"' in line]
    assert len(closed) == 1
    (judged / "record.jsonl").write_bytes(b"".join(line for line in lines if line not in closed))
    assert decided(history.read(judged)) == before
    opened = next(line for line in lines if b'"finals_opened"' in line)
    (judged / "record.jsonl").write_bytes(b"".join(line for line in [*lines, opened] if line not in closed))
    assert decided(history.read(judged)) == before, "opened again, with nothing to do"
    tests = [place for place, line in enumerate(lines) if b'"tested"' in line]
    (judged / "record.jsonl").write_bytes(b"".join(lines[: tests[-1]]))
    assert decided(history.read(judged)) is None, "not yet for all"


# What is told


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


def wrong_by_hand(weights: Path) -> list[int]:
    test = load_test("digits", Path(), torch.device("cpu"))
    with torch.inference_mode():
        predicted_N = cnnsearch.load(weights)(test.images_NCHW / 255).argmax(1)
    return [place for place, right in enumerate((predicted_N == test.labels_N).tolist()) if not right]


def test_a_verdict_is_shown_in_short(finished: tuple[Path, str]) -> None:
    found = decided(history.read(finished[0]))
    assert found
    assert repr(found) == f"<Verdict: {found.winner.entrant} wins, of {len(found.rows)} entrants>"
    assert repr(found.winner).startswith(f"<Row {found.winner.entrant}: ")


def test_the_page_tells_the_finals(finished: tuple[Path, str]) -> None:
    page = (finished[0] / "report.html").read_text()
    assert "<h2>The finals</h2>" in page
    assert "The test images were opened once." in page
    assert "<h2>Smaller networks</h2>" in page


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


def test_finals_that_were_cut_are_not_told_as_if_they_were_over(judged: Path) -> None:
    found = history.read(judged)._replace(tested=())
    assert decided(found) is None
    page = as_page(found)
    assert "The winner of the finals" not in page
    assert "The finals are not over; so far trial" in page
    assert "The winner, layer by layer" not in page


def test_the_page_tells_how_the_winner_was_trained(judged: Path) -> None:
    run = history.read(judged)
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
    judged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = history.read(judged)
    found = decided(run)
    assert found
    other = next(row for row in found.rows[1:] if row.trial and row.against)
    monkeypatch.setattr(smaller, "as_good", lambda _: Tie(other.trial, 0.01, 3))
    law = "(95 %, 3 degrees of freedom, by trainings at least as long)"
    for gained, told in ((1, f"{law}; the test images tell it from the winner (p: 0.03)."), (30, f"{law}.")):
        rows = tuple(row._replace(against=Against(15, gained, 0.03)) if row is other else row for row in found.rows)
        monkeypatch.setattr(smaller, "decided", lambda _, rows=rows: found._replace(rows=rows))
        assert next(smaller.sentences(run)).endswith(told)


def test_a_candidate_that_reads_more_with_fewer_seeds_is_named(judged: Path) -> None:
    found = history.read(judged)
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


def test_a_failed_training_is_named_and_nobody_advised_to_train_it_again(judged: Path) -> None:
    found = history.read(judged)
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


def test_a_failed_baseline_is_named_until_it_is_trained_by_another_recipe(judged: Path) -> None:
    found = history.read(judged)
    over = next(each for each in found.retrained if each.entrant == "hand-made network")
    assert over.recipe
    slower = over.recipe.model_copy(update={"learning_rate": over.recipe.learning_rate / 2})
    broken = over.model_copy(update={"state": "failed", "reason": "timeout: 9 s", "accuracies": (), "recipe": slower})
    assert failed(found._replace(retrained=(*found.retrained, broken))) == [broken]
    assert failed(found._replace(retrained=(broken, *found.retrained))) == []


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
        " dead worker, a timeout or for want of memory; else try other --finals.epochs or a longer search"
    )
    assert law in said
    with record.own(folder) as to:
        to.append(broken.model_copy(update={"reason": "out of memory: no"}))
    way_out = f"python -m cnnsearch.evaluate {folder} may take --workers 1 or another --device"
    assert way_out in lacking(history.read(folder))


def test_an_export_of_other_weights_than_the_winners_is_told(judged: Path) -> None:
    (judged / "export").mkdir()
    exported = judged / "export/weights.safetensors"
    shutil.copyfile(judged / "winner/weights.safetensors", exported)
    assert "export/" not in as_page(history.read(judged))
    exported.write_bytes(b"of a former winner")
    law = "export/ holds other weights, of before; python -m cnnsearch.export"
    assert escape(f"{law} {judged} writes the winner's.") in as_page(history.read(judged))
