"""How a command line becomes a plan: flag over file over default, and errors that say what to write."""

from pathlib import Path
from typing import Any

import pytest
from commands import heavy_imports, python
from pydantic import BaseModel

from cnnsearch.docstrings import docstrings
from cnnsearch.errors import InvalidSpecError
from cnnsearch.parts import Finals
from cnnsearch.plan import Plan
from cnnsearch.recipe import Recipe
from cnnsearch.study.__main__ import main
from cnnsearch.study.flags import SHORT, read_command
from cnnsearch.text import Plain


def fields(word: type[BaseModel], prefix: str = "") -> dict[str, str | None]:
    """Give the name of every field with its docstring, those of words within a word by their dotted name."""
    words: dict[str, Any] = {name: field.annotation for name, field in word.model_fields.items()}
    words |= {"recipe": Recipe} if "recipe" in words else {}
    words |= {"finals": Finals} if "finals" in words else {}
    inner = {name: kind for name, kind in words.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}
    own = {f"{prefix}{name}": docstrings(word).get(name) for name in words if name not in inner}
    return own | {path: text for name, kind in inner.items() for path, text in fields(kind, f"{prefix}{name}.").items()}


FIELDS = {
    name: text for name, text in fields(Plan).items() if name != "data"
}  # the data's hash is found, not asked for
VALUES: dict[str, tuple[str, Plain]] = {
    "dataset": ("digits", "digits"),
    "space": ("{blocks: [{conv: {out_channels: 8, kernel_size: {choice: [1, 3]}}}]}", ...),
    "recipe.epochs": ("{int: [2, 4]}", {"int": [2, 4]}),
    "recipe.learning_rate": ("{float: [1e-3, 0.1], log: true}", {"float": [0.001, 0.1], "log": True}),
    "recipe.augmentation": ("null", None),
    "recipe.restarts": ("[1, 3]", [1, 3]),
    "recipe.optimizer": ("{choice: [sgd, adamw]}", {"choice": ["sgd", "adamw"]}),
    "limits.max_parameters": ("80000", 80000),
    "budget.trials": ("7", 7),
    "budget.minutes": ("0.5", 0.5),
    "budget.trial_minutes": ("2", 2),
    "budget.until_flat": ("false", False),
    "pruner.rungs": ("[1, 2]", [1, 2]),
    "finals.epochs": ("9", 9),
    "finals.baselines": ("[lenet5]", ["lenet5"]),
    "seed": ("3", 3),
    "name": ("2026", "2026"),
    "imports": ("json", ["json"]),
    "executor.workers": ("2", 2),
    "executor.device": ("cpu", "cpu"),
    "storage": ("sqlite:///x.db", "sqlite:///x.db"),
}


def at(plan: Plain, path: str) -> Plain:
    for key in path.split("."):
        plan = plan[key]
    return plan


def refusal(*arguments: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit, match="2"):
        read_command(arguments)
    return capsys.readouterr().err.splitlines()[-1]


@pytest.fixture
def helped(capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit, match="0"):
        read_command(["--help"])
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("path", list(FIELDS))
def test_every_field_has_a_flag_that_says_what_it_means(path: str, helped: str) -> None:
    assert f"--{path.replace('_', '-')} " in helped.replace("--import ", "--imports ")
    docstring = FIELDS[path]
    assert docstring
    assert " ".join(docstring.split()) in helped


@pytest.mark.parametrize("path", list(SHORT))
def test_a_short_flag_means_its_field(path: str) -> None:
    text, _ = VALUES[path]
    assert read_command([SHORT[path], text]) == read_command([f"--{path.replace('_', '-')}", text])


def test_a_switch_may_stand_alone() -> None:
    assert read_command(["--until-flat"]) == read_command(["--until-flat", "true"])
    assert at(read_command(["--until-flat"]).plan, "budget.until_flat") is True


@pytest.mark.parametrize(("path", "text", "value"), [(path, *pair) for path, pair in VALUES.items() if path != "space"])
def test_a_flags_value_is_read_as_in_a_file(path: str, text: str, value: Plain) -> None:
    plan = read_command([f"--{path.replace('_', '-')}", text]).plan
    assert at(plan, path) == value
    Plan.model_validate(plan)


