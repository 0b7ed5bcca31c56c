"""How is one network trained? `train` is the page to read; whoever listens to it decides to go on or to stop.

Axes: N images, C channels, H height, W width, K classes. The whole set lies on the device as bytes, and a step takes
its images by index: a DataLoader's processes and per-image work cost more than a small network's training.
Everything random comes from the seed and the epoch's number alone. No value is read before an epoch's end, and what
changes from step to step lies in tensors that keep their place, so that a GPU may replay the step (see replay.py).
"""

# pyright: reportUnknownMemberType=false
# (torch's own annotations have holes)

import math
import time
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha256
from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from cnnsearch.augment import augment
from cnnsearch.data import DataSet, Split
from cnnsearch.fused import fused
from cnnsearch.muon import Muon
from cnnsearch.optimizers import AdamW, Group, Optimizer, Sgd
from cnnsearch.recipe import Recipe
from cnnsearch.replay import Repeated
from cnnsearch.snapshot import Epoch, Snapshot, go_on, tensors_of

WARM_UP = 0.3  # of a one-cycle schedule, and the two divisors below: torch.optim.lr_scheduler.OneCycleLR's defaults
START_DIVISOR = 25.0
END_DIVISOR = 250_000.0
KERNEL_AXES = 4  # of a convolution: channels out, channels in, height, width
VALIDATION_BATCH = 250  # on a CPU a batch of 1,000 leaves the cache and takes twice as long


class Diverged(Exception):  # noqa: N818 (an outcome of a training, not a fault in the program)
    """The loss is no longer a finite number."""


