"""How would a careful user search with Optuna and torch alone? The other side of `comparison.py`, which starts it.

The shape is that of the two libraries' own MNIST examples: datasets and loaders made once, an objective that builds
what a trial suggests and trains it, `study.optimize`. It knows nothing of cnnsearch. With `tensors` the images lie on
the device instead, and torchvision moves each batch as a whole, since its transforms draw one move a call.

    python examples/benchmarks/plain_loop.py '{"data_root": "data", "trials": 2, "images": 1024, "tensors": true}'
"""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import optuna
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, Subset, random_split
from torchvision.datasets import MNIST
from torchvision.transforms import v2

DEPTH = (2, 4)  # blocks after the first, which always pools: the space of the naive search
CHANNELS, KERNEL_SIZES, PADDINGS, POOLS = (8, 16, 32), (3, 5), (0, 1, 2), (False, True)
HEADS = ("average", "max")
MEAN, STD = (0.1307,), (0.3081,)
VALIDATION_IMAGES, VALIDATION_BATCH = 5_000, 1_000
Description = dict[str, Any]
Batches = Iterable[tuple[Tensor, Tensor]]


class Job(NamedTuple):
    """What is asked of one process."""

    data_root: str
    trials: int
    networks: list[Description] | None = None
    """What the trials train, by number; null: what they suggest."""
    epochs: int = 1
    batch_size: int = 128
    learning_rate: float = 0.01
    augmentation: bool = True
    tensors: bool = False
    loader_workers: int = 0
    threads: int | None = None
    """null: as many as torch takes."""
    images: int | None = None
    """Train on so many images only, and validate on no more; null: on all."""
    journal: str | None = None
    """A file that processes share which search together."""
    seed: int = 0


@dataclass(frozen=True)
class OnDevice:
    """Iterates over tensors as a loader does over files, each time in a new order where it shuffles."""

    images: Tensor
    labels: Tensor
    batch_size: int
    transform: v2.Transform
    shuffle: bool = False

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Give batch after batch; where it shuffles without the last broken one."""
        count = len(self.labels)
        order = torch.randperm(count)[: len(self) * self.batch_size] if self.shuffle else torch.arange(count)
        for chosen in order.split(self.batch_size):
            yield self.transform(self.images[chosen]), self.labels[chosen]

    def __len__(self) -> int:
        return len(self.labels) // self.batch_size


def transforms(job: Job, *first: v2.Transform) -> tuple[v2.Transform, v2.Transform]:
    """Make those of training and of validation; moves are the equal of cnnsearch's default."""
    moves = v2.RandomAffine(10, (2 / 28, 2 / 28), (0.9, 1.1), interpolation=v2.InterpolationMode.BILINEAR)
    still = [*first, v2.Normalize(MEAN, STD)]
    return v2.Compose([moves, *still] if job.augmentation else still), v2.Compose(still)


def loaders(job: Job) -> tuple[Batches, Batches]:
    """Make two loaders over the files, their workers kept from epoch to epoch."""
    training, validation = transforms(job, v2.ToImage(), v2.ToDtype(torch.float32, scale=True))
    moved, still = MNIST(job.data_root, transform=training), MNIST(job.data_root, transform=validation)
    sizes = [len(moved) - VALIDATION_IMAGES, VALIDATION_IMAGES]
    train, held_out = random_split(range(len(moved)), sizes, torch.Generator().manual_seed(0))
    more: dict[str, Any] = {"num_workers": job.loader_workers, "persistent_workers": job.loader_workers > 0}
    subset = Subset(moved, list(train)[: job.images])
    return (
        DataLoader(subset, job.batch_size, shuffle=True, drop_last=True, **more),
        DataLoader(Subset(still, list(held_out)[: job.images]), VALIDATION_BATCH, **more),
    )


def tensors(job: Job) -> tuple[Batches, Batches]:
    """Put all images on the device, as floats from 0 to 1."""
    files = MNIST(job.data_root)
    images, labels = files.data.unsqueeze(1).float() / 255, files.targets
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    train, held_out = order[:-VALIDATION_IMAGES][: job.images], order[-VALIDATION_IMAGES:][: job.images]
    training, validation = transforms(job)
    return (
        OnDevice(images[train], labels[train], job.batch_size, training, shuffle=True),
        OnDevice(images[held_out], labels[held_out], VALIDATION_BATCH, validation),
    )


