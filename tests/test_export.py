"""A network as files that work without the library: made once for all tests, by the command a user gives."""

import hashlib
import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
import torch
from amount import examples
from commands import ROOT, python
from hypothesis import given
from made_runs import write_run
from safetensors.torch import load_file, save_file

from cnnsearch import events, weights
from cnnsearch.blocks import KINDS
from cnnsearch.data import DataSet
from cnnsearch.datasets import data_root
from cnnsearch.errors import DiskFullError, ExportError, RunError
from cnnsearch.export import outside, write
from cnnsearch.export.bench import Bench
from cnnsearch.export.calls import chain, tuple_of
from cnnsearch.export.card import card
from cnnsearch.export.check import Found, look_from_outside, refuse_another
from cnnsearch.export.graphs import write_graph, write_onnx
from cnnsearch.export.int8 import chosen, write_int8
from cnnsearch.export.material import write_material
from cnnsearch.export.program import load_program, text_of, write_program
from cnnsearch.export.source import find, refuse_others
from cnnsearch.export.table import Made, Table, in_words, sentences, verdict_of
from cnnsearch.export.write import FORMATS, export
from cnnsearch.files import write_whole
from cnnsearch.flow import Step, Sum
from cnnsearch.layers import Conv, Layer, ReLU
from cnnsearch.lock import owned
from cnnsearch.module import build
from cnnsearch.network import Network
from cnnsearch.places import WEIGHTS
from cnnsearch.plan import Plan
from cnnsearch.shapes import Shape
from cnnsearch.strategies import networks
from cnnsearch.verdict import Row as Result
from cnnsearch.verdict import Verdict
from cnnsearch.weights import Classifier, Label

CONV = {"out_channels": 6, "kernel_size": 3, "padding": 1}
NETWORK = Network.model_validate(
    {
        "input": {"channels": 1, "height": 8, "width": 8},
        "blocks": [
            {
                "conv": {"out_channels": 4, "kernel_size": [3, 5], "padding": "same", "padding_mode": "reflect"},
                "maxpool": {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
            },
            {"kind": "residual", "conv": CONV, "relu": {"inplace": True}},
            {"kind": "residual", "conv": CONV, "preactivation": True},
            {"conv": {"out_channels": 8, "kernel_size": 2, "dilation": 2, "groups": 2, "bias": False}},
            {"kind": "separable", "conv": {"out_channels": 8, "kernel_size": 3, "padding": 1, "bias": False}},
        ],
        "head": {"pool": "max", "hidden": [12], "dropout": 0.2},
        "classes": 10,
    }
)  # fmt: skip
FILES = ("model.py", "model.pt2", "model.onnx", "model.int8.onnx")


def trained(folder: Path, digits: DataSet) -> Path:
    """Write network and weights as a study does; no test needs them to be good."""
    torch.manual_seed(3)
    module = build(NETWORK).train()
    module(digits.train.images_NCHW[:200].float() / 255)  # the batch norms see what images are like
    weights.save(folder / WEIGHTS, module, NETWORK, digits)
    (folder / "network.json").write_text(NETWORK.model_dump_json(exclude_defaults=True))
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, digits: DataSet) -> Path:
    """A run whose best network was exported by the command."""
    folder = write_run(tmp_path_factory.mktemp("export") / "digits-run", plan=Plan(dataset="digits").stored())
    trained(folder / "best", digits)
    done = python(["-W", "error", "-m", "cnnsearch.export", "digits-run"], folder.parent)
    assert done.returncode == 0, done.stderr
    (folder / "said").write_text(done.stdout)
    return folder


@pytest.fixture(scope="module")
def table(run: Path) -> Table:
    return Table.model_validate_json((run / "export" / "table.json").read_text())


@pytest.fixture(scope="module")
def material(run: Path, digits: DataSet) -> Path:
    write_material(run / "material.npz", weights.load(run / "best"), digits.validation)
    return run / "material.npz"


