"""What is a word: a frozen value, valid by construction, whose faults name their place."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, ClassVar, Self, cast, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from cnnsearch.errors import MOST_SHOWN, MOST_TOLD, Fault, InvalidSpecError, Scope, brief, join, place
from cnnsearch.meant import hole_meant, number_meant
from cnnsearch.text import read_json

HOLES = ("choice", "int", "float", "repeat")
"""What opens a hole where a value might stand."""
_TRUTH = {
    "yes": "true", "on": "true", "true": "true", "1": "true",
    "no": "false", "off": "false", "false": "false", "0": "false",
}  # fmt: skip
FEW_KEYS = 6  # so many are listed
LIKE, ALIKE = 0.6, 0.85  # of two keys: worth a guess, and but for a letter the same
_FOLLOWS = "it follows from what comes before; leave it out"
_MEASURED = "no limit keeps a time, which is measured; seek it to be small with objectives: {latency: {}}"
_NOWHERE = {
    "in_channels": _FOLLOWS,
    "in_features": _FOLLOWS,
    "num_features": _FOLLOWS,
    "latency": _MEASURED,
    "max_latency": _MEASURED,
    "timeout": "a limit of time is `minutes` of the budget for a search, `trial_minutes` for one training",
}
"""Keys that many look for, and that stand nowhere."""
_OF_LENGTH = {"too_short", "too_long"}  # pydantic's own names of faults


class Word(BaseModel):
    """A frozen pydantic value: unknown keys, text for numbers and NaN are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
    )
    takes_holes: ClassVar[bool] = True
    """Whether a hole may stand for a value of it, in a space or recipe."""
    read_as: ClassVar[Mapping[str, type[BaseModel]]] = {}
    """The words as which fields are read that keep plain data, since holes may stand in it."""

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:  # noqa: ANN401 (the border: anything may come)
        """Check plain data; raise InvalidSpecError with every place found."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise InvalidSpecError(faults(error, cls)) from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:  # noqa: ANN401
        """Read JSON text; raise InvalidSpecError, for duplicate keys, NaN and bombs too."""
        return cls.model_validate(read_json(json_data), **options)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy the word with other values, which are not checked; what it had worked out from its own is forgotten."""
        copied = super().model_copy(update=update, deep=deep)
        if update:
            values = vars(copied)
            for cached in values.keys() - type(self).model_fields.keys():
                del values[cached]
        return copied

    def to_json(self) -> str:
        """Write the word as a person would: what equals its default is left out."""
        return self.model_dump_json(exclude_defaults=True)


