import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from cnnsearch.augment import augment
from cnnsearch.data import DataSet
from cnnsearch.recipe import Augmentation, Recipe
from cnnsearch.train import (
    Diverged,
    Epoch,
    amounts,
    learning_rates,
    mixed_precision,
    normalised,
    steps_of,
    train,
    validate,
)

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
PLAIN = Recipe(epochs=2, augmentation=None)


def module(seed: int = 0, dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(seed)
    conv = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2))
    return nn.Sequential(conv, nn.Flatten(), nn.Dropout(dropout), nn.Linear(256, 10))


def weights(trained: nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in trained.state_dict().values())


def test_digits_are_learnt_by_a_small_network(digits: DataSet) -> None:
    epochs = list(train(module(), digits, Recipe(epochs=6, batch_size=64, augmentation=None), seed=1))
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3, 4, 5, 6]
    assert epochs[-1].validation_accuracy > 0.95
    assert epochs[-1].loss < epochs[0].loss
    assert all(epoch.seconds > 0 for epoch in epochs)


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_every_optimizer_and_schedule_learns(digits: DataSet, optimizer: str, schedule: str) -> None:
    recipe = Recipe.model_validate({"epochs": 4, "batch_size": 16, "optimizer": optimizer, "schedule": schedule})
    *_, last = train(module(), digits, recipe, seed=1)
    assert last.validation_accuracy > 0.8


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_same_seed_gives_the_same_weights(digits: DataSet, dropout: float) -> None:
    recipe = Recipe(epochs=2)
    first, again, other = module(dropout=dropout), module(dropout=dropout), module(dropout=dropout)
    scores = [without_seconds(train(each, digits, recipe, seed)) for each, seed in ((first, 3), (again, 3), (other, 4))]
    assert scores[0] == scores[1] != scores[2]
    assert weights(first) == weights(again) != weights(other)


def without_seconds(epochs: Iterator[Epoch]) -> list[Epoch]:
    return [epoch._replace(seconds=0) for epoch in epochs]


def test_what_happens_between_epochs_has_no_part_in_the_training(digits: DataSet) -> None:
    first, again = module(dropout=0.5), module(dropout=0.5)
    list(train(first, digits, PLAIN, seed=3))
    for _ in train(again, digits, PLAIN, seed=3):
        torch.rand(100)
        again.eval()
    assert weights(first) == weights(again)


def test_training_leaves_the_callers_random_numbers_alone(digits: DataSet) -> None:
    trained = module(dropout=0.5)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    list(train(trained, digits, PLAIN, seed=3))
    assert torch.equal(torch.rand(3), expected)


def test_the_score_is_that_of_the_weights_at_the_end(digits: DataSet) -> None:
    trained = module()
    *_, last = train(trained, digits, PLAIN, seed=1)
    assert validate(trained, digits.validation, digits) == (last.validation_accuracy, last.validation_loss)


def test_validation_is_the_same_in_one_batch(digits: DataSet) -> None:
    trained = module().eval()
    images, labels = digits.validation
    with torch.no_grad():
        logits = trained(normalised(images, digits))
    accuracy, loss = validate(trained, digits.validation, digits)
    assert accuracy == (logits.argmax(dim=1) == labels).float().mean().item().__round__(6)
    assert loss == pytest.approx(nn.functional.cross_entropy(logits, labels).item(), rel=1e-5)


@pytest.mark.parametrize("images", [2, 33, 64, 65])
def test_any_number_of_training_images_will_do(digits: DataSet, images: int) -> None:
    few = digits._replace(train=digits.train.take(range(images)))
    epochs = list(train(module(), few, Recipe(epochs=2, batch_size=64), seed=1))
    assert all(math.isfinite(epoch.loss) for epoch in epochs)


def test_a_non_finite_loss_ends_the_training(digits: DataSet) -> None:
    broken = module()
    nn.init.constant_(broken[-1].weight, math.inf)
    with pytest.raises(Diverged) as caught:
        next(train(broken, digits, PLAIN, seed=1))
    assert str(caught.value) == "epoch 1: training loss nan, validation loss nan"


def test_weights_that_fall_apart_at_the_last_step_are_noticed(digits: DataSet) -> None:
    few = digits._replace(train=digits.train.take(range(64)))
    recipe = Recipe(epochs=1, batch_size=64, optimizer="sgd", learning_rate=10.0, weight_decay=1.0, augmentation=None)
    broken = module()
    broken[-1].weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(Diverged, match=r"epoch 1: training loss \d.*, validation loss nan"):
        next(train(broken, few, recipe, seed=1))