def found(**changes: object) -> Found:
    usual: dict[str, Any] = {
        "classes": ("a", "b"),
        "validation_accuracy": 0.9,
        "largest_difference": 1e-6,
        "changed": 0,
        "lost": 0,
        "gained": 0,
        "latency_seconds": (1e-4, 9e-5, 2e-4),
    }
    return Found.model_validate({**usual, **changes})


# What is made


def test_every_format_is_made_and_those_with_the_networks_numbers_agree_with_it(table: Table) -> None:
    assert table.missing == {}
    assert [row.files[0] for row in table.made] == list(FILES)
    assert max(row.found.largest_difference for row in table.made[:3]) < 1e-4
    assert [(row.found.changed, row.verdict) for row in table.made[:3]] == [(0, "equal")] * 3


def test_the_table_has_sizes_accuracies_and_latencies_with_their_intervals(run: Path, table: Table) -> None:
    assert table.validation_images == 300
    for row in table.made:
        assert row.bytes == sum((run / "export" / name).stat().st_size for name in row.files)
        kept = table.validation_accuracy * 300 - row.found.lost + row.found.gained
        assert row.found.validation_accuracy * 300 == pytest.approx(kept)
        median, low, high = row.found.latency_seconds
        assert 0 < low <= median <= high


@pytest.mark.parametrize("file", FILES[:3])
@pytest.mark.parametrize("images", [1, 7])
def test_a_file_takes_any_number_of_images(run: Path, digits: DataSet, file: str, images: int) -> None:
    model = outside.OPENERS[Path(file).suffix](run / "export" / file)
    pixels_NCHW = digits.validation.images_NCHW[:images].float() / 255
    with torch.inference_mode():
        expected_NK = weights.load(run / "best")(pixels_NCHW)
    np.testing.assert_allclose(model.run(pixels_NCHW.numpy()), expected_NK.numpy(), atol=1e-4)
    assert model.classes == list(digits.classes)


def test_weights_and_network_are_those_of_the_run(run: Path) -> None:
    for name in ("network.json", WEIGHTS):
        assert (run / "export" / name).read_bytes() == (run / "best" / name).read_bytes()
    assert weights.load(run / "export").network == NETWORK


def test_no_file_tells_of_this_machine_or_of_the_library(run: Path) -> None:
    folder = run / "export"
    with zipfile.ZipFile(folder / "model.pt2") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts |= {
        name: (folder / name).read_bytes() for name in ("model.py", "model.onnx", "model.int8.onnx", "study.json")
    }
    secrets = (b"cnnsearch", str(ROOT).encode(), str(run.parent).encode(), b"/tmp/")
    assert [(name, secret) for name, part in parts.items() for secret in secrets if secret in part] == []


def test_the_command_prints_the_table_and_what_became_of_every_decision(run: Path, table: Table) -> None:
    said = (run / "said").read_text()
    assert said.startswith(f"The search's best, not yet trained again nor tested: {NETWORK}\n")
    assert "ONNX gives each of 300 validation images the class that the network gives." in said
    assert in_words(table.made[3], 300) in said
    assert said.endswith("In digits-run/export; README.md tells all of it.\n")


def test_the_card_tells_data_protocol_figures_environment_and_commands(run: Path, digits: DataSet) -> None:
    text = (run / "export" / "README.md").read_text()
    for told in (
        "# digits-run\n",
        "not trained again since, and **not tested**; the test images were not read.",
        "digits: 1,197 training, 300 validation and 300 test images of 10 classes.",
        f"`{digits.sha256}`",
        "Trials: 3 complete, 1 stopped, 1 failed, 1 turned away, 1 repeated.",
        "trained in 34 s by this recipe:",
        f"torch {torch.__version__.partition('+')[0]}",
        "It was trained on the images of digits and on no others",
        "    python -m cnnsearch.study study.json --name again\n    python -m cnnsearch.export runs/again\n",
    ):
        assert told in text
    assert "| plain torch | model.py, weights.safetensors |" in text


