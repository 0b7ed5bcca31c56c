"""What was meant by a value that is written as other tools write numbers, ranges and choices?"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeGuard, cast

from cnnsearch.errors import MOST_ITEMS, brief

_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?([eE][+-]?\d{1,3})?")
_ENDS = (("low", "high"), ("min", "max"), ("min_value", "max_value"), ("lower", "upper"))
"""What others name the ends of a range."""
_NAMES = {"range": ("uniform", "range", "int", "float", "log"), "choice": ("choice", "categor", "value", "option")}
"""What stands in others' names of ranges and choices; the first that is found decides."""
_SAYING = {str, list, bool}  # values whose key, or they themselves, may say that a range is logarithmic


def number_meant(value: object) -> str:
    """Say so where numbers stand in quotation marks; else nothing.

    >>> number_meant("8"), number_meant(["1e-3", "0.1"]), number_meant("eight")
    ('; write it without quotation marks', '; write them without quotation marks', '')
    """
    texts = cast("list[object]", value) if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) and _NUMBER.fullmatch(text) for text in texts):
        return ""
    return f"; write {'them' if isinstance(value, list) else 'it'} without quotation marks"


def hole_meant(value: object, *, is_float: bool = False) -> str:
    """Say how a choice or a range is written, where a value looks as if it were meant for one; else nothing.

    A range has whole numbers where its ends are such, unless floats are asked for.

    >>> hole_meant({"low": 0.001, "high": 0.1, "log": True})
    '; a range in a space is written {"float": [0.001, 0.1], "log": true}'
    """
    if isinstance(value, dict):
        return _of_mapping({str(key): item for key, item in cast("dict[object, object]", value).items()}, is_float)
    items = [_unquoted(item) for item in cast("list[object]", value)] if isinstance(value, list) else []
    if not _may_be_options(items):
        return ""
    return f"; {_choice(items)}, a range {_range(items, is_float)}" if _may_be_ends(items) else f"; {_choice(items)}"


def _unquoted(item: object) -> object:
    if not (isinstance(item, str) and _NUMBER.fullmatch(item)):
        return item
    return int(item) if item.lstrip("+-").isdigit() else float(item)


def _of_mapping(value: Mapping[str, object], is_float: bool) -> str:  # noqa: FBT001 (handed on)
    texts = [*(item for item in value.values() if isinstance(item, str)), *value]
    if any("normal" in text for text in texts):  # its numbers are no ends
        return ""
    more = _more(value)
    for low, high in _ENDS:
        if low in value and high in value and _may_be_ends(ends := [value[low], value[high]]):
            return _range_in_words(ends, is_float, more)
    lists = [cast("list[object]", item) for item in value.values() if isinstance(item, list)]
    if len(lists) != 1:
        return ""
    kind = next((kind for text in texts for kind, names in _NAMES.items() if any(name in text for name in names)), "")
    if kind == "range" and _may_be_ends(lists[0]):
        return _range_in_words(lists[0], is_float, more)
    return f"; {_choice(lists[0])}" if kind == "choice" and _may_be_options(lists[0]) else ""


def _more(value: Mapping[str, object]) -> str:
    """Give what a range has besides its ends."""
    said = (item if isinstance(item, str) else key for key, item in value.items() if item and type(item) in _SAYING)
    step = next((value[key] for key in ("step", "step_size", "q") if key in value), None)
    if any("log" in text for text in said):
        return ', "log": true'
    return f', "step": {step}' if type(step) in {int, float} else ""


def _may_be_options(items: Sequence[object]) -> bool:
    scalars = {item for item in items if isinstance(item, str | int | float)}
    return 1 < len(scalars) == len(items)  # no option stands twice


def _may_be_ends(values: Sequence[object]) -> TypeGuard[Sequence[float]]:
    return len(values) == 2 and all(type(value) in {int, float} for value in values)  # noqa: PLR2004 (low and high)


def _range_in_words(ends: Sequence[float], is_float: bool, more: str) -> str:  # noqa: FBT001
    is_of_exponents = "log" in more and min(ends) <= 0  # which is another tool's own law
    return "" if is_of_exponents else f"; a range in a space is written {_range(ends, is_float, more)}"


def _choice(options: Sequence[object]) -> str:
    return f'a choice in a space is written {{"choice": {brief(options) if len(options) <= MOST_ITEMS else "[...]"}}}'


def _range(ends: Sequence[float], is_float: bool, more: str = "") -> str:  # noqa: FBT001
    kind = "int" if not is_float and all(isinstance(end, int) for end in ends) else "float"
    return f'{{"{kind}": {brief(sorted(ends))}{more}}}'
