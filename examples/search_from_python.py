"""Shows a whole study in twenty lines: search on scikit-learn's digits, then use the winner of its finals.

`python examples/search_from_python.py [FOLDER]` keeps the run in FOLDER, `runs` when none is given. Run it again and it
answers from there.
"""

import sys

import cnnsearch

runs = sys.argv[1] if len(sys.argv) > 1 else "runs"
conv = {"out_channels": {"choice": [8, 16, 32]}, "kernel_size": {"choice": [3, 5]}, "padding": "same"}
block = {"conv": conv, "maxpool": {"choice": [None, {"kernel_size": 2}]}}
space = {"blocks": [{"repeat": {"int": [1, 3]}, "block": block}]}
recipe = {"epochs": 6, "batch_size": 32, "augmentation": None, "learning_rate": {"float": [0.003, 0.03], "log": True}}
finals = {"candidates": 2, "finalists": 1, "seeds": 2}  # few, since this is an example
choices = {
    "dataset": "digits",
    "space": space,
    "recipe": recipe,
    "budget": {"trials": 6},
    "finals": finals,
    "runs": runs,
}
run = cnnsearch.search(cnnsearch.Plan.model_validate(choices))
found = cnnsearch.decided(run)
assert found  # the finals are over, and somebody won
winner = found.winner
print(f"winner: {winner.network} with {winner.parameters:,} parameters; {winner.test_accuracy:.1%} of the test images")
module = cnnsearch.load(run.folder)  # the winner, a plain nn.Module that takes pixels from 0 to 1
print(f"{type(module).__name__} for the classes {', '.join(module.classes)}")