@pytest.mark.parametrize(("size", "pixels"), [([64, 48], "64x48"), (24, "24x24")])
def test_the_card_tells_to_what_form_pictures_were_brought(
    run: Path, digits: DataSet, table: Table, size: object, pixels: str
) -> None:
    source = find(run)
    assert source.run
    image = {"size": size, "channels": 1}
    other = source._replace(run=source.run._replace(plan={**source.run.plan, "image": image}))
    told = card(other, digits._replace(name="mnist", key="/mine/mnist"), table)
    said = f"all were stretched or shrunk, bilinearly, to {pixels} pixels and made grey. SHA-256 of all images"
    assert f"of 10 classes; {said}" in told


def test_the_card_names_a_stopping_rule_only_where_it_stopped_somebody(
    run: Path, digits: DataSet, table: Table
) -> None:
    source = find(run)
    assert source.run
    trial = source.run.trials[0]
    for state, told in (("complete", "none stopped early"), ("stopped", "stopped early by `")):
        other = source._replace(run=source.run._replace(trials=(trial.model_copy(update={"state": state}),)))
        assert f"(seed {source.run.plan['seed']}), {told}" in card(other, digits, table)


def test_the_card_of_pictures_says_how_they_are_found_again(run: Path, digits: DataSet, table: Table) -> None:
    source = find(run)
    assert source.run
    mine = source._replace(run=source.run._replace(plan={**source.run.plan, "dataset": "my_images"}))
    told = card(mine, digits, table)
    assert "lies beside this page. Where `my_images` lies elsewhere, `--dataset` says where. The same seed" in told
    assert "lies elsewhere" not in card(source, digits, table)


def test_the_study_beside_the_card_is_a_plan_without_places_of_this_machine(run: Path) -> None:
    study = json.loads((run / "export" / "study.json").read_text())
    assert Plan.model_validate(study).data == Plan(dataset="digits").facts.sha256
    assert study.keys() & {"name", "runs", "storage", "data_root", "executor"} == set()


def verdict_on(run: Path) -> Verdict:
    trial = find(run).run.trials[3]  # pyright: ignore[reportOptionalMemberAccess] (the folder is a run's)
    trainings = tuple(
        events.Retrained(
            entrant="trial 3", seed=seed, state="complete", recipe=trial.recipe, parameters=1, macs=1,
            accuracies=(score,), sha256="abcdef0123456789",
        )
        for seed, score in enumerate([0.986, 0.988])
    )  # fmt: skip
    tested = tuple(
        events.Tested(entrant="trial 3", seed=seed, sha256="", images=300, wrong=(1, 2, 7)) for seed in (0, 1)
    )
    winner, other = Result("trial 3", trial, trainings, tested), Result("trial 0", trial, trainings[:1], tested[:1])
    return Verdict(winner, (winner, other), seeds=2, finalists=(winner.entrant,), optimism_gap=0.0004, test_opened=1)


def test_the_card_of_a_winner_tells_how_it_was_trained_again(run: Path, digits: DataSet, table: Table) -> None:
    text = card(find(run)._replace(role="winner", verdict=verdict_on(run)), digits, table)
    assert (
        "Then 2 of the best were trained again with a fresh seed, and 1 of them with 2 in all; the winner has the best "
        "mean on the validation images. Its scores there: 98.60 %, 98.80 %; these are the weights of the best. "
        'Recipe:\n\n    {"epochs":'
    ) in text
    assert "not tested" not in text


@pytest.mark.parametrize(("opened", "words"), [(1, "once"), (3, "3 times")])
def test_the_card_of_a_winner_tells_how_it_was_tested(
    run: Path, digits: DataSet, table: Table, opened: int, words: str
) -> None:
    source = find(run)._replace(role="winner", verdict=verdict_on(run)._replace(test_opened=opened))
    assert (
        "Of the test images it reads 99.00 % right (95 % interval 97.10 % to 99.66 %); trained with each seed: "
        f"99.00 %, 99.00 %. The test images were opened {words}. Optimism gap (the search's score less the mean score "
        "of the trainings after it): +0.04 points."
    ) in card(source, digits, table)