def test_a_flag_stands_over_the_file_and_the_file_over_the_default(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("dataset: digits\nrecipe: {epochs: 3, batch_size: 64}\nbudget: {trials: 9}\n")
    plan = Plan.model_validate(read_command([str(file), "--recipe.epochs", "4", "--seed", "5"]).plan)
    assert plan.recipe["epochs"] == 4
    assert plan.recipe["batch_size"] == 64
    assert (plan.seed, plan.budget.trials, plan.sampler.kind) == (5, 9, "tpe")


def test_a_list_is_given_by_one_flag_an_item(tmp_path: Path) -> None:
    network = '{"input": {"channels": 1, "height": 8, "width": 8}, "classes": 10, "blocks": [%s]}'
    (tmp_path / "one.json").write_text(network % '{"conv": {"out_channels": 1, "kernel_size": 1}}')
    (tmp_path / "two.json").write_text(network % '{"conv": {"out_channels": 2, "kernel_size": 1}}')
    arguments = [f"--start={tmp_path / name}.json" for name in ("one", "two")]
    plan = Plan.model_validate(
        read_command([*arguments, "--dataset", "digits", "--import", "json", "--import", "csv"]).plan
    )
    assert [str(network) for network in plan.start] == ["1(1x1), average", "2(1x1), average"]
    assert plan.imports == ("json", "csv")


def test_null_takes_back_what_a_file_names(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("dataset: digits\nname: x\ndata_root: root\nexecutor: {device: cuda}\n")
    flags = ["--name", "null", "--data-root", "null", "--device", "null"]
    plan = read_command([str(file), *flags]).plan
    assert (plan["name"], plan["data_root"], plan["executor"]["device"]) == (None, None, None)


def test_a_command_says_whether_it_names_a_data_set(tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("dataset: mnist\n")
    assert not read_command([]).names_dataset
    assert read_command(["--dataset", "mnist"]).names_dataset
    assert read_command([str(file)]).names_dataset


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--trails", "5"], "there is no flag --trails; perhaps you meant --trials"),
        (
            ["--recipe.learning_rate=3"],
            "there is no flag --recipe.learning_rate; perhaps you meant --recipe.learning-rate",
        ),
        (["--epochs", "3"], "there is no flag --epochs; perhaps you meant --recipe.epochs"),
        (["--zzz"], "there is no flag --zzz; --help lists all flags"),
        (["a.yaml", "b.yaml"], "'b.yaml' is one plan too many; give one file"),
        (["--seed"], "argument --seed: expected one argument"),
        (
            ["--until-flat", "a.yaml"],
            "--until-flat takes true or false, or nothing for true, not 'a.yaml'; a plan stands before the flags",
        ),
    ],
    ids=str,
)
def test_an_unknown_flag_is_answered_with_the_nearest(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(*arguments, capsys=capsys) == f"python -m cnnsearch.study: error: {said}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "{a"], "--seed: line 1, column 3: not YAML: expected ',' or '}', but got '<stream end>'"),
        (
            ["--seed", "{a: 1, a: 2}"],
            "--seed: line 1, column 8: the key 'a' stands twice in one object; keep one of them",
        ),
        (["--recipe.momentum", ".nan"], "--recipe.momentum: nan is no number to reckon with; write a finite one"),
        (
            ["digits"],
            "digits: cannot be read (No such file or directory); check the path; a data set is named by --dataset",
        ),
        (["mine.npz"], "mine.npz: no plan but images; a data set is named by --dataset"),
        (["none.yaml"], "none.yaml: cannot be read (No such file or directory); check the path"),
        (["--start", "none.json"], "start[0]: none.json: cannot be read (No such file or directory); check the path"),
    ],
    ids=str,
)
def test_a_value_that_cannot_be_read_is_refused_by_its_flag(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidSpecError) as caught:
        read_command(arguments)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "'3'"], "seed: input should be a valid integer, not '3'; write it without quotation marks"),
        (
            ["--recipe.epochs", "{choice: []}"],
            "recipe.epochs: choice takes a list of at least one option, and neither log nor step",
        ),
        (["--pruner.rungs", "3"], "pruner.rungs: must be a list in brackets, not 3"),
        (
            ["--device", "tpu"],
            "executor.device: 'tpu' is no device; write 'cpu', 'cuda' for all GPUs, or 'cuda:0' for the first",
        ),
        (
            ["--import", "nowhere"],
            (
                "imports: 'nowhere' cannot be imported (ModuleNotFoundError: No module named 'nowhere'); "
                "give it as `import` would, from the folder it lies in"
            ),
        ),
    ],
    ids=str,
)
def test_a_bad_value_ends_the_command_with_its_place(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--dry-run", "--dataset", "digits", *arguments]) == 2
    assert capsys.readouterr().err == f"{said}\n"


@pytest.mark.parametrize("content", ["[1, 2]", "mnist", "3"])
def test_a_file_that_is_no_mapping_is_refused_even_with_flags(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(content)
    assert main(["--dry-run", str(file), "--seed", "3"]) == 2
    assert capsys.readouterr().err.startswith(
        f"{file} with the flags given: no valid plan\n  must be a mapping such as {{dataset: ...}}, not "
    )


def test_what_stands_in_the_way_of_a_flag_is_refused_by_the_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text("dataset: digits\nbudget: 5\n")
    assert main(["--dry-run", str(file), "--trials", "3"]) == 2
    assert capsys.readouterr().err == (
        f"{file} with the flags given: no valid plan\n  budget: must be a mapping such as {{trials: ...}}, not 5\n"
    )


def test_a_bad_file_imports_nothing_heavy_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("dataset: mnits\n")
    said = python(["-X", "importtime", "-m", "cnnsearch.study", "plan.yaml"], tmp_path)
    assert said.returncode == 2
    law = "is neither 'mnist' nor 'digits', and no folder or .npz file of that name is there; perhaps you meant 'mnist'"
    assert said.stderr.splitlines()[-1] == f"  dataset: 'mnits' {law}"
    assert heavy_imports(said.stderr) == []
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]


def test_no_finals_and_a_field_of_theirs_contradict_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        read_command(["--dataset", "digits", "--no-finals", "--finals.epochs", "20"])
    assert capsys.readouterr().err.endswith(
        "error: --no-finals and --finals.epochs contradict each other; leave one out\n"
    )


def test_no_finals_takes_them_out_of_the_plan_whatever_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("dataset: digits\nfinals: {epochs: 3}\n")
    assert Plan.model_validate(read_command([str(tmp_path / "plan.yaml"), "--no-finals"]).plan).finals is None
    assert Plan.model_validate(read_command([str(tmp_path / "plan.yaml")]).plan).finals == Finals(epochs=3)


def test_a_flag_of_the_finals_brings_them_back_into_a_plan_that_has_none(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text("dataset: digits\nfinals: null\n")
    plan = Plan.model_validate(read_command([str(tmp_path / "plan.yaml"), "--finals.epochs", "3"]).plan)
    assert plan.finals == Finals(epochs=3)


def test_a_network_or_space_is_not_taken_for_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "network.json"
    law = "a study takes a plan, in which a network may stand in `start` and a space in `space`"
    for head, noun in (("{}", "network"), ('{"dropout": {"float": [0, 0.5]}}', "space")):
        file.write_text(f'{{"blocks": [], "head": {head}}}')
        assert main(["--dry-run", str(file)]) == 2
        assert capsys.readouterr().err == f"{file}: a {noun}, not a plan\n  {law}\n"


def test_faults_of_all_flags_come_at_once() -> None:
    with pytest.raises(InvalidSpecError) as error:
        read_command(["--recipe.epochs", "[", "--seed", "*x"])
    assert [fault.place for fault in error.value.faults] == ["--recipe.epochs", "--seed"]


@pytest.mark.parametrize(
    ("content", "flags", "said"),
    [
        ("recipe: {epochs: 0}", [], "{file}: no valid plan\n  recipe.epochs: {law}\n"),
        ("{}", ["--recipe.epochs", "0"], "{file} with the flags given: no valid plan\n  recipe.epochs: {law}\n"),
        ("{", [], "{file}: not a plan\n  line 1, column 2: not YAML: {yaml}\n"),
        ("start: [x.json]", [], "{file}: not a plan\n  start[0]: {start}\n"),
    ],
)
def test_a_study_names_the_plan_file_that_is_wrong(content: str, flags: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(content)
    done = python(["-m", "cnnsearch.study", "plan.yaml", *flags, "--dry-run"], tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == said.format(
        file="plan.yaml",
        law="input should be greater than or equal to 1, not 0",
        yaml="expected the node content, but found '<stream end>'",
        start="x.json: cannot be read (No such file or directory); check the path",
    )