@cache
def _moments(data_mean: tuple[float, ...], data_std: tuple[float, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    # Made once: each copy of a value to a GPU makes the program wait for it.
    return torch.tensor(data_mean, device=device).view(-1, 1, 1), torch.tensor(data_std, device=device).view(-1, 1, 1)


def normalised(images_NCHW: Tensor, data: DataSet) -> Tensor:
    """Turn bytes into floats of mean 0 and standard deviation 1 (over the training images)."""
    mean_C11, std_C11 = _moments(data.mean, data.std, images_NCHW.device)
    return (images_NCHW.float() / 255 - mean_C11) / std_C11


def validate(module: nn.Module, split: Split, data: DataSet) -> tuple[float, float]:
    """Return accuracy and mean cross-entropy of a split, in fp32: what the saved weights will give again."""
    right = torch.zeros((), dtype=torch.int64, device=split.labels_N.device)
    total = torch.zeros((), device=split.labels_N.device)
    module.eval()
    with torch.inference_mode():
        for start in range(0, len(split.labels_N), VALIDATION_BATCH):
            images_NCHW, labels_N = (part[start : start + VALIDATION_BATCH] for part in split)
            logits_NK = module(normalised(images_NCHW, data))
            right += (logits_NK.argmax(dim=1) == labels_N).sum()
            total += cross_entropy(logits_NK, labels_N, reduction="sum")
    return right.item() / len(split.labels_N), total.item() / len(split.labels_N)


def _interpolate(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def _one_cycle(share: float) -> float:
    if share < WARM_UP:
        return _interpolate(1 / START_DIVISOR, 1, share / WARM_UP)
    return _interpolate(1, 1 / END_DIVISOR, (share - WARM_UP) / (1 - WARM_UP))


def _cosine(share: float) -> float:
    return _interpolate(1, 0, share)


def steps_of(recipe: Recipe, steps_a_pass: int) -> list[int]:
    """Return the number of steps of every epoch: those of a pass over the training images, or the first one's share."""
    return [max(1, int(share * steps_a_pass)) for share in recipe.passes]


def learning_rates(recipe: Recipe, steps_a_pass: int) -> list[float]:
    """Return the learning rate of every step of a training: a whole schedule for each of the recipe's cycles."""
    height = _one_cycle if recipe.schedule == "one-cycle" else _cosine
    return [recipe.learning_rate * height(share) for share in _shares(recipe, steps_a_pass)]


def amounts(recipe: Recipe, steps_a_pass: int) -> list[float]:
    """Return how far images move in every step of a training: 1 or, at the end of each of its schedules, 0."""
    until = recipe.augmentation.until if recipe.augmentation else 1.0
    return [float(share < until) for share in _shares(recipe, steps_a_pass)]


def _settings(recipe: Recipe, steps_a_pass: int) -> Iterator[tuple[float, float]]:
    return zip(learning_rates(recipe, steps_a_pass), amounts(recipe, steps_a_pass), strict=True)


def _shares(recipe: Recipe, steps_a_pass: int) -> Iterator[float]:
    """Give for every step of a training which share of its schedule is over in the middle of it."""
    epochs = iter(steps_of(recipe, steps_a_pass))
    for steps in [sum(islice(epochs, count)) for count in recipe.cycles]:
        yield from ((step + 0.5) / steps for step in range(steps))


def _optimizers(module: nn.Module, recipe: Recipe, rate: Tensor) -> list[Optimizer]:
    """Make optimizers that read their rate at each step; weight decay would only hinder biases and batch norms."""
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    kernels = [weight for weight in weights if weight.ndim == KERNEL_AXES and recipe.optimizer == "muon"]
    taken = {id(kernel) for kernel in kernels}
    groups = [
        Group([weight for weight in weights if weight.ndim > 1 and id(weight) not in taken], recipe.weight_decay),
        Group([weight for weight in weights if weight.ndim <= 1], 0.0),  # biases and batch norms have one axis
    ]
    if recipe.optimizer == "sgd":
        return [Sgd(groups, rate, recipe.momentum)]
    return [AdamW(groups, rate), Muon(Group(kernels, recipe.weight_decay), rate, recipe.momentum)]


def mixed_precision(device: torch.device) -> torch.autocast:
    """Compute in bf16 where that is faster than fp32: on GPUs and CPUs that have instructions for it."""
    if device.type == "cuda":
        return torch.autocast("cuda", torch.bfloat16, enabled=torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    fast = any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cpu" and fast)


def _mix(seed: int, epoch: int) -> int:
    """Make one seed of two numbers: neighbours must share nothing."""
    return int.from_bytes(sha256(f"{seed} {epoch}".encode()).digest()[:8], "big") >> 1


def _batches(images: int, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """Draw an epoch's order; the rest that fills no batch is left out, another one in each epoch."""
    order_N = torch.randperm(images, generator=generator, device=generator.device)
    return list(order_N[: images - images % batch_size].view(-1, batch_size))


def train(
    module: nn.Module,
    data: DataSet,
    recipe: Recipe,
    seed: int,
    since: Snapshot | None = None,
    keep: Callable[[Snapshot], None] = lambda _: None,
) -> Iterator[Epoch]:
    """Train a module on the device of its data, and yield after each epoch; raise Diverged on a non-finite loss.

    After the last epoch the module holds that epoch's weights. The same seed on the same CPU gives the same weights
    again, to the bit; a GPU does not promise it, since backward through pools adds up in any order there. Initial
    weights are the caller's: call `torch.manual_seed(seed)` before building the module.
    `keep` is shown where the training stands before each epoch but the last is yielded; with such a snapshot as `since`
    its epochs are yielded again, and what follows is the same (on a CPU to the bit).
    """
    images_NCHW, labels_N = data.train
    device = images_NCHW.device
    whole = module.to(memory_format=torch.channels_last)
    batch_size = min(recipe.batch_size, len(labels_N))
    steps_a_pass = len(labels_N) // batch_size
    steps = steps_of(recipe, steps_a_pass)
    done = since.epochs if since else ()
    ahead = islice(_settings(recipe, steps_a_pass), sum(steps[: len(done)]), None)  # of the steps that are left

    chosen_N = torch.zeros(batch_size, dtype=torch.int64, device=device)
    rate = torch.zeros((), dtype=torch.float32 if device.type == "cuda" else torch.float64, device=device)
    amount = torch.ones((), device=device)
    loss_sum = torch.zeros((), device=device)
    generator = torch.Generator(device)
    optimizers = _optimizers(module, recipe, rate)
    module, weights = fused(module), list(module.parameters())
    if since:
        go_on(whole, optimizers, since.tensors)
    yield from done

    def step() -> None:
        inputs_NCHW = normalised(images_NCHW[chosen_N], data)
        if recipe.augmentation is not None:
            inputs_NCHW = augment(inputs_NCHW, recipe.augmentation, generator, amount)
        with mixed_precision(device):
            logits_NK = module(inputs_NCHW)
            loss = cross_entropy(logits_NK, labels_N[chosen_N], label_smoothing=recipe.label_smoothing)
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        for weight in weights:
            weight.grad = None
        loss_sum.add_(loss.detach())  # read once an epoch: reading it makes the program wait for the device

    repeated = Repeated(step, generator)
    for epoch in range(len(done) + 1, recipe.epochs + 1):
        began = time.perf_counter()
        module.train()
        with repeated.beside(), torch.random.fork_rng([device] if device.type == "cuda" else []):
            generator.manual_seed(_mix(seed, epoch))
            torch.manual_seed(_mix(seed, epoch))  # dropout draws from torch's own generators
            loss_sum.zero_()
            batches = _batches(len(labels_N), batch_size, generator)[: steps[epoch - 1]]
            # Not strict: `ahead` are the steps of the whole training.
            for batch_N, (rate_now, amount_now) in zip(batches, ahead, strict=False):
                chosen_N.copy_(batch_N)
                rate.fill_(rate_now)
                amount.fill_(amount_now)
                repeated()

        mean_loss = loss_sum.item() / len(batches)
        accuracy, validation_loss = validate(module, data.validation, data)
        if not math.isfinite(mean_loss + validation_loss):
            raise Diverged(f"epoch {epoch}: training loss {mean_loss}, validation loss {validation_loss}")
        done = (*done, Epoch(epoch, mean_loss, accuracy, validation_loss, time.perf_counter() - began))
        if epoch < recipe.epochs:
            keep(Snapshot(done, tensors_of(whole, optimizers)))
        yield done[-1]
