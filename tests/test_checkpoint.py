"""A training that was interrupted ends like one that was not, to the bit; what is damaged or another's is not used."""

import os
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn

from cnnsearch import checkpoint
from cnnsearch.checkpoint import Checkpoint
from cnnsearch.data import DataSet
from cnnsearch.messages import Done, Job, News, checkpoint_of
from cnnsearch.module import build
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe
from cnnsearch.snapshot import Epoch, Snapshot
from cnnsearch.study.best import drop, tidy, weights_of
from cnnsearch.train import train
from cnnsearch.worker.job import run

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
NETWORK = Network.model_validate(
    {
        "input": {"channels": 1, "height": 8, "width": 8},
        "blocks": [
            {"conv": {"out_channels": 4, "kernel_size": 3, "padding": 1}, "maxpool": {"kernel_size": 2}},
            {"kind": "residual", "conv": {"out_channels": 6, "kernel_size": 3, "padding": 1}},
        ],
        "head": {"pool": "average", "hidden": [8], "dropout": 0.25},
        "classes": 10,
    }
)
EPOCHS = 4
RECIPES = [
    Recipe(epochs=EPOCHS, batch_size=64, optimizer="adamw"),
    Recipe(epochs=EPOCHS, batch_size=64, optimizer="muon", restarts=(1,), first_epoch_share=0.3),
    Recipe(epochs=EPOCHS, batch_size=64, optimizer="sgd", learning_rate=0.1),
    Recipe(epochs=EPOCHS, batch_size=64, optimizer="sgd", learning_rate=0.1, momentum=0, augmentation=None),
]


@pytest.fixture(autouse=True)
def written_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", 0.0)


def module(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return build(NETWORK)


def job(folder: Path, recipe: Recipe = RECIPES[1], rungs: tuple[int, ...] = (), seed: int = 3) -> Job:
    return Job(trial=5, network=NETWORK, recipe=recipe, seed=seed, rungs=rungs, weights=str(weights_of(folder, 5)))


def never(_: int) -> bool:
    return False


def told(epochs: list[Epoch]) -> list[Epoch]:
    return [epoch._replace(seconds=0) for epoch in epochs]


def weights(trained: nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in trained.state_dict().values())


def snapshot_after(epochs: int, digits: DataSet, wanted: Job) -> Snapshot:
    """Train for some epochs, and give what the file says then."""
    kept, begun = Checkpoint(wanted, module(), digits), module()
    list(islice(train(begun, digits, wanted.recipe, wanted.seed, None, kept.keep), epochs))
    found = kept.read()
    assert found
    return found


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.optimizer} {recipe.momentum}")
@pytest.mark.parametrize("cut", range(1, EPOCHS))
def test_what_goes_on_ends_like_what_was_not_interrupted(
    recipe: Recipe, cut: int, digits: DataSet, tmp_path: Path
) -> None:
    whole, later = module(), module(seed=99)
    epochs = list(train(whole, digits, recipe, 3))
    found = snapshot_after(cut, digits, job(tmp_path, recipe))
    assert told(list(found.epochs)) == told(epochs[:cut])
    assert told(list(train(later, digits, recipe, 3, found))) == told(epochs)
    assert weights(later) == weights(whole)


def test_without_the_optimizers_memory_it_would_be_noticed(digits: DataSet, tmp_path: Path) -> None:
    whole, later = module(), module()
    list(train(whole, digits, RECIPES[1], 3))
    found = snapshot_after(2, digits, job(tmp_path))
    forgetful = {name: tensor for name, tensor in found.tensors.items() if "/" not in name}
    list(train(later, digits, RECIPES[1], 3, found._replace(tensors=forgetful)))
    assert weights(later) != weights(whole)


def test_a_job_that_was_cut_tells_its_epochs_again_and_writes_the_same_file(digits: DataSet, tmp_path: Path) -> None:
    whole = list(run(job(tmp_path / "whole"), digits, never))
    for epochs in (1, 3):
        list(islice(run(job(tmp_path / "cut"), digits, never), epochs))
        assert checkpoint_of(weights_of(tmp_path / "cut", 5)).exists()
    again = list(run(job(tmp_path / "cut"), digits, never))
    assert plain(again) == plain(whole)
    assert again[-1] == Done(trial=5, stopped=False)
    files = [weights_of(tmp_path / name, 5) for name in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()
    drop(tmp_path / "cut", 5)
    assert list((tmp_path / "cut" / "weights").iterdir()) == []


def plain(news: list[News]) -> list[dict[str, object]]:
    return [each.model_dump(exclude={"seconds"}) for each in news]


def test_a_trial_that_rested_at_a_rung_goes_on_from_there(
    digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", 1e9)
    rested = list(run(job(tmp_path, rungs=(2,)), digits, lambda _: True))
    assert rested[-1] == Done(trial=5, stopped=True)
    found = Checkpoint(job(tmp_path), module(), digits).read()
    assert found
    assert [epoch.epoch for epoch in found.epochs] == [1, 2]


def test_no_checkpoint_is_written_before_its_time(
    digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SECONDS", 1e9)
    list(islice(run(job(tmp_path), digits, never), 3))
    assert not checkpoint_of(weights_of(tmp_path, 5)).exists()


def test_every_flipped_byte_and_every_cut_is_noticed(digits: DataSet, tmp_path: Path) -> None:
    snapshot_after(2, digits, job(tmp_path))
    file, reader = checkpoint_of(weights_of(tmp_path, 5)), Checkpoint(job(tmp_path), module(), digits)
    content = file.read_bytes()
    for place in range(0, len(content), len(content) // 60):
        file.write_bytes(content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :])
        assert reader.read() is None, f"byte {place}"
        file.write_bytes(content[:place])
        assert reader.read() is None, f"cut at {place}"
    file.write_bytes(content)
    assert reader.read()


@pytest.mark.parametrize("other", [{"seed": 4}, {"recipe": RECIPES[1].model_copy(update={"epochs": 9})}], ids=str)
def test_the_checkpoint_of_another_job_is_not_used(other: dict[str, object], digits: DataSet, tmp_path: Path) -> None:
    snapshot_after(2, digits, job(tmp_path))
    assert Checkpoint(job(tmp_path).model_copy(update=other), module(), digits).read() is None
    assert Checkpoint(job(tmp_path), module(), digits._replace(sha256="other")).read() is None
    assert Checkpoint(job(tmp_path), nn.Sequential(module(), nn.Linear(10, 10)), digits).read() is None


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(
    digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        patch.setattr(Path, "replace", refuse)
        news = run(job(tmp_path), digits, never)
        assert [each.kind for each in islice(news, EPOCHS - 1)] == ["epoch"] * (EPOCHS - 1)
    assert [each.kind for each in news] == ["epoch", "done"]


def test_only_unfinished_trials_keep_theirs(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    for trial in (3, 4, 5):
        checkpoint_of(weights_of(tmp_path, trial)).touch()
        weights_of(tmp_path, trial).touch()
    drop(tmp_path, 3)
    tidy(tmp_path, [4])
    assert list((tmp_path / "weights").iterdir()) == [checkpoint_of(weights_of(tmp_path, 4))]
    tidy(tmp_path, [])
    assert not (tmp_path / "weights").exists()