def test_biases_and_batch_norms_do_not_decay(digits: DataSet) -> None:
    still = module()
    for parameter in still.parameters():
        parameter.register_hook(torch.zeros_like)
    nn.init.constant_(still[-1].bias, 1.0)
    before = {name: value.detach().clone() for name, value in still.named_parameters()}
    list(train(still, digits, Recipe(epochs=1, weight_decay=1.0), seed=1))
    decayed = {name for name, value in still.named_parameters() if not torch.equal(value, before[name])}
    assert decayed == {"0.0.weight", "3.weight"}


def test_one_cycle_rises_and_falls_like_torchs() -> None:
    rates = learning_rates(Recipe(epochs=10, learning_rate=0.01, restarts=()), steps_a_pass=100)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=1000)
    for rate in rates:
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], abs=5e-5)
        optimizer.step()
        schedule.step()


def test_cosine_falls_like_torchs() -> None:
    rates = learning_rates(Recipe(epochs=10, learning_rate=0.01, schedule="cosine", restarts=()), steps_a_pass=100)
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == pytest.approx(0.01, rel=1e-4)
    assert rates[500] == pytest.approx(0.005, rel=1e-2)
    assert rates[-1] == pytest.approx(0, abs=1e-7)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_each_cycle_is_a_whole_schedule(schedule: str) -> None:
    recipe = Recipe.model_validate({"epochs": 6, "restarts": [1, 3], "schedule": schedule})
    alone = [
        rate
        for epochs in (1, 2, 3)
        for rate in learning_rates(recipe.model_copy(update={"epochs": epochs, "restarts": ()}), steps_a_pass=9)
    ]
    assert learning_rates(recipe, steps_a_pass=9) == alone


def test_a_cycle_that_is_stopped_at_its_end_equals_a_short_training(digits: DataSet) -> None:
    short, long = module(), module()
    list(train(short, digits, Recipe(epochs=1), seed=1))
    next(train(long, digits, Recipe(epochs=5, restarts=(1,)), seed=1))
    assert weights(short) == weights(long)


@pytest.mark.parametrize(("share", "steps"), [(1.0, [9, 9, 9]), (0.25, [2, 9, 9]), (0.01, [1, 9, 9])])
def test_a_short_first_epoch_takes_its_share_of_a_pass_and_of_the_schedule(share: float, steps: list[int]) -> None:
    recipe = Recipe(epochs=3, first_epoch_share=share, restarts=(1,))
    assert steps_of(recipe, steps_a_pass=9) == steps
    rates = learning_rates(recipe, steps_a_pass=9)
    assert len(rates) == sum(steps)
    assert rates[steps[0] :] == learning_rates(Recipe(epochs=2), steps_a_pass=9)


def test_images_keep_their_place_at_the_end_of_each_schedule() -> None:
    moves = Augmentation(until=0.75)
    whole = Recipe(epochs=3, restarts=(1,), augmentation=moves)
    assert amounts(whole, steps_a_pass=4) == [1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 0, 0]
    assert amounts(Recipe(epochs=1), steps_a_pass=3) == [1, 1, 1]
    assert amounts(Recipe(epochs=1, augmentation=None), steps_a_pass=3) == [1, 1, 1]


def test_no_amount_of_moves_changes_nothing() -> None:
    images, moves = torch.rand(8, 3, 9, 14), Augmentation(shift=3, rotation=40, scale=0.2)
    generator = torch.Generator().manual_seed(0)
    assert torch.allclose(augment(images, moves, generator, torch.zeros(())), images, atol=1e-5)
    assert torch.equal(augment(images, moves, torch.Generator().manual_seed(0), torch.ones(())), moved(images, moves))


def test_until_a_share_trainings_are_the_same_and_then_they_are_not(digits: DataSet) -> None:
    first, second = (
        without_seconds(train(module(), digits, Recipe(epochs=4, augmentation=Augmentation(until=until)), seed=1))
        for until in (1.0, 0.5)
    )
    assert first[:2] == second[:2]
    assert first[2] != second[2]


def test_a_short_first_epoch_trains_on_fewer_images(digits: DataSet) -> None:
    trained, steps = module(), []
    trained[-1].register_forward_pre_hook(lambda part, _: steps.append(part.training))
    list(train(trained, digits, Recipe(epochs=1, batch_size=100, first_epoch_share=0.5), seed=1))
    assert steps.count(True) == 5  # of the 11 batches of 1,197 images


