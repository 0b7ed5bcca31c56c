"""What decides a study, how a plan is refused, and what its name says."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from commands import ROOT

from cnnsearch.completed import finals_of
from cnnsearch.datasets import FACTS
from cnnsearch.defaults import DEFAULTS
from cnnsearch.errors import InvalidSpecError
from cnnsearch.holes import sites
from cnnsearch.objectives import Aim
from cnnsearch.parts import Limits, Pruner
from cnnsearch.plan import Plan
from cnnsearch.plan_file import imports_of, read_plan, with_start_networks
from cnnsearch.sameness import decisive, differences
from cnnsearch.space import uniformly
from cnnsearch.text import Plain, read_file

CONV: dict[str, Any] = {"out_channels": 8, "kernel_size": 3}
BLOCK: dict[str, Any] = {"conv": CONV}
SPACE: dict[str, Any] = {"blocks": [{"conv": {**CONV, "out_channels": {"choice": [4, 8]}}}]}
START: dict[str, Any] = {
    "input": {"channels": 1, "height": 8, "width": 8},
    "blocks": [{"conv": CONV}],
    "classes": 10,
}


def plan_of(**fields: object) -> Plan:
    return Plan.model_validate({"dataset": "digits", "space": SPACE, **fields})


def refusal(**fields: object) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        plan_of(**fields)
    return str(caught.value)


@pytest.mark.parametrize("dataset", list(DEFAULTS))
def test_the_committed_plan_of_a_data_set_is_its_default(dataset: str) -> None:
    plan = read_plan(ROOT / f"studies/{dataset}.yaml")
    assert plan.stored() == Plan.model_validate({"dataset": dataset}).stored()
    assert read_file(ROOT / f"studies/{dataset}.yaml") == {"dataset": dataset, **DEFAULTS[dataset]}


def test_mnist_8k_keeps_the_assignments_laws() -> None:
    plan = read_plan(ROOT / "studies/mnist_8k.yaml")
    assert plan.limits.max_parameters == 7_999
    candidates = [plan.draw(uniformly(random.Random(seed))) for seed in range(50)]
    assert all(candidate.network.head.hidden == () for candidate in candidates)
    assert all(candidate.recipe.epochs <= 15 for candidate in candidates)
    assert all(candidate.network.cost.parameters <= 7_999 for candidate in candidates)


def test_an_empty_plan_is_the_default_study_of_mnist() -> None:
    plan = Plan.model_validate({})
    assert (plan.dataset, plan.budget.trials, plan.seed) == ("mnist", 50, 0)
    assert plan.space == DEFAULTS["mnist"]["space"]


def test_a_given_space_is_taken_whole_and_a_given_recipe_field_by_field() -> None:
    plan = plan_of(recipe={"batch_size": 64})
    assert plan.space == SPACE
    assert plan.recipe == {**DEFAULTS["digits"]["recipe"], "batch_size": 64}


def test_given_epochs_do_not_take_restarts_that_were_fitted_to_others() -> None:
    assert DEFAULTS["digits"]["recipe"]["restarts"] == [5]
    assert plan_of(recipe={"epochs": 6}).recipe == {**DEFAULTS["digits"]["recipe"], "epochs": 6, "restarts": []}
    both = {"epochs": 6, "restarts": [2]}
    assert plan_of(recipe=both).recipe == {**DEFAULTS["digits"]["recipe"], **both}


def test_what_two_checks_find_is_told_once() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        plan_of(objectives={"validation_accuracy": {"at_least": 0.9}}, budget={"until_flat": True})
    assert str(caught.value).count("with a floor the cheapest network wins") == 1


def test_given_epochs_do_not_take_a_stopping_that_was_fitted_to_others() -> None:
    usual = Plan.model_validate({}).pruner
    assert (usual.kind, usual.keep) == ("successive", 0.08)
    given: dict[str, Any] = {"recipe": {"epochs": 6}}
    assert Plan.model_validate(given).pruner == Pruner()
    assert Plan.model_validate({**given, "pruner": {"rungs": [2]}}).pruner == Pruner(rungs=(2,))
    assert Plan.model_validate({"pruner": {"rungs": [2]}}).pruner == usual.model_copy(update={"rungs": (2,)})


def test_a_given_space_does_not_take_limits_that_were_fitted_to_another() -> None:
    space = {"blocks": [{"conv": {"out_channels": 8, "kernel_size": 3}}]}
    assert Plan.model_validate({}).limits.max_macs == DEFAULTS["mnist"]["limits"]["max_macs"]
    assert Plan.model_validate({"space": space}).limits == Limits()
    assert Plan.model_validate({"space": space, "limits": {"max_parameters": 999}}).limits == Limits(max_parameters=999)
    assert Plan.model_validate({"limits": {"max_parameters": 99_999}}).limits.max_macs is not None


def test_input_and_classes_follow_from_the_data_set() -> None:
    network = plan_of(recipe={"learning_rate": 0.01}).draw(lambda _: 0).network
    assert (network.input.shape, network.classes) == (FACTS["digits"].shape, 10)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"dataset": "mnits"},
            ("dataset: 'mnits' is neither 'mnist' nor 'digits', and no folder or .npz file of that name is there; "
            "perhaps you meant 'mnist'"),
        ),
        ({"recipy": {}}, "recipy: unknown key; perhaps you meant 'recipe'"),
        ({"trials": 5}, "trials: unknown key; perhaps you meant 'budget.trials'"),
        ({"seeds": 5}, "seeds: unknown key; perhaps you meant 'seed' or 'finals.seeds'"),
        (
            {"budget": {"timeout": 5}},
            (
                "budget.timeout: unknown key; a limit of time is `minutes` of the budget for a search,"
                " `trial_minutes` for one training"
            ),
        ),
        ({"epochs": 5}, "epochs: unknown key; perhaps you meant 'finals.epochs' or 'recipe.epochs'"),
        ({"blocks": []}, "blocks: unknown key; perhaps you meant 'space.blocks'"),
        (
            {"kind": "tpe"},
            "kind: unknown key; perhaps you meant 'sampler.kind' or 'pruner.kind' or 'executor.kind'",
        ),
        ({"recipe": {"lr": 0.1}}, "recipe.lr: unknown key; perhaps you meant 'learning_rate'"),
        (
            {"dataset": "MNIST"},
            ("dataset: 'MNIST' is neither 'mnist' nor 'digits', and no folder or .npz file of that name is there; "
            "perhaps you meant 'mnist'"),
        ),
        (
            {"recipe": {"choice": [{"epochs": 1}, {"epochs": 2}]}},
            "recipe: holes stand within it, and not in its place, as in recipe: {epochs: {choice: [1, 2]}}",
        ),
        (
            {"space": {"choice": [{"blocks": []}]}},
            "space: holes stand within it, and not in its place, as in space: {blocks: {choice: [...]}}",
        ),
        ({"sampler": "tpe"}, "sampler: must be a mapping such as {kind: ...}, not 'tpe'"),
        ({"seed": "0"}, "seed: input should be a valid integer, not '0'; write it without quotation marks"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0, not -1"),
        ({"budget": {"trials": 0}}, "budget.trials: input should be greater than or equal to 1, not 0"),
        ({"budget": {"minutes": 0}}, "budget.minutes: input should be greater than 0, not 0"),
        ({"pruner": {"rungs": [1, 0]}}, "pruner.rungs[1]: input should be greater than or equal to 1, not 0"),
        (
            {"pruner": {"rungs": [5, 3, 5]}},
            "pruner.rungs: each must be later than the one before, not [5, 3, 5]; sort them, each once",
        ),
        (
            {"finals": {"baselines": ["majority", "majority"]}},
            ("finals.baselines: each can take part once, not ['majority', 'majority']; leave out those that stand"
             " twice"),
        ),
        (
            {"limits": {"max_latency": 1}},
            ("limits.max_latency: unknown key; no limit keeps a time, which is measured; seek it to be small with "
            "objectives: {latency: {}}"),
        ),
        ({"budget": {"trials": 5.0}}, "budget.trials: input should be a valid integer, not 5.0; perhaps you meant 5"),
        (
            {"dataset": "there_is_none.npy"},
            ("dataset: 'there_is_none.npy' is neither 'mnist' nor 'digits', and no folder or .npz file of that name is "
            "there; numpy.savez writes one, with the arrays `images` and `labels`"),
        ),
        ({"limits": {"max_macs": 1.5}}, "limits.max_macs: input should be a valid integer, not 1.5"),
        (
            {"name": "a/b"},
            ("name: must be a folder's name of at most 100 letters, digits, dots, dashes and underscores, the first of"
            " them a letter or digit, not 'a/b'; --runs says where the folder stands"),
        ),
        (
            {"recipe": {"optimizer": "AdamW"}},
            "recipe.optimizer: input should be 'adamw', 'sgd' or 'muon', not 'AdamW'; perhaps you meant 'adamw'",
        ),
        ({"space": []}, "space: must be a mapping of keys to values, not []"),
        ({"space": {}}, "space.blocks: missing; this key must be given"),
        (
            {"space": {"blocks": [{"conv": {**CONV, "kernel_size": {"choice": []}}}]}},
            "space.blocks[0].conv.kernel_size: choice takes a list of at least one option, and neither log nor step",
        ),
        (
            {"space": {"blocks": [{"conv": {**CONV, "out_channels": {"choice": [8, 0]}}}]}},
            "space.blocks[0].conv.out_channels.choice[1]: input should be greater than or equal to 1, not 0",
        ),
        (
            {"space": {"blocks": [{"kind": {"choice": ["plain", "plane"]}, "conv": CONV}]}},
            ("space.blocks[0].kind.choice[1]: 'plane' is no registered kind of block (known: plain, residual, "
            "separable); perhaps you meant 'plain', or import the module that registers it first (--import, or "
            "`imports` in a plan file)"),
        ),
        (
            {"space": {**SPACE, "input": START["input"], "classes": 10}},
            ("space.classes: follows from the data set 'digits'; leave it out\n"
            "space.input: follows from the data set 'digits'; leave it out"),
        ),
        (
            {"recipe": {"epochs": {"int": [1.0, 2.0]}}},
            ("recipe.epochs.int: must be [lowest, highest], two int numbers, not [1.0, 2.0]"),
        ),
        (
            {"recipe": {"epochs": {"choice": [1, 0]}}},
            "recipe.epochs.choice[1]: input should be greater than or equal to 1, not 0",
        ),
        ({"recipe": {"epoch": 3}}, "recipe.epoch: unknown key; perhaps you meant 'epochs'"),
        (
            {"recipe": {"label_smoothing": {"float": [0.0, 1.0]}}},
            "recipe.label_smoothing: input should be less than 1, not 1.0",
        ),
        (
            {"start": [START, {**START, "classes": 5}]},
            "start[1]: takes 1x8x8 images of 5 classes, but digits has 1x8x8 images of 10; change input and classes",
        ),
        (
            {"start": [{**START, "input": {"channels": 1, "height": 28, "width": 28}}]},
            "start[0]: takes 1x28x28 images of 10 classes, but digits has 1x8x8 images of 10; change input and classes",
        ),
        (
            {"start": [{**START, "blocks": []}]},
            "start[0].blocks: must have from 1 to 64 items, not 0",
        ),
        (
            {"data": "abc"},
            (f"data: the plan was made for data with SHA-256 abc, but digits has {FACTS['digits'].sha256};"
            " leave `data` out to plan anew"),
        ),
    ],
    ids=lambda value: json.dumps(value)[:60],
)  # fmt: skip
def test_a_fault_is_refused_with_its_place_and_law(fields: dict[str, Any], said: str) -> None:
    assert refusal(**fields) == said


def test_faults_of_several_fields_are_said_together() -> None:
    assert len(refusal(dataset="mnits", seed=-1, name="").splitlines()) == 3


def test_an_unknown_key_hides_no_fault_below_another() -> None:
    space = {"blocks": [{"conv": {"out_channels": {"choise": [4, 8]}, "kernel_size": 1}}]}
    with pytest.raises(InvalidSpecError) as error:
        Plan.model_validate({"seet": 1, "space": space})
    law = "input should be a valid integer, not {'choise': [4, 8]}; perhaps you meant 'choice'"
    assert [str(fault) for fault in error.value.faults] == [
        f"space.blocks[0].conv.out_channels: {law}",
        "seet: unknown key; perhaps you meant 'seed'",
    ]


NUMBER = "input should be a valid integer, not"
CHOICE = "a choice in a space is written"
PAIR = "must be a whole number or a [height, width] pair of them, not"


@pytest.mark.parametrize(
    ("conv", "law"),
    [
        (
            {"out_channels": [8, 16]},
            f'out_channels: {NUMBER} [8, 16]; {CHOICE} {{"choice": [8, 16]}}, a range {{"int": [8, 16]}}',
        ),
        (
            {"kernel_size": [3, 5, 7]},
            f'kernel_size: {PAIR} [3, 5, 7]; {CHOICE} {{"choice": [3, 5, 7]}}',
        ),
        (
            {"out_channels": {"min": 8, "max": 16}},
            f"out_channels: {NUMBER} {{'max': 16, 'min': 8}}; a range in a space is written {{\"int\": [8, 16]}}",
        ),
    ],
)
def test_what_is_meant_for_a_hole_is_told_how_one_is_written(conv: dict[str, Any], law: str) -> None:
    space = {"blocks": [{"conv": {"out_channels": 8, "kernel_size": 1, **conv}}]}
    assert refusal(space=space) == f"space.blocks[0].conv.{law}"


def test_no_hole_is_offered_where_none_may_stand() -> None:
    assert refusal(budget={"trials": [10, 20]}) == f"budget.trials: {NUMBER} [10, 20]"


def test_a_secret_that_looks_like_a_choice_is_not_shown() -> None:
    assert "hunter2" not in refusal(storage=["postgresql://me:hunter2@host/db"])


@pytest.mark.parametrize("data", [None, [], "mnist", 3])
def test_what_is_no_mapping_is_no_plan(data: object) -> None:
    with pytest.raises(InvalidSpecError, match=r"must be a mapping such as \{dataset: \.\.\.\}"):
        Plan.model_validate(data)


def test_start_networks_named_by_file_are_read_beside_the_plan(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text(json.dumps(START))
    (tmp_path / "plan.yaml").write_text("dataset: digits\nstart: [net.json]\n")
    (network,) = read_plan(tmp_path / "plan.yaml").start
    assert network.cost.parameters == 186


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none.json", "cannot be read (No such file or directory); check the path"),
        ("torn.json", "line 1, column 2: not JSON: Expecting property name enclosed in double quotes"),
    ],
)
def test_a_start_network_that_cannot_be_read_is_refused(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "torn.json").write_text("{")
    (tmp_path / "plan.yaml").write_text(f"dataset: digits\nstart: [{name}]\n")
    with pytest.raises(InvalidSpecError) as caught:
        read_plan(tmp_path / "plan.yaml")
    assert str(caught.value) == f"{tmp_path / 'plan.yaml'}: start[0]: {tmp_path / name}: {said}"


NO_MODULE = "ModuleNotFoundError: No module named 'no'"
FROM = "from the folder it lies in"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("buget: {trials: 5}", "buget: unknown key; perhaps you meant 'budget'"),
        ("budget: {trials: 5", "line 1, column 19: not YAML: expected ',' or '}', but got '<stream end>'"),
        ("imports: ['no']", f"imports: 'no' cannot be imported ({NO_MODULE}); give it as `import` would, {FROM}"),
    ],
)
def test_a_fault_of_a_plan_file_is_told_with_the_file(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(content)
    with pytest.raises(InvalidSpecError) as caught:
        read_plan(tmp_path / "plan.yaml")
    assert str(caught.value) == f"{tmp_path / 'plan.yaml'}: {said}"


def test_a_files_name_is_told_once_however_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s").write_text('{"space": 3}')
    for name, said in (("./no.yaml", "no.yaml: cannot be read"), ("s", "s: space: ")):
        with pytest.raises(InvalidSpecError) as caught:
            read_plan(name)
        assert str(caught.value).startswith(said)


def test_a_candidate_keeps_what_was_asked_and_what_was_built() -> None:
    plan = plan_of(recipe={"epochs": {"int": [2, 4]}, "learning_rate": 0.01})
    candidate = plan.draw(lambda _: 1)
    assert candidate.asked == {"blocks[0].conv.out_channels": 1, "recipe.epochs": 1}
    assert candidate.built == {"blocks[0].conv.out_channels": 8, "recipe.epochs": 3}
    assert candidate.recipe.epochs == 3


def test_every_hole_of_space_and_recipe_is_known() -> None:
    plan = plan_of(recipe={"epochs": {"int": [2, 4]}, "learning_rate": 0.01})
    assert [hole.name for hole in plan.holes] == ["blocks[0].conv.out_channels", "recipe.epochs"]
    assert all(site.needs == {} for site in sites(plan.recipe_tree))


def test_a_start_network_gets_the_middle_of_the_recipes_holes() -> None:
    rate = {"float": [0.001, 0.1], "log": True}
    plan = plan_of(
        start=[START], recipe={"epochs": {"int": [2, 4]}, "learning_rate": rate, "momentum": {"float": [0.0, 0.8]}}
    )
    candidate = plan.start_with(plan.start[0])
    assert (candidate.recipe.epochs, candidate.recipe.momentum) == (3, 0.4)
    assert candidate.recipe.learning_rate == pytest.approx(0.01)
    assert candidate.asked == {}


def test_candidates_are_equal_when_they_compute_the_same() -> None:
    plan = plan_of(recipe={"epochs": 2, "learning_rate": 0.01, "momentum": {"choice": [0.1, 0.9]}})
    one, other = (plan.draw(lambda hole, i=index: i * hole.name.endswith("momentum")) for index in (0, 1))
    assert one.recipe != other.recipe  # but AdamW does not use momentum
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != plan.draw(lambda _: 1).fingerprint


def test_limits_say_by_how_much_they_are_exceeded() -> None:
    cost = plan_of(start=[START]).start[0].cost
    assert Limits().excess(cost) == {}
    limits = Limits(
        max_parameters=93, max_macs=cost.macs, max_weight_bytes=2 * cost.weight_bytes, max_activation_bytes=1
    )
    assert limits.excess(cost) == {
        "parameters": 1.0,
        "macs": 0.0,
        "weight_bytes": -0.5,
        "activation_bytes": cost.activation_bytes - 1,
    }


DECIDING: dict[str, Any] = {
    "space": {"blocks": [{"conv": CONV}]},
    "recipe": {"epochs": 3},
    "objectives": {"parameters": {}},
    "limits": {"max_parameters": 1000},
    "sampler": {"kind": "random"},
    "pruner": {"keep": 0.5},
    "repeats": "seed",
    "seed": 1,
    "start": [START],
    "imports": ["json"],
}
LATER = {"objectives", "repeats"}  # fields that plans of the first runs did not have
INDECISIVE: dict[str, Any] = {
    "budget": {"trials": 80, "minutes": 3.0},
    "finals": {"epochs": 9, "seeds": 5},
    "executor": {"workers": 7, "device": "cuda"},
    "name": "other",
    "runs": "elsewhere",
    "storage": "sqlite:///elsewhere.db",
    "data_root": "/elsewhere",
}
BY_THE_DATA = {"dataset", "data", "image"}  # what images there are is in the hash, whatever they were made from


@pytest.mark.parametrize("field", list(DECIDING))
def test_what_decides_the_results_changes_the_fingerprint(field: str) -> None:
    assert plan_of(**{field: DECIDING[field]}).fingerprint != plan_of().fingerprint


@pytest.mark.parametrize("field", list(INDECISIVE))
def test_where_and_how_long_a_study_runs_leaves_the_fingerprint(field: str) -> None:
    changed = plan_of(**{field: INDECISIVE[field]})
    assert changed != plan_of()
    assert changed.fingerprint == plan_of().fingerprint


def test_every_field_of_a_plan_is_known_to_decide_or_not() -> None:
    assert {*DECIDING, *INDECISIVE, *BY_THE_DATA} == set(Plan.model_fields)
    later = {field: DECIDING[field] for field in LATER}
    assert decisive(plan_of(**later).stored()).keys() == {*DECIDING, "dataset", "data"}


def test_a_plan_of_before_there_was_a_field_is_the_same_as_one_that_says_nothing_of_it() -> None:
    now = plan_of().stored()
    before = {field: value for field, value in now.items() if field not in LATER}
    assert Plan.model_validate(before) == Plan.model_validate(now)
    assert list(differences(before, now)) == []
    assert plan_of().fingerprint == plan_of(objectives={"validation_accuracy": {}}).fingerprint


@pytest.mark.parametrize("said", [None, {}, {"at_least": None}])
def test_an_objective_of_which_nothing_is_asked_may_be_written_as_one_likes(said: object) -> None:
    plan = plan_of(objectives={"macs": said})
    assert list(plan.objectives) == ["validation_accuracy", "macs"]
    assert plan.aim == Aim(costs=("macs",))


FLOOR = (
    "objectives.validation_accuracy.at_least: with a floor the cheapest network wins, so exactly 1 cost must be named "
    "beside it, such as `parameters: {}`"
)
NAMES = "'validation_accuracy', 'parameters', 'macs', 'weight_bytes', 'activation_bytes' or 'latency'"


NO_FLOOR = "a cost has no floor; what no network may exceed stands in `limits`, as max_parameters"


@pytest.mark.parametrize(
    ("objectives", "law"),
    [
        ({"validation_accuracy": {"at_least": 0.99}}, f"{FLOOR}, not 0 (none)"),
        (
            {"validation_accuracy": {"at_least": 0.99}, "macs": {}, "parameters": {}},
            f"{FLOOR}, not 2 (parameters, macs)",
        ),
        (
            {"parameters": {"at_least": 5}},
            f"objectives.parameters.at_least: {NO_FLOOR}",
        ),
        (
            {"parameters": {"at_least": 0.5}},
            f"objectives.parameters.at_least: {NO_FLOOR}",
        ),
        ({"speed": {}}, f"objectives.speed: input should be {NAMES}, not 'speed'"),
        (
            {"parameter": {}},
            f"objectives.parameter: input should be {NAMES}, not 'parameter'; perhaps you meant 'parameters'",
        ),
        (
            {"validation_accuracy": {"at_least": 99}},
            "objectives.validation_accuracy.at_least: is a fraction, at most 1, not 99; 99 % is written 0.99",
        ),
        (["parameters"], "objectives: must be a mapping of keys to values, not ['parameters']"),
    ],
)
def test_objectives_that_make_no_sense_are_refused(objectives: object, law: str) -> None:
    with pytest.raises(InvalidSpecError) as error:
        plan_of(objectives=objectives)
    assert str(error.value) == law


def test_the_data_set_and_its_hash_are_in_the_fingerprint() -> None:
    assert plan_of().stored()["data"] == FACTS["digits"].sha256
    assert plan_of().fingerprint != Plan.model_validate({"space": SPACE}).fingerprint


def test_a_default_written_out_leaves_the_fingerprint() -> None:
    written_out = Plan.model_validate({"dataset": "digits"}).stored()
    assert Plan.model_validate(written_out).fingerprint == Plan.model_validate({"dataset": "digits"}).fingerprint


def test_a_run_is_named_by_data_set_and_fingerprint_or_as_asked() -> None:
    plan = plan_of()
    assert plan.run_name == f"digits-{plan.fingerprint}"
    assert len(plan.fingerprint) == 8
    assert plan_of(name="mine", runs="all").folder == Path("all/mine")


def test_a_stored_plan_keeps_no_password() -> None:
    stored = plan_of(storage="postgresql://me:secret@host/studies").stored()
    assert stored["storage"] == "postgresql://me:***@host/studies"
    assert "secret" not in json.dumps(stored)


def test_differences_are_said_by_place() -> None:
    before = plan_of(recipe={"epochs": 2}).stored()
    now = plan_of(recipe={"epochs": 3, "momentum": 0.5}, seed=4, limits={"max_macs": 99_999_999}).stored()
    assert list(differences(before, now)) == [
        "recipe.epochs: 2 before, 3 now",
        "recipe.momentum: nothing before, 0.5 now",
        "limits.max_macs: null before, 99999999 now",
        "seed: 0 before, 4 now",
    ]


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"blocks": [{**BLOCK, "relu": None}, BLOCK]}, ["space.blocks[0].relu: nothing before, null now"]),
        ({"blocks": [BLOCK] * 3}, ["space.blocks: [BLOCK, BLOCK] before, [BLOCK, BLOCK, BLOCK] now"]),
        ({"blocks": [BLOCK, BLOCK], "head": {"dropout": 0}}, ["space.head.dropout: 0.0 before, 0 now"]),
    ],
)
def test_whatever_makes_another_fingerprint_is_a_difference(space: Plain, told: list[str]) -> None:
    before = plan_of(space={"blocks": [BLOCK, BLOCK], "head": {"dropout": 0.0}})
    now = plan_of(space={"head": {"dropout": 0.0}, **space})
    text = json.dumps(BLOCK, sort_keys=True)
    assert [line.replace(text, "BLOCK") for line in differences(before.stored(), now.stored())] == told
    assert before.fingerprint != now.fingerprint


def test_equal_plans_have_no_differences() -> None:
    assert list(differences(plan_of().stored(), plan_of(name="other").stored())) == []


@pytest.mark.parametrize(
    ("data", "names"),
    [({"imports": ["a", 3, "b"]}, ["a", "b"]), ({"imports": "a"}, []), ({}, []), ([], []), (None, [])],
)
def test_imports_are_found_in_plans_not_yet_checked(data: Plain, names: list[str]) -> None:
    assert imports_of(data) == names


def test_faults_of_every_part_of_a_plan_come_at_once() -> None:
    start = {"input": {"channels": 1, "height": 9, "width": 9}, "blocks": [{"conv": CONV}], "classes": 10}
    data = {
        "dataset": "digits",
        "data": "other",
        "storage": "no url",
        "space": {"blocks": [{"conv": {"out_channels": 0, "kernel_size": 3}}]},
        "recipe": {"epochs": 0},
        "start": [start, {**start, "classes": 3}],
    }
    with pytest.raises(InvalidSpecError) as error:
        Plan.model_validate(data)
    places = [fault.place for fault in error.value.faults]
    assert places == [
        "data", "storage", "space.blocks[0].conv.out_channels", "recipe.epochs", "start[0]", "start[1]",
    ]  # fmt: skip


def test_all_start_networks_that_cannot_be_read_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpecError) as error:
        with_start_networks({"start": ["a.json", "b.json"]}, tmp_path)
    law = "cannot be read (No such file or directory); check the path"
    assert str(error.value) == f"start[0]: {tmp_path}/a.json: {law}\nstart[1]: {tmp_path}/b.json: {law}"


@pytest.mark.parametrize("name", ["d" * 6_000, "a\0b", "~nobody-of-this-name/x"])
def test_a_name_that_no_file_can_have_is_no_data_set(name: str) -> None:
    with pytest.raises(InvalidSpecError, match="is neither 'mnist' nor 'digits', and no folder or"):
        Plan.model_validate({"dataset": name})


def test_another_kind_of_stopping_takes_its_own_share() -> None:
    assert Plan.model_validate({}).pruner.keep == 0.08
    assert Plan.model_validate({"pruner": {"kind": "successive"}}).pruner.keep == 0.08
    assert Plan.model_validate({"pruner": {"kind": "halving"}}).pruner == Pruner(kind="halving", rungs=(1,))


def test_a_home_may_be_named_by_its_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert Plan.model_validate({"runs": "~/runs", "name": "x"}).folder == Path("/somewhere/runs/x")


def test_a_hole_where_none_may_stand_is_told_so() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        Plan.model_validate({"seed": {"int": [0, 3]}})
    assert str(caught.value) == "seed: input should be a valid integer, not {'int': [0, 3]}; no hole may stand here"


@pytest.mark.parametrize(("recipe", "epochs"), [({}, 14), ({"epochs": 8}, None)])
def test_a_run_without_finals_has_the_usual_ones_where_it_has_the_usual_schedule(
    recipe: dict[str, int], epochs: int | None
) -> None:
    stored = Plan.model_validate({"dataset": "mnist", "recipe": recipe, "finals": None}).stored()
    assert stored["recipe"]["epochs"] == 8
    assert finals_of(stored).get("epochs") == epochs
