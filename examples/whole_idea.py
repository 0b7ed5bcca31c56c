"""Shows the whole idea of cnnsearch in one page, without it: ask for a network, build it if it fits, train it, tell.

What is missing is what the library is for: exact look ahead, located errors, workers, early stopping, a record that
survives a crash, reports. The last digits are not touched: what was chosen by validation must be measured on others.
"""

import optuna
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

EPOCHS, TRIALS = 4, 6


def ask(trial: optuna.Trial) -> list[tuple[int, bool]]:
    """Ask for every value in every trial, so that the sampler sees all trials as points of one space."""
    depth = trial.suggest_int("depth", 1, 4)
    channels = [trial.suggest_categorical(f"channels{i}", [4, 8, 16]) for i in range(4)]
    pools = [trial.suggest_categorical(f"pool{i}", [False, True]) for i in range(4)]
    return list(zip(channels, pools, strict=True))[:depth]


def build(blocks: list[tuple[int, bool]]) -> nn.Module:
    """Make conv, batch norm, ReLU, pool blocks; a pool that would not fit is left out, so no trial is impossible."""
    layers: list[nn.Module] = []
    channels, size = 1, 8
    for wanted, pool in blocks:
        layers += [nn.Conv2d(channels, wanted, 3, padding="same", bias=False), nn.BatchNorm2d(wanted), nn.ReLU()]
        if pool and size >= 2:  # noqa: PLR2004 (the pool's own width)
            layers.append(nn.MaxPool2d(2))
            size //= 2
        channels = wanted
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))


def train(model: nn.Module, images_NCHW: Tensor, labels_N: Tensor) -> None:
    """Train by AdamW under a one-cycle schedule."""
    batches = len(images_NCHW) // 64
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=EPOCHS * batches)
    for _ in range(EPOCHS):
        for picked in torch.randperm(len(images_NCHW))[: batches * 64].view(batches, 64):
            cross_entropy(model(images_NCHW[picked]), labels_N[picked]).backward()
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


torch.set_num_threads(1)  # such small networks are faster on one core
optuna.logging.set_verbosity(optuna.logging.WARNING)
digits = load_digits()
images = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16  # whole sets as tensors: no DataLoader
labels = torch.tensor(digits.target)
study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
for number in range(TRIALS):
    trial = study.ask()
    torch.manual_seed(number)
    model = build(ask(trial))
    train(model, images[:1200], labels[:1200])
    with torch.no_grad():
        accuracy = (model.eval()(images[1200:1500]).argmax(dim=1) == labels[1200:1500]).float().mean().item()
    study.tell(trial, accuracy)
    print(
        f"trial {number}: {accuracy:.1%} right on validation, {sum(p.numel() for p in model.parameters()):,} parameters"
    )
print(f"best: trial {study.best_trial.number}, {study.best_value:.1%}, {study.best_params}")
