"""What stands in a plan where it says nothing?"""

from typing import cast

from cnnsearch.datasets import FACTS, data_root
from cnnsearch.defaults import DEFAULTS, own_default
from cnnsearch.errors import InvalidSpecError
from cnnsearch.own.image import Image
from cnnsearch.own.keep import facts_of, is_there
from cnnsearch.text import Plain
from cnnsearch.word import misfit

_UNFITTED: dict[str, Plain] = {"restarts": [], "first_epoch_share": 1.0}
"""What a recipe has where it does not say, and the default plans fit to their number of epochs."""


def completed(data: Plain) -> Plain:
    """Fill in what the data set's default plan says.

    A given space is taken whole, and without the limits that were fitted to the default one; so is a number of epochs
    without the restarts, the short first epoch, the stopping and the epochs of the finals that were, and another kind
    of stopping without the share that goes on.
    """
    if not isinstance(data, dict):
        return data
    given = {key: value for key, value in cast("dict[str, Plain]", data).items() if key != "$schema"}
    default = _fitting(_default_of(given), given)
    merged = {**default, **given}
    for key, example in (("recipe", "{epochs: {choice: [1, 2]}}"), ("space", "{blocks: {choice: [...]}}")):
        if isinstance(given.get(key), dict) and "choice" in given[key]:
            raise misfit(key, f"holes stand within it, and not in its place, as in {key}: {example}")
    for key in ("recipe", "limits", "pruner", "finals"):
        if isinstance(given.get(key), dict):
            merged[key] = {**default.get(key, {}), **given[key]}
    return merged


def _default_of(given: dict[str, Plain]) -> dict[str, Plain]:
    """Give the data set's default plan; what is wrong with these fields is left to their own checks."""
    dataset, root = given.get("dataset", "mnist"), given.get("data_root")
    if not isinstance(dataset, str) or dataset in FACTS or not is_there(dataset):
        return DEFAULTS[dataset if dataset == "digits" else "mnist"]
    try:
        image = Image.model_validate(given.get("image", {}))
    except InvalidSpecError:
        return DEFAULTS["mnist"]
    facts = facts_of(dataset, image, data_root(root if isinstance(root, str) else None))
    return own_default(facts.height, facts.width, facts.train_images)


def finals_of(stored: dict[str, Plain]) -> dict[str, Plain]:
    """Give what the data set's default plan says of the finals, for a run that had none, if it has its schedule."""
    default = _default_of(stored)
    recipes = ({**_UNFITTED, **plan["recipe"]} for plan in (stored, default))
    had, usual = ([recipe.get(key) for key in ("epochs", *_UNFITTED)] for recipe in recipes)
    return default.get("finals", {}) if had == usual else {}


def _fitting(default: dict[str, Plain], given: dict[str, Plain]) -> dict[str, Plain]:
    """Leave out of the defaults what was fitted to something that is now given."""
    recipe = given.get("recipe")
    if isinstance(recipe, dict) and "epochs" in recipe:
        unfitted = {key: value for key, value in _UNFITTED.items() if key in default["recipe"]}
        default = {**default, "recipe": {**default["recipe"], **unfitted}, "pruner": {}, "finals": {}}
    pruner, usual = given.get("pruner"), cast("dict[str, Plain]", default.get("pruner", {}))
    if isinstance(pruner, dict) and "kind" in pruner and pruner["kind"] != usual.get("kind"):
        default = {**default, "pruner": {key: value for key, value in usual.items() if key != "keep"}}
    return {key: value for key, value in default.items() if key != "limits" or "space" not in given}
