import os
import random
from pathlib import Path

import pytest
import torch
from made_runs import write_run
from safetensors.torch import save_file
from torch import Tensor, nn

from cnnsearch import weights
from cnnsearch.blocks import KINDS
from cnnsearch.data import DataSet
from cnnsearch.errors import DiskFullError, RunError
from cnnsearch.module import build
from cnnsearch.network import Network
from cnnsearch.places import WEIGHTS
from cnnsearch.train import normalised
from cnnsearch.weights import Classifier, load, save

NETWORK = Network.model_validate(
    {
        "input": {"channels": 1, "height": 8, "width": 8},
        "blocks": [
            {"conv": {"out_channels": 4, "kernel_size": [3, 5]}},
            {"kind": "separable", "conv": {"out_channels": 6, "kernel_size": 3}},
        ],
        "classes": 10,
    }
)


@pytest.fixture
def module() -> nn.Module:
    torch.manual_seed(1)
    return build(NETWORK).to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


@pytest.fixture
def folder(tmp_path: Path, module: nn.Module, digits: DataSet) -> Path:
    save(tmp_path / "best" / WEIGHTS, module, NETWORK, digits)
    return tmp_path / "best"


def logits(classifier: nn.Module, images_NCHW: Tensor) -> Tensor:
    with torch.inference_mode():
        return classifier(images_NCHW)


def test_loaded_weights_answer_as_the_trained_module_did(folder: Path, module: nn.Module, digits: DataSet) -> None:
    images_NCHW = digits.validation.images_NCHW[:50]
    expected_NK = logits(module.eval(), normalised(images_NCHW, digits))
    torch.testing.assert_close(logits(load(folder), images_NCHW.float() / 255), expected_NK)


def test_what_the_weights_mean_travels_with_them(folder: Path, digits: DataSet) -> None:
    classifier = load(folder)
    assert classifier.classes == digits.classes
    assert classifier.network == NETWORK
    assert classifier.dataset == "digits"
    assert classifier.mean_C11.flatten().tolist() == pytest.approx(list(digits.mean))
    assert classifier.std_C11.flatten().tolist() == pytest.approx(list(digits.std))
    assert not classifier.training


def test_a_folder_its_file_and_their_names_are_the_same_door(folder: Path) -> None:
    pixels_NCHW = torch.rand(3, 1, 8, 8)
    answers = [logits(load(path), pixels_NCHW) for path in (folder, folder / WEIGHTS, str(folder))]
    assert all(torch.equal(answers[0], answer) for answer in answers)


def test_equal_weights_are_equal_files(folder: Path, module: nn.Module, digits: DataSet) -> None:
    save(folder / "again", module, NETWORK, digits)
    assert (folder / "again").read_bytes() == (folder / WEIGHTS).read_bytes()


def test_saving_leaves_one_whole_file_and_replaces_the_one_before(folder: Path, digits: DataSet) -> None:
    other = build(NETWORK)
    save(folder / WEIGHTS, other, NETWORK, digits)
    assert [path.name for path in folder.iterdir()] == [WEIGHTS]
    torch.testing.assert_close(dict(load(folder).module.state_dict()), dict(other.state_dict()))


def test_a_disk_that_fails_keeps_the_file_before(
    folder: Path, module: nn.Module, digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (folder / WEIGHTS).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError) as error:
        save(folder / WEIGHTS, module, NETWORK, digits)
    assert str(error.value) == (
        f"{folder / WEIGHTS}: cannot write {len(before):,} bytes (No space left on device); "
        "nothing written before is lost: make room and give the same command again"
    )
    assert (folder / WEIGHTS).read_bytes() == before
    assert [path.name for path in folder.iterdir()] == [WEIGHTS]