def suggest(trial: optuna.Trial) -> Description:
    """Suggest a network block by block, as it comes, without looking whether it fits."""
    depth = trial.suggest_int("depth", *DEPTH)
    blocks = [suggest_block(trial, number, (True,) if number == 0 else POOLS) for number in range(1 + depth)]
    return {"blocks": blocks, "pool": trial.suggest_categorical("head", HEADS), "hidden": []}


def suggest_block(trial: optuna.Trial, number: int, pools: tuple[bool, ...]) -> Description:
    """Suggest channels, kernel, padding, and a pool or none."""
    return {
        "out_channels": trial.suggest_categorical(f"out_channels{number}", CHANNELS),
        "kernel_size": trial.suggest_categorical(f"kernel_size{number}", KERNEL_SIZES),
        "padding": trial.suggest_categorical(f"padding{number}", PADDINGS),
        "pool": trial.suggest_categorical(f"pool{number}", pools) if len(pools) > 1 else pools[0],
    }


def build(network: Description) -> nn.Module:
    """Make the module of a description."""
    layers: list[nn.Module] = []
    channels = 1
    for block in network["blocks"]:
        out_channels, kernel_size, padding = block["out_channels"], block["kernel_size"], block["padding"]
        layers.append(nn.Conv2d(channels, out_channels, kernel_size, padding=padding, bias=False))
        layers += [nn.BatchNorm2d(out_channels), nn.ReLU(), *([nn.MaxPool2d(2)] if block["pool"] else [])]
        channels = out_channels
    layers += [nn.AdaptiveAvgPool2d(1) if network["pool"] == "average" else nn.AdaptiveMaxPool2d(1), nn.Flatten()]
    for features in network["hidden"]:
        layers += [nn.Linear(channels, features), nn.ReLU()]
        channels = features
    return nn.Sequential(*layers, nn.Linear(channels, 10))


def train(module: nn.Module, batches: Batches, optimizer: torch.optim.Optimizer, schedule: Any) -> None:  # noqa: ANN401
    """Train one epoch."""
    module.train()
    for images, labels in batches:
        optimizer.zero_grad()
        cross_entropy(module(images), labels, label_smoothing=0.05).backward()
        optimizer.step()
        schedule.step()


def validate(module: nn.Module, batches: Batches) -> float:
    """Give the share of right answers."""
    module.eval()
    with torch.no_grad():
        right = torch.cat([module(images).argmax(dim=1) == labels for images, labels in batches])
    return right.float().mean().item()


def search(job: Job) -> list[dict[str, Any]]:
    """Search, and give a row for each trial, those that came to nothing too."""
    batches, held_out = tensors(job) if job.tensors else loaders(job)
    rows: list[dict[str, Any]] = []

    def objective(trial: optuna.Trial) -> float:
        network = job.networks[trial.number] if job.networks else suggest(trial)
        rows.append({"trial": trial.number, "network": network, "seconds": None})
        torch.manual_seed(job.seed + trial.number)
        module = build(network)
        try:  # a dummy batch tells an impossible network before the first epoch
            module(torch.zeros(2, 1, 28, 28))
        except RuntimeError as error:
            raise optuna.TrialPruned(str(error)) from None
        optimizer = torch.optim.AdamW(module.parameters(), lr=job.learning_rate, weight_decay=0.01)
        steps = job.epochs * len(batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, job.learning_rate, total_steps=steps)
        parameters = sum(parameter.numel() for parameter in module.parameters())
        trial.set_user_attr("parameters", parameters)
        began, accuracy = time.perf_counter(), 0.0
        for _ in range(job.epochs):
            train(module, batches, optimizer, schedule)
            accuracy = validate(module, held_out)
        rows[-1] |= {"seconds": time.perf_counter() - began, "parameters": parameters, "accuracy": accuracy}
        return accuracy

    shared = JournalStorage(JournalFileBackend(job.journal)) if job.journal else None
    study = optuna.create_study(
        storage=shared, study_name="plain", load_if_exists=True, direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=job.seed),
    )  # fmt: skip
    study.optimize(objective, n_trials=job.trials)
    return rows


def main() -> None:
    """Do the job given as JSON, and print the rows as JSON."""
    job = Job(**json.loads(sys.argv[1]))
    if job.threads:
        torch.set_num_threads(job.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    print(json.dumps(search(job)))


if __name__ == "__main__":
    main()