def test_the_card_of_a_winner_that_was_not_tested_says_so(run: Path, digits: DataSet, table: Table) -> None:
    result = verdict_on(run)
    unread = result._replace(winner=result.winner._replace(tested=(None, None)))
    text = card(find(run)._replace(role="winner", verdict=unread), digits, table)
    assert "The test images were not read for it: it is **not tested**." in text


def test_weights_that_are_not_the_winners_of_the_record_are_told(run: Path) -> None:
    file = run / "best" / WEIGHTS
    with pytest.raises(RunError) as error:
        refuse_others(run, file, verdict_on(run))
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    assert str(error.value) == (
        f"{file}: sha256 {found[:12]}... is not the abcdef012345... of the winner in the run's record; "
        f"`python -m cnnsearch.evaluate {run}` writes the winner's again"
    )


def test_the_card_of_a_network_without_a_run_claims_nothing(run: Path, digits: DataSet, table: Table) -> None:
    text = card(find(run / "best"), digits, table)
    assert "Exported from a folder without a run: how it was chosen is not known." in text
    assert "Not known: there was no run's record beside the weights." in text


# model.py


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@examples(25)
@given(networks(*KINDS.values()))
def test_the_program_has_the_names_and_computes_the_logits_of_the_network(network: Network) -> None:
    module = build(network).eval()
    names = tuple(str(number) for number in range(network.classes))
    moments = (0.25,) * network.input.channels
    label = Label(network=network, dataset="digits", classes=names, mean=moments, std=moments)
    classifier = Classifier(module, label).eval()
    page: dict[str, Any] = {"__file__": "model.py"}
    exec(compile(text_of(classifier), "model.py", "exec"), page)  # noqa: S102 (the text was just written by us)
    model = page["Model"]()
    model.load_state_dict(module.state_dict())
    pixels_NCHW = torch.rand(3, *network.input.shape)
    assert page["CLASSES"] == names
    assert torch.equal(model.eval()(pixels_NCHW), classifier(pixels_NCHW))


def test_the_program_reads_like_torch(run: Path) -> None:
    text = (run / "export" / "model.py").read_text()
    assert 'conv=nn.Conv2d(1, 4, (3, 5), padding="same", padding_mode="reflect"),' in text
    assert "maxpool=nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),\n" in text
    assert "shortcut=nn.Identity(),\n" in text
    assert "            # 8x3x3 to 8x3x3\n            chain(\n                depthwise=nn.Conv2d(8, 8, 3, " in text
    assert max(len(line) for line in text.splitlines()) <= 120


@pytest.mark.parametrize(
    ("pixels", "given"),
    [
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), "torch.uint8 of shape (2, 1, 8, 8)"),
        (torch.zeros(2, 1, 8, 9), "torch.float32 of shape (2, 1, 8, 9)"),
        (torch.zeros(1, 8, 8), "torch.float32 of shape (1, 8, 8)"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.float64), "torch.float64 of shape (2, 1, 8, 8)"),
        (np.zeros((2, 1, 8, 8), np.float32), "<class 'numpy.ndarray'>"),
    ],
    ids=["bytes", "another size", "a single image", "doubles", "numpy's"],
)
def test_the_program_refuses_what_its_images_are_not(run: Path, pixels: object, given: str) -> None:
    with pytest.raises(ValueError, match="pixels") as error:
        load_program(run / "export" / "model.py")(pixels)
    law = "the pixels must be a torch.float32 tensor of shape (images, 1, 8, 8), from 0 to 1"
    assert str(error.value) == f"{law}, not {given}"


def test_sums_are_defined_only_where_there_are_some() -> None:
    plain = NETWORK.model_copy(update={"blocks": NETWORK.blocks[:1]})
    label = Label(network=Network.model_validate(plain.model_dump()), dataset="", classes=("a",), mean=(0,), std=(1,))
    assert "class Sum" not in text_of(Classifier(build(label.network), label))