def test_any_flipped_bit_is_noticed(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    chance = random.Random(1)
    for place in chance.sample(range(len(whole)), 300):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << chance.randrange(8)
        (folder / WEIGHTS).write_bytes(damaged)
        with pytest.raises(RunError, match=r"damaged or cut off|no weights of cnnsearch"):
            load(folder)


def test_any_cut_is_noticed(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    for length in range(0, len(whole), len(whole) // 50):
        (folder / WEIGHTS).write_bytes(whole[:length])
        with pytest.raises(RunError, match="damaged or cut off"):
            load(folder)


def test_a_description_is_not_taken_for_weights(tmp_path: Path) -> None:
    (tmp_path / "network.json").write_text("{}")
    with pytest.raises(RunError) as caught:
        load(tmp_path / "network.json")
    law = "describes a network and holds no weights; give its folder, or that of the run"
    assert str(caught.value) == f"{tmp_path / 'network.json'}: {law}"


def test_damage_is_told_with_the_file_what_is_wrong_and_a_way_out(folder: Path) -> None:
    file = folder / WEIGHTS
    whole = bytearray(file.read_bytes())
    whole[-1] ^= 1
    file.write_bytes(whole)
    with pytest.raises(RunError) as error:
        load(folder)
    assert str(error.value).startswith(f"{file}: damaged or cut off (sha256 ")
    assert str(error.value).endswith("it was written with); take it from a backup, or train the network again")


def test_a_label_that_is_none_is_told(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    save_file({"weight": torch.zeros(1)}, file, {"cnnsearch": "{}"})
    with pytest.raises(RunError) as error:
        load(file)
    way_out = "take it from a backup, or train the network again"
    assert str(error.value) == f"{file}: damaged or cut off (its label cannot be read: 'label'); {way_out}"


def test_weights_of_a_block_that_is_built_otherwise_now_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "build", lambda _: nn.Linear(1, 1))
    with pytest.raises(RunError) as error:
        load(folder)
    law = "the weights do not fit the network as it is built here (Error(s) in loading state_dict for Linear)"
    way_out = "was a kind of block changed since? bring it back, or train again"
    assert str(error.value) == f"{folder / WEIGHTS}: {law}; {way_out}"


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        load(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / WEIGHTS}: no such file; give a run, such as runs/NAME, or the folder of its weights"
    )


def test_a_run_without_a_complete_trial_has_none(tmp_path: Path) -> None:
    write_run(tmp_path / "run", states=("failed",))
    with pytest.raises(RunError) as error:
        load(tmp_path / "run")
    law = "this run has no weights: no trial of it is complete, or they were removed"
    way_out = "the study's own command goes on, and report.html tells what became of each"
    assert str(error.value) == f"{tmp_path / 'run'}: {law}; {way_out}"


def test_weights_of_another_program_are_told(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(3)}, tmp_path / WEIGHTS)
    with pytest.raises(RunError) as error:
        load(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / WEIGHTS}: no weights of cnnsearch: the metadata has no entry 'cnnsearch'; give a file of a run"
    )


def test_a_label_of_an_unknown_kind_of_block_names_its_place(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(KINDS, "separable")
    with pytest.raises(RunError) as error:
        load(folder)
    assert str(error.value) == (
        f"{folder / WEIGHTS}: this program cannot read its label: network.blocks[1].kind: 'separable' is no"
        " registered kind of block (known: plain, residual);"
        " import the module that registers it first (--import, or `imports` in a plan file)"
    )


@pytest.mark.parametrize(
    ("images_NCHW", "seen"),
    [
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), r"images of torch.uint8 and shape (2, 1, 8, 8)"),
        (torch.zeros(2, 1, 8, 8, dtype=torch.float64), r"images of torch.float64 and shape (2, 1, 8, 8)"),
        (torch.zeros(2, 3, 8, 8), r"images of torch.float32 and shape (2, 3, 8, 8)"),
        (torch.zeros(1, 8, 8), r"images of torch.float32 and shape (1, 8, 8)"),
    ],
    ids=["bytes", "double precision", "colour", "no batch"],
)
def test_images_of_another_kind_are_refused(folder: Path, images_NCHW: Tensor, seen: str) -> None:
    with pytest.raises(ValueError, match="this network takes") as error:
        load(folder)(images_NCHW)
    assert str(error.value) == (
        f"{seen}: this network takes torch.float32 from 0 to 1 of shape (images, 1, 8, 8);"
        " divide bytes by 255, and .to(torch.float32)"
    )


def test_the_loaded_network_can_be_exported(folder: Path) -> None:
    pixels_NCHW = torch.rand(3, 1, 8, 8)
    classifier = load(folder)
    assert isinstance(classifier, Classifier)
    exported = torch.export.export(
        classifier, (pixels_NCHW,), dynamic_shapes=({0: torch.export.Dim("images", min=1)},)
    ).module()
    torch.testing.assert_close(logits(exported, pixels_NCHW), logits(classifier, pixels_NCHW))


def test_of_a_run_the_winner_is_loaded_and_without_finals_the_best(tmp_path: Path, digits: DataSet) -> None:
    for part, seed in (("best", 1), ("winner", 2)):
        torch.manual_seed(seed)
        module = build(NETWORK)
        save(tmp_path / part / WEIGHTS, module, NETWORK, digits)
        loaded = load(tmp_path).module.state_dict()
        assert all(torch.equal(loaded[name], tensor) for name, tensor in module.state_dict().items()), part
