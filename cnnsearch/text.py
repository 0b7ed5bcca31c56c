"""How does text become plain data? One reader for JSON, one for YAML; both refuse what hides mistakes or bombs."""

import json
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, cast

from cnnsearch.errors import Fault, InvalidSpecError, brief, place

MOST_BYTES = 1_000_000
MOST_DEPTH = 40
MOST_EVENTS = 10_000  # of YAML, which is read at about 40,000 a second

Plain = Any  # null, bool, int, float, str, and lists and mappings of these


def read_file(path: Path) -> Plain:
    """Read a .json, .yaml or .yml file to plain data; raise InvalidSpecError with the place of a fault."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)  # never more, however long the file is
    except OSError as error:
        raise _refusal(str(path), f"cannot be read ({error.strerror}); check the path") from None
    return read_yaml(text) if path.suffix in {".yaml", ".yml"} else read_json(text)


def read_json(text: str | bytes | bytearray) -> Plain:
    """Read JSON; duplicate keys, NaN, more than 1 MB and more than 40 levels are refused."""
    source = _decoded(text)
    try:
        data: Plain = json.loads(source, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise _refusal(f"line {error.lineno}, column {error.colno}", f"not JSON: {error.msg}") from None
    except RecursionError:
        raise _too_deep() from None
    except InvalidSpecError:
        raise
    except ValueError as error:
        raise _refusal("", f"not JSON: {str(error).partition(';')[0]}") from None  # an integer of thousands of digits
    _check_plain(data)
    return data


def read_yaml(text: str | bytes | bytearray) -> Plain:
    """Read YAML 1.2 (so `1e-3` is a number and `on` is text); as strict as `read_json`, and no aliases or dates."""
    from ruamel.yaml import YAML  # only who reads YAML pays for it
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    source = _decoded(text)
    yaml = cast("Any", YAML(typ="safe", pure=True))  # it is half typed
    try:
        _scan(yaml.parse(source))
        data: Plain = yaml.load(source)
    except InvalidSpecError:
        raise
    except MarkedYAMLError as error:
        raise _at_mark(error) from None
    except (YAMLError, ValueError) as error:
        raise _refusal("", f"not YAML: {_first_line(error)}") from None
    except TypeError:  # from Python's dict
        raise _refusal("", "not YAML: a list or an object stands as a key; write text") from None
    _check_plain(data)
    return data


def _decoded(text: str | bytes | bytearray) -> str:
    if len(text) > MOST_BYTES:
        raise _refusal("", f"the text is longer than {MOST_BYTES:,} bytes; a network or plan needs a few thousand")
    if isinstance(text, str):
        return text
    try:
        return bytes(text).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refusal(f"byte {error.start}", "not UTF-8 text; save the file as UTF-8") from None


def _without_duplicates(pairs: list[tuple[str, Plain]]) -> dict[str, Plain]:
    found: dict[str, Plain] = {}
    for key, value in pairs:
        if key in found:
            raise _refusal(place(key), "this key stands twice in one object; keep one of them")
        found[key] = value
    return found


def _scan(events: Iterator[Any]) -> None:
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

    depth = 0
    for number, event in enumerate(events):
        where = f"line {event.start_mark.line + 1}"
        if number > MOST_EVENTS:
            raise _refusal(where, f"more than {MOST_EVENTS:,} values and brackets; a plan needs a few hundred")
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            raise _refusal(where, "anchors (&) and aliases (*) are not read; write the value out")
        if getattr(event, "tag", None):
            raise _refusal(where, f"the tag {brief(str(event.tag))} is not read; write the value alone")
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MOST_DEPTH:
            raise _too_deep(where)


def _check_plain(data: Plain) -> None:
    """Refuse what a reader lets through: endless numbers, YAML's keys and dates that are no text, depth."""
    level: list[tuple[str, Plain]] = [("", data)]
    for _ in range(MOST_DEPTH + 1):
        level = [inner for where, value in level for inner in _inside(where, value)]
        if not level:
            return
    raise _too_deep()


def _inside(where: str, value: Plain) -> list[tuple[str, Plain]]:
    if isinstance(value, dict):
        mapping = cast("dict[object, Plain]", value)
        return [(place(where, _text_key(key, where)), inner) for key, inner in mapping.items()]
    if isinstance(value, list):
        return [(f"{where}[{number}]", inner) for number, inner in enumerate(cast("list[Plain]", value))]
    if isinstance(value, float) and not isfinite(value):
        raise _refusal(where, f"{value} is no number to reckon with; write a finite one")
    if not isinstance(value, bool | int | float | str | None):
        raise _refusal(where, f"a {type(value).__name__} is not read; write null, a truth value, a number or text")
    return []


def _text_key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise _refusal(where, f"the key {brief(key)} is no text; put it in quotes")
    return key


def _at_mark(error: Any) -> InvalidSpecError:  # noqa: ANN401 (ruamel is half typed)
    mark = error.problem_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    return _refusal(where, f"not YAML: {_first_line(error.problem)}")


def _too_deep(where: str = "") -> InvalidSpecError:
    return _refusal(where, f"nested more than {MOST_DEPTH} levels deep; a plan needs about 10")


def _first_line(text: object) -> str:
    return str(text).strip().partition("\n")[0]


def _refusal(where: str, message: str) -> InvalidSpecError:
    return InvalidSpecError((Fault(where, message),))