def test_names_that_python_does_not_take_are_passed_all_the_same() -> None:
    total = Sum((("0", (Step("lambda", ReLU()),)), ("self", ())))
    text, shape = chain((Step("1", total), Step("conv", Conv(out_channels=2, kernel_size=(1, 1)))), Shape(1, 2, 2))
    assert text == (
        'chain(\n    **{"1": Sum(\n        **{"0": chain(\n            **{"lambda": nn.ReLU()},\n        )},\n'
        "        self=nn.Identity(),\n    )},\n    conv=nn.Conv2d(1, 2, 1),\n)"
    )
    assert shape == Shape(2, 2, 2)


def test_many_items_stand_on_many_lines() -> None:
    assert tuple_of(["1"]) == "(1,)"
    assert tuple_of(["1", "2"]) == "(1, 2)"
    assert tuple_of(["'x' * 40"] * 12) == "(\n" + "    'x' * 40,\n" * 12 + ")"


class Normed(Layer):
    """A layer of torch's whose tuple is a shape, and no pair of height and width."""

    torch_class: ClassVar[str] = "torch.nn:LayerNorm"

    def arguments(self, shape: Shape) -> dict[str, Any]:
        return {"normalized_shape": (shape.height, shape.width)}


def test_only_pairs_of_height_and_width_are_written_as_one_number() -> None:
    text, _ = chain((Step("norm", Normed()), Step("conv", Conv(out_channels=2, kernel_size=(3, 3)))), Shape(1, 4, 4))
    assert text == "chain(\n    norm=nn.LayerNorm((4, 4)),\n    conv=nn.Conv2d(1, 2, 3),\n)"


OWN = """
import torch, own_block
from pathlib import Path
from cnnsearch import Network, data, weights, build
from cnnsearch.export.bench import Bench
from cnnsearch.export.check import look_from_outside
from cnnsearch.export.material import write_material
from cnnsearch.export.program import write_program
here = Path()
digits = data.load("digits", here, torch.device("cpu"))
blocks = [{"kind": "excited", "conv": {"out_channels": 4, "kernel_size": 3}}]
image = {"channels": 1, "height": 8, "width": 8}
network = Network.model_validate({"input": image, "blocks": blocks, "classes": 10})
weights.save(here / "weights.safetensors", build(network), network, digits)
classifier = weights.load(here)
write_program(Bench(here, classifier, digits))
write_material(here / "material.npz", classifier, digits.validation)
print(look_from_outside(here.resolve() / "model.py", here.resolve() / "material.npz").largest_difference)
"""


def test_a_layer_of_ones_own_travels_in_a_file_of_its_own(tmp_path: Path) -> None:
    done = python(["-W", "error", "-c", OWN], tmp_path, PYTHONPATH=f"{ROOT / 'examples'}:{ROOT}")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-5
    copied, original = tmp_path / "own_block_torch.py", ROOT / "examples" / "own_block_torch.py"
    assert copied.read_bytes() == original.read_bytes()
    text = (tmp_path / "model.py").read_text()
    assert "import own_block_torch\nimport torch\n" in text
    assert "squeeze=own_block_torch.SqueezeExcite(channels=4, hidden=1),\n" in text
    assert "Needs torch, safetensors and weights.safetensors and own_block_torch.py beside it:" in text


def test_a_module_of_ones_own_does_not_take_the_programs_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnnsearch.export.own.sources", lambda _: {"model.py": Path("/mine/model.py")})
    bench: Any = SimpleNamespace(folder=tmp_path, classifier=SimpleNamespace(network=None))
    with pytest.raises(ExportError) as caught:
        write_program(bench)
    assert str(caught.value) == "would take the place of /mine/model.py, which it imports; rename that module"


# Seen from outside


def a_program(folder: Path, head: str) -> Path:
    file = folder / "model.py"
    model = "torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))"
    file.write_text(f"{head}\nimport torch\nCLASSES = ()\ndef load(): return {model}\n")
    return file


