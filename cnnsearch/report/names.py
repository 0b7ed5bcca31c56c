"""What is a hole called where there is little room?"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from html import escape
from typing import NamedTuple

from cnnsearch.events import Scalar
from cnnsearch.history import Run, Trial


class _Path(NamedTuple):
    numbers: tuple[str, ...]
    words: tuple[str, ...]

    def last(self, words: int) -> str:
        return " ".join(part for part in (".".join(self.numbers), ".".join(self.words[-words:])) if part)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Shorten holes' paths to the fewest last words that tell them apart, with their numbers in front.

    >>> short_names(["blocks[0].block[1].conv.out_channels", "blocks[0].block[2].conv.out_channels", "head.hidden"])
    ... # doctest: +NORMALIZE_WHITESPACE
    {'blocks[0].block[1].conv.out_channels': '1 out_channels',
     'blocks[0].block[2].conv.out_channels': '2 out_channels', 'head.hidden': 'hidden'}
    """
    paths = _without_shared_number({name: _path(name) for name in names})
    words = dict.fromkeys(paths, 1)
    while True:
        short = {name: path.last(words[name]) for name, path in paths.items()}
        twice = {text for text, count in Counter(short.values()).items() if count > 1}
        longer = [name for name, path in paths.items() if short[name] in twice and words[name] < len(path.words)]
        if not longer:
            return {name: name if short[name] in twice else short[name] for name in paths}
        for name in longer:
            words[name] += 1


def _path(name: str) -> _Path:
    name = re.sub(r"\.choice\[\d+\]", "", name)  # which option a hole lies in says nothing to a reader
    words = re.sub(r"\[\d+\]", "", name).split(".")
    return _Path(tuple(re.findall(r"\[(\d+)\]", name)), tuple(word for word in words if word))


def _without_shared_number(paths: dict[str, _Path]) -> dict[str, _Path]:
    """Leave out the first number where all have the same: in a space of one repeat, `blocks[0]` tells nothing."""
    if len({path.numbers[0] for path in paths.values() if path.numbers}) != 1:
        return paths
    return {name: path._replace(numbers=path.numbers[1:]) for name, path in paths.items()}


def readable(run: Run, names: Mapping[str, str]) -> Run:
    """Give the run with its holes and options named as figures show them; plotly reads tags in texts, hence escaped."""
    return run._replace(trials=tuple(_renamed(trial, names) for trial in run.trials))


def _renamed(trial: Trial, names: Mapping[str, str]) -> Trial:
    built = {escape(names[name]): _plain(value) for name, value in trial.built.items()}
    return trial.model_copy(update={"built": built})


def _plain(value: Scalar) -> Scalar:
    """Write an option as words: kernel_size 2 for {"kernel_size": 2}."""
    if not isinstance(value, str):
        return value
    is_object = value.startswith("{") and value != "{}"
    return escape(re.sub(r'[{}"]|:(?= )', "", value) if is_object else value)
