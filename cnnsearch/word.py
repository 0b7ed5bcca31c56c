"""What is a word: a frozen value, valid by construction, whose faults name their place."""

from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from cnnsearch.errors import Fault, InvalidSpecError, brief, join, place
from cnnsearch.text import read_json


class Word(BaseModel):
    """A frozen pydantic value: unknown keys, text for numbers and NaN are refused."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:  # noqa: ANN401 (the border: anything may come)
        """Check plain data; raise InvalidSpecError with every place found."""
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise InvalidSpecError(faults(error)) from None

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:  # noqa: ANN401
        """Read JSON text; unlike pydantic's own reader it refuses duplicate keys, NaN and bombs."""
        return cls.model_validate(read_json(json_data), **options)

    def to_json(self) -> str:
        """Write the word as a person would: what equals its default is left out."""
        return self.model_dump_json(exclude_defaults=True)


def as_tuple(value: object) -> object:
    """Read a list, as files have it, as the tuple that a frozen word holds; for pydantic's BeforeValidator."""
    return tuple(cast("list[object]", value)) if isinstance(value, list) else value


def misfit(where: str, message: str, *, whole: bool = False) -> PydanticCustomError:
    """Make the error that a validator raises; `where` is the place within the word, or "" for a value by itself."""
    scope = "network" if whole else "word" if where else "field"
    return PydanticCustomError("misfit", "{message}", {"message": message, "faults": (Fault(where, message, scope),)})


def nested(error: ValidationError) -> PydanticCustomError:
    """Wrap the faults of a word that a validator read by itself, so that their places are kept."""
    return passed_on(InvalidSpecError(faults(error)))


def passed_on(error: InvalidSpecError) -> PydanticCustomError:
    """Wrap faults found by another word in a validator, with their places."""
    return PydanticCustomError("misfit", "{message}", {"message": str(error), "faults": error.faults})


def faults(error: ValidationError) -> tuple[Fault, ...]:
    """Say pydantic's errors our way: the place as it stands in the file, then the law."""
    return tuple(fault for detail in error.errors() for fault in _faults_of(detail))


def _faults_of(detail: ErrorDetails) -> list[Fault]:
    here = place(*detail["loc"])
    inner: tuple[Fault, ...] = detail.get("ctx", {}).get("faults", ())
    if inner:
        return [fault._replace(place=join(here, fault.place)) for fault in inner]
    return [Fault(here, _say(detail))]


def _say(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "extra_forbidden":
        return "unknown key; is it misspelt, or does it belong elsewhere?"
    if detail["type"] == "missing":
        return "missing; this key must be given"
    if detail["type"] in {"too_short", "too_long"}:
        law = detail["ctx"]  # pyright: ignore[reportTypedDictNotRequiredAccess] (these two have it)
        length = f"at least {law['min_length']}" if "min_length" in law else f"at most {law['max_length']}"
        return f"must have {length} items, not {law['actual_length']}"
    return f"{message[0].lower()}{message[1:]}, not {brief(detail['input'])}"