def test_a_restart_at_the_end_or_later_has_no_effect() -> None:
    assert Recipe(epochs=4, restarts=(4, 9)).cycles == (4,)
    assert Recipe(epochs=4, restarts=(4, 9)).computes == Recipe(epochs=4, restarts=()).computes
    assert Recipe(epochs=4, restarts=(2, 1)).computes == Recipe(epochs=4, restarts=(1, 2)).computes
    assert Recipe(epochs=4, restarts=(1,)).computes != Recipe(epochs=4, restarts=()).computes


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_a_training_of_one_step_has_a_rate(schedule: str) -> None:
    (rate,) = learning_rates(Recipe.model_validate({"epochs": 1, "schedule": schedule}), steps_a_pass=1)
    assert 0 < rate <= Recipe().learning_rate


def result_type() -> torch.dtype:
    with mixed_precision(CPU):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


def test_mixed_precision_is_on_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert result_type() is torch.bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False, "architecture": "x86_64"})
    assert result_type() is torch.float32


def bar(height: int = 21, width: int = 21) -> torch.Tensor:
    """Eight equal images with a bright vertical bar in the middle."""
    images = torch.zeros(8, 1, height, width)
    images[:, :, height // 2 - 5 : height // 2 + 6, width // 2] = 1
    return images


def moved(images: torch.Tensor, moves: Augmentation, seed: int = 0) -> torch.Tensor:
    return augment(images, moves, torch.Generator().manual_seed(seed))


def test_no_augmentation_changes_nothing() -> None:
    images = torch.rand(8, 3, 9, 14)
    assert torch.allclose(moved(images, Augmentation(shift=0, rotation=0, scale=0)), images, atol=1e-5)


@pytest.mark.parametrize("moves", [{"shift": 3.0}, {"rotation": 30.0}, {"scale": 0.3}])
def test_each_image_moves_by_its_own_draw(moves: dict[str, float]) -> None:
    still = Augmentation(shift=0, rotation=0, scale=0)
    found = moved(bar(), still.model_copy(update=moves))
    assert len({image.numpy().tobytes() for image in found}) == 8
    assert torch.equal(found, moved(bar(), still.model_copy(update=moves)))
    assert not torch.equal(found, moved(bar(), still.model_copy(update=moves), seed=1))


def centres(images: torch.Tensor) -> torch.Tensor:
    columns = torch.arange(images.shape[-1], dtype=torch.float32)
    return (images.sum(dim=(1, 2)) * columns).sum(dim=1) / images.sum(dim=(1, 2, 3))


def test_a_shift_is_counted_in_pixels() -> None:
    images = bar().repeat(100, 1, 1, 1)
    offsets = centres(moved(images, Augmentation(shift=4, rotation=0, scale=0))) - 10
    assert 3.8 < offsets.abs().max().item() <= 4.001
    assert offsets.mean().abs().item() < 0.3


def test_a_turn_keeps_its_angle_in_an_oblong_image() -> None:
    images = bar(41, 21).repeat(100, 1, 1, 1)
    turned = moved(images, Augmentation(shift=0, rotation=45, scale=0))
    top = centres(turned[:, :, 16:17, :]) - 10  # four rows above the middle: four columns away at 45 degrees
    assert 3.5 < top.abs().max().item() < 4.5


def test_half_of_the_images_are_mirrored_where_asked_for() -> None:
    still = Augmentation(shift=0, rotation=0, scale=0)
    image = torch.rand(1, 3, 9, 14)
    found = moved(image.repeat(400, 1, 1, 1), still.model_copy(update={"horizontal_flip": True}))
    as_it_was, mirrored = (
        torch.isclose(found, each, atol=1e-5).flatten(1).all(dim=1) for each in (image, image.flip(3))
    )
    assert torch.equal(as_it_was, ~mirrored)
    assert 160 < mirrored.sum().item() < 240


def test_a_mirrored_image_moves_as_it_would_have() -> None:
    moves = Augmentation(shift=3, rotation=40, scale=0.2)
    images = torch.rand(64, 1, 12, 12)
    mirrored = moved(images, moves.model_copy(update={"horizontal_flip": True}))
    sides = [torch.isclose(mirrored, moved(images, moves).flip(flipped), atol=1e-4) for flipped in ([], [3])]
    assert torch.stack([side.flatten(1).all(dim=1) for side in sides]).any(dim=0).all()


def test_what_comes_in_from_outside_repeats_the_border() -> None:
    images = torch.full((8, 1, 9, 9), -0.4)
    assert torch.allclose(moved(images, Augmentation(shift=4, rotation=90, scale=0.5)), images)
