"""What is searched, and how, when nobody says? One plan in plain data for each data set.

`studies/mnist.yaml` and `studies/digits.yaml` say the same with comments; a test keeps them equal.
"""

from cnnsearch.text import Plain

_MNIST: Plain = {
    "space": {
        "blocks": [
            {
                "repeat": {"int": [3, 5]},
                "block": {
                    "conv": {
                        "out_channels": {"choice": [8, 16, 24, 32, 48, 64]},
                        "kernel_size": {"choice": [3, 5]},
                        "padding": "same",
                        "bias": False,
                    },
                    "maxpool": {"choice": [None, {"kernel_size": 2}]},
                },
            }
        ],
        "head": {"pool": {"choice": ["average", "max"]}},
    },
    "recipe": {"epochs": 6, "learning_rate": {"float": [0.003, 0.03], "log": True}},
}

_DIGITS: Plain = {
    "space": _MNIST["space"],
    "recipe": {"epochs": 20, "learning_rate": {"float": [0.003, 0.03], "log": True}},
}

DEFAULTS: dict[str, Plain] = {"mnist": _MNIST, "digits": _DIGITS}
