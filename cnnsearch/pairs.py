"""How are height and width written in a file? As a pair, or as one number for both."""

from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from cnnsearch.errors import brief
from cnnsearch.meant import hole_meant, number_meant
from cnnsearch.shapes import Pair
from cnnsearch.word import misfit

MOST_PIXELS = 1_024  # of a kernel, stride, padding or dilation


def _axes(value: object) -> list[object]:
    return [*cast("list[object] | tuple[object, ...]", value)] if isinstance(value, list | tuple) else [value, value]


def _read_pair(value: object, lowest: int) -> Pair:
    axes = _axes(value)
    numbers = [axis for axis in axes if type(axis) is int]  # type, since True is an int to isinstance
    if len(axes) != 2 or len(numbers) != 2:  # noqa: PLR2004 (height and width)
        law = f"must be a whole number or a [height, width] pair of them, not {brief(value)}"
        raise misfit("", f"{law}{number_meant(value) or hole_meant(value)}")
    if not lowest <= min(numbers) <= max(numbers) <= MOST_PIXELS:
        raise misfit("", f"must be from {lowest} to {MOST_PIXELS}, not {brief(value)}")
    return numbers[0], numbers[1]


def _read_padding(value: object) -> object:
    if isinstance(value, str) and value not in {"same", "valid"}:
        raise misfit("", f"must be 'same', 'valid', a whole number or a [height, width] pair, not {brief(value)}")
    return value if isinstance(value, str) else _read_pair(value, 0)


def _pair_schema(lowest: int) -> dict[str, Any]:
    number = {"type": "integer", "minimum": lowest, "maximum": MOST_PIXELS}
    return {"anyOf": [number, {"type": "array", "items": number, "minItems": 2, "maxItems": 2}]}


def _shortest(value: Pair | str | None) -> Pair | str | int | None:
    """Write a pair of equals as one number."""
    return value[0] if isinstance(value, tuple) and value[0] == value[1] else value


_short = PlainSerializer(_shortest)
PairFrom1 = Annotated[
    Pair, BeforeValidator(lambda value: _read_pair(value, 1)), WithJsonSchema(_pair_schema(1)), _short
]
PairFrom0 = Annotated[
    Pair, BeforeValidator(lambda value: _read_pair(value, 0)), WithJsonSchema(_pair_schema(0)), _short
]
Padding = Annotated[
    Pair | Literal["same", "valid"],
    BeforeValidator(_read_padding),
    WithJsonSchema({"anyOf": [*_pair_schema(0)["anyOf"], {"enum": ["same", "valid"]}]}),
    _short,
]