def test_a_program_that_needs_the_library_is_refused(tmp_path: Path, material: Path) -> None:
    with pytest.raises(ExportError) as error:
        look_from_outside(a_program(tmp_path, "import cnnsearch"), material)
    assert str(error.value) == (
        "cannot be used where cnnsearch is not: "
        "ModuleNotFoundError: import of cnnsearch halted; None in sys.modules"
    )  # fmt: skip


def test_a_program_that_finds_the_library_all_the_same_is_refused(tmp_path: Path, material: Path) -> None:
    trick = f"import sys\ndel sys.modules['cnnsearch']\nsys.path.insert(0, {str(ROOT)!r})\nimport cnnsearch\n"
    with pytest.raises(ExportError) as error:
        look_from_outside(a_program(tmp_path, trick), material)
    assert str(error.value) == "cannot be used where cnnsearch is not: model.py has imported cnnsearch"


def test_a_changed_weight_of_the_program_is_noticed(run: Path, tmp_path: Path, material: Path) -> None:
    shutil.copyfile(run / "export" / "model.py", tmp_path / "model.py")
    tensors = load_file(run / "export" / WEIGHTS)
    tensors["head.output.bias"][3] += 0.01
    save_file(tensors, tmp_path / WEIGHTS)
    seen = look_from_outside(tmp_path / "model.py", material)
    with pytest.raises(ExportError) as error:
        refuse_another(seen, seen.classes, exact=True)
    assert str(error.value) == (
        "its logits differ from the network's by up to 0.01, and may by 0.001: a fault of the exporter"
    )


def test_a_changed_weight_of_the_onnx_file_is_noticed(run: Path, tmp_path: Path, material: Path) -> None:
    model = onnx.load(run / "export" / "model.onnx")
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "head.output.bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + np.float32(0.01), bias.name))
    onnx.save(model, tmp_path / "model.onnx")
    seen = look_from_outside(tmp_path / "model.onnx", material)
    with pytest.raises(ExportError, match=r"its logits differ from the network's by up to 0\.01, and may by 0\.001"):
        refuse_another(seen, seen.classes, exact=True)


FLIPPED = "it reads 2 validation images wrong that the network reads right, and 1 the other way round"
NO_NUMBER = "its logits differ from the network's by up to nan, and may by 0.001"


@pytest.mark.parametrize(
    ("changes", "law"),
    [({"largest_difference": float("nan")}, NO_NUMBER), ({"changed": 3, "lost": 2, "gained": 1}, FLIPPED)],
    ids=["no number", "decisions"],
)
def test_what_an_exact_format_may_not_do(changes: dict[str, Any], law: str) -> None:
    with pytest.raises(ExportError) as error:
        refuse_another(found(**changes), ("a", "b"), exact=True)
    assert str(error.value) == f"{law}: a fault of the exporter"
    refuse_another(found(**changes), ("a", "b"), exact=False)


def test_other_class_names_are_refused_in_any_format() -> None:
    with pytest.raises(ExportError) as error:
        refuse_another(found(), ("b", "a"), exact=False)
    assert str(error.value) == "has the classes ('a', 'b'), and the network ('b', 'a')"


def test_the_median_stands_between_ranks_that_hold_it_with_95_percent() -> None:
    assert outside.median(list(range(100, 0, -1))) == [50.5, 40, 61]
    chance = np.random.default_rng(1)
    intervals = [outside.median(chance.exponential(size=50).tolist()) for _ in range(2000)]
    hits = np.mean([low <= np.log(2) <= high for _, low, high in intervals])
    assert 0.94 < hits < 0.98


# int8


@pytest.mark.parametrize(
    ("lost", "gained", "words"),
    [(4, 1, "worse than"), (1, 4, "better than"), (2, 2, "as good as")],
    ids=["worse", "better", "equal"],
)
def test_int8_is_said_to_be_what_it_is(lost: int, gained: int, words: str) -> None:
    seen = found(changed=5, lost=lost, gained=gained)
    row = Made(format="ONNX int8", files=("model.int8.onnx",), bytes=9, verdict=verdict_of(seen), found=seen)
    assert in_words(row, 300) == (
        f"ONNX int8 is {words} the network: 5 of 300 images get another class; "
        f"{lost} of them the network reads right and it wrong, {gained} the other way round."
    )


