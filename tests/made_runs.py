"""Runs for the tests of record, report and dashboard: small records of real networks, as a study writes them."""

import json
import random
from pathlib import Path
from typing import Any

from cnnsearch import record
from cnnsearch.events import Asked, Closed, CloseState, Epoch, Event, FinalState, Finished, Opened, Started
from cnnsearch.files import write_whole
from cnnsearch.history import PLAN
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe

BEGIN = 1_700_000_000.0
STATES: tuple[FinalState, ...] = ("complete", "complete", "stopped", "complete", "failed", "turned_away", "repeated")


def draw(seed: object) -> random.Random:
    return random.Random(str(seed))


def network(dice: random.Random) -> Network:
    blocks = [_block(dice, number) for number in range(dice.randint(2, 4))]
    head = {"pool": "average", "hidden": dice.choice([[], [32]]), "dropout": 0.1}
    return Network.model_validate(
        {"input": {"channels": 1, "height": 28, "width": 28}, "blocks": blocks, "head": head, "classes": 10}
    )


def _block(dice: random.Random, number: int) -> dict[str, Any]:
    conv = {"out_channels": dice.choice([8, 16, 32]), "kernel_size": dice.choice([3, 5]), "padding": "same"}
    kind = dice.choice(["plain", "plain", "residual", "separable"])
    return {"kind": kind, "conv": conv, "maxpool": {"kernel_size": 2} if number % 2 == 0 else None}


def built(net: Network) -> dict[str, Any]:
    values: dict[str, Any] = {"blocks[0].repeat": len(net.blocks), "recipe.learning_rate": 0.01 / len(net.blocks)}
    for number, block in enumerate(net.model_dump()["blocks"]):
        values[f"blocks[0].block[{number}].conv.out_channels"] = block["conv"]["out_channels"]
        values[f"blocks[0].block[{number}].conv.kernel_size"] = block["conv"]["kernel_size"]
        values[f"blocks[0].block[{number}].kind"] = block["kind"]
        values[f"blocks[0].block[{number}].maxpool"] = json.dumps(block["maxpool"])
    return values


def asked(trial: int, net: Network, time: float = BEGIN) -> Asked:
    cost = net.cost
    return Asked(
        time=time,
        trial=trial,
        asked=dict.fromkeys(built(net), 0),
        built=built(net),
        network=json.loads(net.model_dump_json()),
        recipe=Recipe(),
        parameters=cost.parameters,
        macs=cost.macs,
        weight_bytes=cost.weight_bytes,
        activation_bytes=cost.activation_bytes,
        fingerprint=net.fingerprint,
    )


def story(trial: int, state: FinalState, seed: int = 0) -> list[Event]:
    """Tell what happens to one candidate; bigger networks of more blocks read better, with some noise."""
    dice = draw(f"{seed} {trial}")
    net = network(dice)
    time = BEGIN + 20 * trial
    events: list[Event] = [asked(trial, net, time)]
    if state in {"turned_away", "repeated"}:
        return [
            *events,
            Finished(time=time, trial=trial, state=state, reason=state, of=0 if state == "repeated" else None),
        ]
    best = 0.994 - 0.02 / len(net.blocks) ** 2 - dice.random() * 0.008
    curve = [best - 0.05 / epoch**2 for epoch in range(1, 4 if state == "stopped" else 7)]
    events.append(Started(time=time + 1, trial=trial, attempt=1, slot=trial % 2))
    events += [
        Epoch(
            time=time + 5 * epoch,
            trial=trial,
            epoch=epoch,
            loss=1 / epoch,
            validation_accuracy=value,
            validation_loss=0.1,
            seconds=5,
        )
        for epoch, value in enumerate(curve, start=1)
    ]
    score = curve[-1] if state == "complete" else None
    reason = {"failed": "diverged", "stopped": "worse than others at epoch 3"}.get(state, "")
    return [*events, Finished(time=time + 35, trial=trial, state=state, reason=reason, score=score, seconds=34)]


def write_run(
    folder: Path,
    states: tuple[FinalState, ...] = STATES,
    closed: CloseState | None = "complete",
    notice: str = "",
    plan: dict[str, Any] | None = None,
) -> Path:
    with record.own(folder) as to:
        write_whole(folder / PLAN, json.dumps({"dataset": "mnist", "seed": 7, **(plan or {})}))
        to.append(
            Opened(time=BEGIN, host="here", pid=1, versions={"cnnsearch": "0.1.0", "torch": "2.14.1"}, notice=notice)
        )
        for trial, state in enumerate(states):
            for event in story(trial, state):
                to.append(event)
        if closed:
            to.append(Closed(time=BEGIN + 20 * len(states) + 40, state=closed))
    return folder