def as_tuple(value: object) -> object:
    """Read a list, as files have it, as the tuple that a frozen word holds; for pydantic's BeforeValidator."""
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def tuple_of(least: int, most: int) -> BeforeValidator:
    """Read a list as a tuple; its length is checked before its items are looked at, which pydantic does not do.

    For a field of few items, whose schema then says so itself.
    """

    def read(value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        items = cast("list[object]", value)
        if not least <= len(items) <= most:
            raise misfit("", f"must have from {least} to {most} items, not {len(items)}", "length")
        return tuple(items)

    return BeforeValidator(read)


def misfit(where: str, message: str, scope: Scope | None = None) -> PydanticCustomError:
    """Make the error that a validator raises; `where` is the place within the word, or "" for a value by itself."""
    fault = Fault(where, message, scope or ("word" if where else "field"))
    return PydanticCustomError("misfit", "{message}", {"message": message, "faults": (fault,)})


def nested(error: ValidationError, word: type[BaseModel]) -> PydanticCustomError:
    """Wrap the faults of a word that a validator read by itself, so that their places are kept."""
    return passed_on(InvalidSpecError(faults(error, word)))


def passed_on(error: InvalidSpecError) -> PydanticCustomError:
    """Wrap faults found by another word in a validator, with their places."""
    return PydanticCustomError("misfit", "{message}", {"message": str(error), "faults": error.faults})


def faults(error: ValidationError, word: type[BaseModel]) -> tuple[Fault, ...]:
    """Say pydantic's errors about a `word` our way: the place as it stands in the file, then the law.

    A key is not called missing where an unknown one is perhaps meant for it.
    """
    details = error.errors(include_url=False)
    words = [word] * MOST_TOLD + [BaseModel] * len(details)  # nobody reads what lies beyond: no search for near keys
    each = list(zip(details, words, strict=False))
    meant = {
        (*detail["loc"][:-1], near)
        for detail, of in each
        if detail["type"] == "extra_forbidden"
        for near in _near_keys(detail["loc"], of)
    }
    told = ((detail, of) for detail, of in each if detail["type"] != "missing" or detail["loc"] not in meant)
    return tuple(fault for detail, of in told for fault in _faults_of(detail, of))


def _faults_of(detail: ErrorDetails, word: type[BaseModel]) -> list[Fault]:
    parts = (part for part in detail["loc"] if part != "[key]")  # pydantic's word for a mapping's bad key
    here = place(*(repr(part) if part == "" else part for part in parts))  # a key without a name has a place too
    inner: tuple[Fault, ...] = detail.get("ctx", {}).get("faults", ())
    if inner:
        return [fault._replace(place=join(here, fault.place)) for fault in inner]
    return [Fault(here, _say(detail, word), "length" if detail["type"] in _OF_LENGTH else "field")]


def _say(detail: ErrorDetails, word: type[BaseModel]) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return f"unknown key; {_way_out_of_key(detail['loc'], word)}"
    if detail["type"] == "tuple_type":
        return f"must be a list in brackets, not {brief(detail['input'])}"
    if detail["type"] in {"model_type", "dict_type"}:
        word_here = _word_at(detail["loc"], word) if detail["type"] == "model_type" else None
        example = f"such as {{{next(iter(word_here.model_fields))}: ...}}" if word_here else "of keys to values"
        off = "; null leaves it out" if detail["input"] is False and _may_be_null(detail["loc"], word) else ""
        return f"must be a mapping {example}, not {brief(detail['input'])}{off}"
    if detail["type"] == "missing":
        return "missing; this key must be given"
    if detail["type"] in _OF_LENGTH:
        limit = detail["ctx"]  # pyright: ignore[reportTypedDictNotRequiredAccess] (these two have it)
        length = f"at least {limit['min_length']}" if "min_length" in limit else f"at most {limit['max_length']}"
        return f"must have {length} items, not {limit['actual_length']}"
    seen = "what is given" if _is_secret(detail["loc"], word) else f"{brief(detail['input'])}{_way_out(detail, word)}"
    return f"{message[0].lower()}{message[1:]}, not {seen}"


def _way_out(detail: ErrorDetails, word: type[BaseModel]) -> str:
    kind, value = detail["type"], detail["input"]
    options = re.findall("'([^']*)'", detail["msg"]) if kind == "literal_error" else []
    near = get_close_matches(str(value)[:MOST_SHOWN].lower(), options, n=1)
    if near:
        return f"; perhaps you meant {near[0]!r}"
    if kind == "bool_type" and (truth := _TRUTH.get(str(value).lower())):
        return f"; perhaps you meant {truth}"
    open_too = issubclass(word, Word) and word.takes_holes
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"; perhaps you meant {int(value)}{', or of a range int, not float' if open_too else ''}"
    unquoted = number_meant(value) if kind in {"int_type", "float_type"} and isinstance(value, str) else ""
    meant = hole_meant(value, is_float=kind == "float_type") if open_too else ""
    return unquoted or meant or _way_out_of_hole(value)


def _way_out_of_hole(value: object) -> str:
    keys = cast("dict[object, object]", value) if isinstance(value, dict) else {}
    if not keys.keys().isdisjoint(HOLES):
        return "; no hole may stand here"
    near = [name for key in keys for name in get_close_matches(str(key), HOLES, n=1, cutoff=0.7)]
    return f"; perhaps you meant {near[0]!r}" if near else ""


def _is_secret(path: Sequence[str | int], word: type[BaseModel]) -> bool:
    """Say whether a field is left out of its word's repr, since it may hold a password."""
    field = word.model_fields.get(str(path[0])) if path else None
    return field is not None and not field.repr


def _near_keys(path: Sequence[str | int], word: type[BaseModel], least: float = LIKE) -> list[str]:
    """Give the key that was perhaps meant by an unknown one, if any is at least so much like it, of 1."""
    outer = _word_at(path[:-1], word)
    return get_close_matches(str(path[-1]), outer.model_fields, n=1, cutoff=least) if outer else []


def _way_out_of_key(path: Sequence[str | int], word: type[BaseModel]) -> str:
    if path[-1] in _NOWHERE:
        return _NOWHERE[str(path[-1])]
    deeper = _deeper_keys(path, word)
    nearest = [*_near_keys(path, word, ALIKE if deeper else LIKE), *_long_keys(path, word)][:1]
    near = [*nearest, *deeper]
    if near:
        return f"perhaps you meant {' or '.join(map(repr, near))}"
    outer = _word_at(path[:-1], word)
    if outer and len(outer.model_fields) <= FEW_KEYS:
        return f"known here: {', '.join(outer.model_fields)}"
    return "is it misspelt, or does it belong elsewhere?"


def _deeper_keys(path: Sequence[str | int], word: type[BaseModel]) -> list[str]:
    """Give where a key belongs that stands one level too high."""
    outer, key = _word_at(path[:-1], word), str(path[-1])
    if not (outer and issubclass(outer, Word)):
        return []
    inner = {
        name: _word_in(field.annotation) for name, field in outer.model_fields.items() if name not in outer.read_as
    }
    return [f"{name}.{key}" for name, part in {**inner, **outer.read_as}.items() if part and key in part.model_fields]


def _long_keys(path: Sequence[str | int], word: type[BaseModel]) -> list[str]:
    """Give what a key is short for: lr for learning_rate."""
    outer = _word_at(path[:-1], word)
    long = [name for name in outer.model_fields if "_" in name] if outer else []
    return [name for name in long if "".join(part[:1] for part in name.split("_")) == path[-1]]


def _may_be_null(path: Sequence[str | int], word: type[BaseModel]) -> bool:
    outer = _word_at(path[:-1], word)
    field = outer.model_fields.get(str(path[-1])) if outer else None
    return field is not None and type(None) in get_args(field.annotation)


def _word_at(path: Sequence[str | int], word: type[BaseModel]) -> type[BaseModel] | None:
    here: type[BaseModel] | None = word
    for part in path:
        if here and isinstance(part, str) and part in here.model_fields:
            here = _word_in(here.model_fields[part].annotation)
    return here


def _word_in(annotation: object) -> type[BaseModel] | None:
    """Give the word that a field holds, by itself, in a list, or where it is not null."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((word for inner in get_args(annotation) if (word := _word_in(inner))), None)
