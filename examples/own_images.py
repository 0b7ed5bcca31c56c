"""Shows a search on pictures of one's own: a folder for each class, and nothing else to prepare.

`python examples/own_images.py [FOLDER]` writes scikit-learn's digits from 0 to 3 as 720 PNG files into FOLDER/my_images
(FOLDER is here, when none is given) and searches on them; where that folder is there already, it takes what is in it.
As a command: `python -m cnnsearch.study --dataset my_images`.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_digits

import cnnsearch

folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
images = folder / "my_images"
if not images.exists():
    names = ("zero", "one", "two", "three")
    digits = load_digits(n_class=len(names))
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = images / names[label] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * (255 / 16)).round().astype("uint8")).save(path)

block = {"conv": {"out_channels": {"choice": [8, 16]}, "kernel_size": 3, "padding": "same"}}
choices = {
    "dataset": str(images),
    "space": {"blocks": [{"repeat": {"int": [1, 3]}, "block": block}]},  # left out, it follows from the images' size
    "recipe": {"epochs": 6, "learning_rate": 0.01},
    "budget": {"trials": 3},
    "finals": {"candidates": 2, "finalists": 1, "seeds": 2, "baselines": ["majority"]},  # few: this is an example
    "runs": str(folder / "runs"),
    "data_root": str(folder / "cache"),  # left out, the platform's cache folder: where the pictures lie decoded
}
plan = cnnsearch.Plan.model_validate(choices)
print(f"{plan.facts.train_images} images to train with, {plan.facts.validation_images} to choose by")
run = cnnsearch.search(plan)
best = cnnsearch.load(run.folder)
print(f"winner of the finals, whose test images were held back until then: {best.network}")

picture = next((images / best.classes[0]).iterdir())
pixels = np.atleast_3d(np.array(Image.open(picture)))
pixels = torch.tensor(pixels).permute(2, 0, 1)[None] / 255
with torch.inference_mode():
    found = best(pixels).argmax(dim=1).item()
print(f"{picture.parent.name}/{picture.name} is taken for {best.classes[found]!r}")
