"""What is searched, and how, when nobody says? One plan in plain data for each data set.

`studies/mnist.yaml` and `studies/digits.yaml` say the same with comments; a test keeps them equal. What was measured
before these were chosen, the losers included, is in examples/benchmarks/README.md. Those for images of one's own carry
the same over to other sizes and counts by a few rules; nothing was measured for them.
"""

from cnnsearch.text import Plain


def _conv(out_channels: list[int], kernel_sizes: list[int]) -> Plain:
    """Keep the map's size, and leave the bias to the batch norm that follows."""
    kernel_size = {"choice": kernel_sizes} if len(kernel_sizes) > 1 else kernel_sizes[0]
    return {"out_channels": {"choice": out_channels}, "kernel_size": kernel_size, "padding": "same", "bias": False}


_POOL: Plain = {"kernel_size": 2}

_MNIST: Plain = {
    "space": {
        "blocks": [
            {"conv": _conv([8, 16], [3, 5]), "maxpool": _POOL},
            {"repeat": {"int": [1, 2]}, "block": {"conv": _conv([16, 24, 32], [3])}},
            {"conv": _conv([24, 32, 48], [3]), "maxpool": _POOL},
            {"repeat": {"int": [1, 2]}, "block": {"conv": _conv([32, 48, 64], [3])}},
        ],
        "head": {"pool": {"choice": ["average", "max"]}, "hidden": {"choice": [[], [64]]}},
    },
    "recipe": {
        "epochs": 8,
        "first_epoch_share": 0.16,
        "batch_size": 64,
        "optimizer": "muon",
        "learning_rate": 0.015,
        "restarts": [1],
    },
    "limits": {"max_macs": 3_000_000},
    "pruner": {"kind": "successive", "rungs": [1], "keep": 0.08},
    "finals": {"epochs": 14},
}

_DIGITS: Plain = {
    "space": {
        "blocks": [
            {"repeat": {"int": [1, 2]}, "block": {"conv": _conv([8, 16, 32], [3, 5])}},
            {
                "conv": _conv([16, 32, 48], [3]),
                "maxpool": {"choice": [_POOL, {"kernel_size": 3, "stride": 2, "padding": 1}]},
            },
            {"repeat": {"int": [0, 2]}, "block": {"conv": _conv([16, 32, 48], [3])}},
        ],
        "head": {"pool": {"choice": ["average", "max"]}, "hidden": {"choice": [[], [32]]}},
    },
    "recipe": {
        "epochs": 20,
        "batch_size": 32,
        "learning_rate": {"float": [0.003, 0.03], "log": True},
        "restarts": [5],
        "augmentation": {"shift": 0.5, "rotation": 10.0, "scale": 0.1},
    },
    "pruner": {"kind": "halving", "rungs": [5], "keep": 0.25},
}

DEFAULTS: dict[str, Plain] = {"mnist": _MNIST, "digits": _DIGITS}

MANY_IMAGES = 10_000  # from here on what was found on MNIST is taken, below what was found on the digits
PASSES = 200_000  # images a training sees where there are many: larger images take longer than MNIST's


def own_default(height: int, width: int, train_images: int) -> Plain:
    """Give the default plan for images of one's own, by their size and number."""
    side = min(height, width)
    return {"space": _own_space(side), **_own_training(side, train_images)}


def _own_space(side: int) -> Plain:
    """Pool until maps of 4 to 12 pixels are left, of very large images more.

    Whoever pools more, begins with larger steps and fewer channels.
    """
    if side < 16:  # noqa: PLR2004 (as the digits' 8x8)
        return _DIGITS["space"]
    if side <= 40:  # noqa: PLR2004 (as MNIST's 28x28)
        return _MNIST["space"]
    first = {"conv": _conv([8, 16], [3, 5]), "maxpool": _POOL}
    if side > 96:  # noqa: PLR2004 (a first layer at full size would cost more than all others)
        first = {"conv": {**_conv([8, 16, 24], [5, 7]), "stride": 2, "padding": 2}, "maxpool": _POOL}
    blocks = [
        first,
        {"conv": _conv([16, 24, 32], [3]), "maxpool": _POOL},
        {"repeat": {"int": [1, 2]}, "block": {"conv": _conv([24, 32, 48], [3])}},
        {"conv": _conv([32, 48, 64], [3]), "maxpool": _POOL},
        {"repeat": {"int": [1, 2]}, "block": {"conv": _conv([48, 64, 96], [3])}},
    ]
    return {"blocks": blocks, "head": _MNIST["space"]["head"]}


def _own_training(side: int, train_images: int) -> Plain:
    """Few images are seen often, in small batches; they move by a sixteenth of their side and turn a little."""
    augmentation = {"shift": side / 16, "rotation": 5.0, "scale": 0.1}
    if train_images >= MANY_IMAGES:
        recipe = {**_MNIST["recipe"], "epochs": max(2, PASSES // train_images), "augmentation": augmentation}
        return {"recipe": recipe, "pruner": _MNIST["pruner"]}
    recipe = {**_DIGITS["recipe"], "augmentation": augmentation}
    if train_images < 500:  # noqa: PLR2004 (an epoch of batches of 32 would have a dozen steps)
        recipe["batch_size"] = 16
    return {"recipe": recipe, "pruner": _DIGITS["pruner"]}
