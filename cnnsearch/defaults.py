"""What is searched, and how, when nobody says? One plan in plain data for each data set.

`studies/mnist.yaml` and `studies/digits.yaml` say the same with comments; a test keeps them equal. What was measured
before these were chosen, the losers included, is in examples/benchmarks/README.md.
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
        "epochs": 4,
        "first_epoch_share": 0.16,
        "batch_size": 64,
        "optimizer": "muon",
        "learning_rate": 0.015,
        "restarts": [1],
    },
    "limits": {"max_macs": 3_000_000},
    "pruner": {"kind": "successive", "rungs": [1], "keep": 0.08},
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