@pytest.mark.parametrize(("latency", "is_slower"), [((1e-4, 9e-5, 2e-4), False), ((3e-4, 2.1e-4, 4e-4), True)])
def test_int8_that_is_slower_is_said_to_be(latency: tuple[float, float, float], *, is_slower: bool) -> None:
    whole, quantized = found(), found(latency_seconds=latency)
    made = tuple(
        Made(format=name, files=("a",), bytes=9, verdict="equal", found=seen)
        for name, seen in (("ONNX", whole), ("ONNX int8", quantized))
    )
    table = Table.model_construct(made=made, validation_images=300)
    law = "ONNX int8 is slower here than ONNX: 0.300 ms (0.210 to 0.400) against 0.100 ms (0.090 to 0.200)."
    assert [sentence for sentence in sentences(table) if "slower" in sentence] == [law] * is_slower


def test_int8_is_calibrated_on_512_training_images_of_all_classes(digits: DataSet) -> None:
    split = chosen(digits.train)
    assert len(split.labels_N) == 512
    assert torch.equal(split.labels_N, chosen(digits.train).labels_N)
    share = torch.bincount(split.labels_N) / torch.bincount(digits.train.labels_N)
    assert share.min() > 0.4
    assert share.max() < 0.46


def test_int8_computes_with_whole_numbers(run: Path) -> None:
    kinds = [node.op_type for node in onnx.load(run / "export" / "model.int8.onnx").graph.node]
    assert kinds.count("QuantizeLinear") > kinds.count("Conv") > 5


# What is missing, wrong or in the way


