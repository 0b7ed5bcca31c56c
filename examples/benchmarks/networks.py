"""Which networks are measured, and how do texts and the plain loop's descriptions read as networks of cnnsearch?"""

import random
from typing import Any

from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.space import uniformly

Description = dict[str, Any]


def describe(network: Network) -> Description:
    """Write a network of plain blocks as the plain loop reads it."""
    data = network.model_dump(mode="json")
    blocks = [
        {
            "out_channels": block["conv"]["out_channels"],
            "kernel_size": block["conv"]["kernel_size"],
            "padding": block["conv"]["padding"],
            "pool": block["maxpool"] is not None,
        }
        for block in data["blocks"]
    ]
    return {"blocks": blocks, "pool": data["head"]["pool"], "hidden": list(data["head"]["hidden"])}


def network_of(description: Description) -> Network:
    """Read it back."""
    blocks = [
        {
            "conv": {**{name: block[name] for name in ("out_channels", "kernel_size", "padding")}, "bias": False},
            "maxpool": {"kernel_size": 2} if block["pool"] else None,
        }
        for block in description["blocks"]
    ]
    return _of_mnist(blocks, {"pool": description["pool"], "hidden": description["hidden"]})


def network_from(text: str, pool: str = "max") -> Network:
    """Read channels, an s before those of a separable block, a p behind those of one with a pool."""
    blocks = [
        {
            "kind": "separable" if word.startswith("s") else "plain",
            "conv": {"out_channels": int(word.strip("sp")), "kernel_size": 3, "padding": "same", "bias": False},
            "maxpool": {"kernel_size": 2} if word.endswith("p") else None,
        }
        for word in text.split()
    ]
    return _of_mnist(blocks, {"pool": pool})


def _of_mnist(blocks: list[Description], head: Description) -> Network:
    image = {"channels": 1, "height": 28, "width": 28}
    return Network.model_validate({"input": image, "blocks": blocks, "head": head, "classes": 10})


def draw(count: int) -> list[Network]:
    """Draw different networks from the default space, within its limits."""
    plan, suggest = Plan.model_validate({}), uniformly(random.Random(0))  # noqa: S311 (no secret)
    found: dict[str, Network] = {}
    while len(found) < count:
        network = plan.draw(suggest).network
        if max(plan.limits.excess(network.cost).values()) <= 0:
            found.setdefault(network.fingerprint, network)
    return list(found.values())