def test_without_the_extra_the_other_formats_are_made_and_the_text_says_how_to_get_it(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Other tests import its model.py, by which Python keeps bytecode beside it.
    shutil.copytree(run / "export", tmp_path / "files", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr("cnnsearch.export.write.look_from_outside", lambda *_: found(classes=tuple("0123456789")))
    monkeypatch.setattr("cnnsearch.data.load_test", None)  # the test images are nobody's business here
    table = export(find(run / "best"), tmp_path / "files", Path("nowhere"))
    why = "needs onnx, onnxruntime, which are not installed; pip install -e '.[onnx]'"
    assert table.missing == {"model.onnx": why, "model.int8.onnx": why}
    assert [row.files[0] for row in table.made] == ["model.py", "model.pt2"]
    assert f"- model.onnx is missing: it {why}." in (tmp_path / "files" / "README.md").read_text()
    assert sorted(path.name for path in (tmp_path / "files").iterdir()) == [
        ".cnnsearch-export", "README.md", "model.pt2", "model.py", "network.json", "table.json", "weights.safetensors",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "needed"), [(write_graph, "model.py"), (write_onnx, "model.pt2"), (write_int8, "model.onnx")]
)
def test_a_format_whose_source_failed_says_so(
    tmp_path: Path, run: Path, digits: DataSet, make: Callable[[Bench], None], needed: str
) -> None:
    with pytest.raises(ExportError) as error:
        make(Bench(tmp_path, weights.load(run / "best"), digits))
    assert str(error.value) == f"is made from {needed}, which is missing"


def test_what_another_library_refuses_is_told_with_its_name(tmp_path: Path, run: Path, digits: DataSet) -> None:
    for name in ("model.py", WEIGHTS):
        shutil.copyfile(run / "export" / name, tmp_path / name)
    text = (tmp_path / "model.py").read_text()
    (tmp_path / "model.py").write_text(
        text.replace("return self.head(", "assert pixels.sum() > 0\n        return self.head(")
    )
    with pytest.raises(ExportError, match=r"^torch\.export refuses the network \(\w+: .+\)$"):
        write_graph(Bench(tmp_path, weights.load(run / "best"), digits))


def test_the_winner_is_taken_before_the_best(tmp_path: Path, digits: DataSet) -> None:
    trained(tmp_path / "best", digits)
    assert find(tmp_path).role == "best"
    trained(tmp_path / "winner", digits)
    assert find(tmp_path)[1:3] == (tmp_path / "winner", "winner")
    assert find(tmp_path / "best").role == "given"


def test_a_former_winner_that_the_finals_name_no_more_is_not_exported(
    tmp_path: Path, run: Path, digits: DataSet
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    trained(folder / "winner", digits)
    assert find(folder)[1:3] == (folder / "best", "best")


def test_a_run_that_somebody_owns_is_not_exported(tmp_path: Path) -> None:
    write_run(tmp_path / "run")
    with owned(tmp_path / "run") as owner:
        done = python(["-m", "cnnsearch.export", "run"], tmp_path)
    assert (done.returncode, done.stderr) == (1, f"run: {owner} owns this run; wait for it or stop it\n")


def test_a_folder_without_a_trained_network_is_told(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    done = python(["-m", "cnnsearch.export", "nothing"], tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "nothing: no network.json with weights.safetensors in winner/, in best/ or in itself; "
        "give the folder of a run that has a result, such as runs/NAME\n"
    )


def test_files_that_do_not_belong_together_are_told(tmp_path: Path, digits: DataSet) -> None:
    trained(tmp_path, digits)
    other = NETWORK.model_copy(update={"blocks": NETWORK.blocks[:1]})
    (tmp_path / "network.json").write_text(other.model_dump_json())
    with pytest.raises(RunError) as error:
        find(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'network.json'} describes another network than weights.safetensors beside it holds ({NETWORK}); "
        "take both from one training"
    )


def test_an_unreadable_network_is_told_by_its_file(tmp_path: Path, digits: DataSet) -> None:
    path = trained(tmp_path, digits) / "network.json"
    path.write_text("{")
    with pytest.raises(RunError) as error:
        find(tmp_path)
    assert str(error.value).startswith(f"{path}: no network: ")


def test_a_folder_that_holds_something_else_is_left_alone(run: Path, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(RunError) as error:
        export(find(run), tmp_path, Path("nowhere"))
    assert str(error.value) == (
        f"{tmp_path}: neither empty nor an earlier export (no .cnnsearch-export in it); name a new folder with --to"
    )
    assert (tmp_path / "README.md").read_text() == "mine"
    for name in ("network.json", "table.json"):  # of one's own project, no export's
        (tmp_path / name).write_text("{}")
    with pytest.raises(RunError, match="neither empty nor an earlier export"):
        export(find(run), tmp_path, Path("nowhere"))
    with pytest.raises(RunError, match="no folder; name another with --to"):
        export(find(run), tmp_path / "README.md", Path("nowhere"))


def test_an_export_that_was_cut_while_it_was_put_into_place_is_made_again(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(path: Path, content: bytes) -> None:
        if path.name == "model.py":
            raise DiskFullError(f"{path}: no room")
        write_whole(path, content)

    monkeypatch.setattr(write, "FORMATS", FORMATS[:1])  # the others take long, and come into place as this one does
    with monkeypatch.context() as patch:
        patch.setattr(write, "write_whole", cut)
        with pytest.raises(DiskFullError):
            export(find(run), tmp_path / "to", data_root())
    assert not (tmp_path / "to/table.json").exists()
    assert export(find(run), tmp_path / "to", data_root()).made


def test_a_program_is_loaded_with_the_weights_beside_it(run: Path) -> None:
    model = load_program(run / "export" / "model.py")
    assert not model.training
    assert list(model.state_dict()) == list(weights.load(run / "best").module.state_dict())


def test_every_format_has_its_file(table: Table) -> None:
    assert tuple(kind.file for kind in FORMATS) == FILES == tuple(row.files[0] for row in table.made)
