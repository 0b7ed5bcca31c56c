"""How does text become plain data? One reader for JSON, one for YAML; both refuse what hides mistakes or bombs."""

import json
import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import Any, cast

from cnnsearch.errors import Fault, InvalidSpecError, brief, place

MOST_BYTES = 1_000_000
MOST_YAML_BYTES = 50_000  # read at 60,000 a second where they are many short words
MOST_DEPTH = 40
MOST_COMMAS = 20_000  # of JSON, so about as many values
MOST_EVENTS = 5_000  # of YAML, which is read at about 40,000 a second
_LONG_NUMBER = re.compile(r"\d{4301}")  # Python's own limit for reading one
_SURROGATE = re.compile("[\ud800-\udfff]")  # JSON can write one, and no file can hold it
_DIRECTIVE = re.compile(r"^%(?!YAML 1\.2\s*$).*$", re.MULTILINE)
_TWICE = re.compile(r'found duplicate key "(.*?)" with value')
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[{\]}]')

Plain = Any  # null, bool, int, float, str, and lists and mappings of these


def read_file(path: Path) -> Plain:
    """Read a .json, .yaml or .yml file to plain data; raise InvalidSpecError with the place of a fault."""
    if path.is_dir():
        raise _refusal(str(path), "a folder, not a file; in that of a run the plan is plan.json")
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)  # never more, however long the file is
    except (OSError, ValueError) as error:  # ValueError: a NUL in its name
        why = error.strerror if isinstance(error, OSError) else error
        raise _refusal(str(path), f"cannot be read ({why}); check the path") from None
    if not text.strip():
        raise _refusal(str(path), "the file is empty; examples of plans are in studies/, of networks in the README")
    return read_yaml(text) if path.suffix in {".yaml", ".yml"} else read_json(text)


def read_json(text: str | bytes | bytearray) -> Plain:
    """Read JSON; duplicate keys, NaN, more than 1 MB, 20,000 commas and 40 levels are refused."""
    source = _decoded(text, MOST_BYTES)
    if source.count(",") > MOST_COMMAS:
        raise _refusal(_nth_comma(source), f"more than {MOST_COMMAS:,} commas; a network or plan needs a few hundred")
    try:
        data: Plain = json.loads(source, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        raise _refusal(f"line {error.lineno}, column {error.colno}", f"not JSON: {error.msg}") from None
    except RecursionError:
        raise _too_deep(_deepest(source)) from None
    except InvalidSpecError:
        raise
    except ValueError:
        raise _too_long_number(source) from None
    _check_plain(data, source)
    return data


def read_yaml(text: str | bytes | bytearray) -> Plain:
    """Read YAML 1.2 (so `1e-3` is a number and `on` is text); as strict as `read_json`, and no aliases or dates.

    Its directives are refused: `%YAML 1.1` would change what every word below it means.
    """
    from ruamel.yaml import YAML  # only who reads YAML pays for it
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    source = _decoded(text, MOST_YAML_BYTES)
    if directive := _DIRECTIVE.search(source):
        law = f"the directive {brief(directive.group())} is not read: this is YAML 1.2; leave the line out"
        raise _refusal(_position(source, directive.start()), law)
    yaml = cast("Any", YAML(typ="safe", pure=True))  # it is half typed
    try:
        _scan(yaml.parse(source))
        data: Plain = yaml.load(source)
    except InvalidSpecError:
        raise
    except MarkedYAMLError as error:
        raise _at_mark(error) from None
    except ReaderError as error:
        at = cast("int", cast("Any", error).position)
        law = f"not YAML: the character {brief(source[at])} is not allowed"
        raise _refusal(_position(source, at), law) from None
    except YAMLError as error:
        raise _refusal("", f"not YAML: {_first_line(error)}") from None
    except ValueError:
        raise _too_long_number(source) from None
    except TypeError:  # from Python's dict
        where = _structured_key(yaml.compose(source))
        raise _refusal(where, "not YAML: a list or an object stands as a key; write text") from None
    _check_plain(data, source)
    return data


def _decoded(text: str | bytes | bytearray, most: int) -> str:
    if len(text) > most:
        raise _refusal("", f"the text is longer than {most:,} bytes; a network or plan needs a few thousand")
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


def _check_plain(data: Plain, source: str) -> None:
    """Refuse what a reader lets through: endless numbers, YAML's keys and dates that are no text, depth."""
    level: list[tuple[str, Plain]] = [("", data)]
    for _ in range(MOST_DEPTH + 1):
        level = [inner for where, value in level for inner in _inside(where, value)]
        if not level:
            return
    raise _too_deep(_deepest(source))


def _inside(where: str, value: Plain) -> list[tuple[str, Plain]]:
    if isinstance(value, dict):
        mapping = cast("dict[object, Plain]", value)
        return [(place(where, _text_key(key, inner, where)), inner) for key, inner in mapping.items()]
    if isinstance(value, list):
        return [(f"{where}[{number}]", inner) for number, inner in enumerate(cast("list[Plain]", value))]
    if isinstance(value, float) and not isfinite(value):
        raise _refusal(where, f"{value} is no number to reckon with; write a finite one")
    if isinstance(value, str) and _SURROGATE.search(value):
        raise _refusal(where, f"the text {brief(value)} holds half a character (a surrogate alone); leave it out")
    if not isinstance(value, bool | int | float | str | None):
        raise _refusal(where, f"a {type(value).__name__} is not read; write null, a truth value, a number or text")
    return []


def _text_key(key: object, value: object, where: str) -> str:
    if not isinstance(key, str):
        meant = " (a decimal has a point: 0.5)" if type(key) is int and value is None else ""  # {dropout: 0,5}
        raise _refusal(place(where, brief(key)), f"the key is no text; put it in quotes{meant}")
    if _SURROGATE.search(key):
        law = "holds half a character (a surrogate alone); leave it out"
        raise _refusal(place(where, key), f"the key {law}")
    return key


def _at_mark(error: Any) -> InvalidSpecError:  # noqa: ANN401 (ruamel is half typed)
    mark = error.problem_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    if key := _TWICE.match(error.problem):  # the values that stand behind it there are not those of the file
        return _refusal(where, f"the key {brief(key[1])} stands twice in one object; keep one of them")
    return _refusal(where, f"not YAML: {_first_line(error.problem)}")


def _structured_key(node: Any) -> str:  # noqa: ANN401 (ruamel is half typed)
    """Say where the first key stands that is no scalar, among ruamel's nodes."""
    nodes: list[Any] = [node]
    for each in nodes:
        keys, values = _keys_and_values(each.value)
        for key in keys:
            if _keys_and_values(key.value) != ([], []):
                return f"line {key.start_mark.line + 1}, column {key.start_mark.column + 1}"
        nodes += values
    return ""


def _keys_and_values(value: object) -> tuple[list[Any], list[Any]]:
    """Take apart what a node of ruamel's holds: text, nodes, or pairs of nodes."""
    items = cast("list[Any]", value) if isinstance(value, list) else []
    pairs = [cast("tuple[Any, Any]", item) for item in items if isinstance(item, tuple)]
    return [key for key, _ in pairs], [inner for _, inner in pairs] or items


def _position(source: str, at: int) -> str:
    before = source[:at]
    return f"line {before.count(chr(10)) + 1}, column {at - before.rfind(chr(10))}"


def _nth_comma(source: str) -> str:
    at = -1
    for _ in range(MOST_COMMAS + 1):
        at = source.index(",", at + 1)
    return _position(source, at)


def _deepest(source: str) -> str:
    """Say where the text first goes too deep; brackets within texts are passed over."""
    depth = 0
    for found in _BRACKETS.finditer(source):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found.group(), 0)
        if depth > MOST_DEPTH:
            return _position(source, found.start())
    return ""


def _too_long_number(source: str) -> InvalidSpecError:
    found = _LONG_NUMBER.search(source)
    where = _position(source, found.start()) if found else ""
    return _refusal(where, "a number of more than 4,300 digits is not read; write a shorter one")


def _too_deep(where: str) -> InvalidSpecError:
    return _refusal(where, f"nested more than {MOST_DEPTH} levels deep; a plan needs about 10")


def _first_line(text: object) -> str:
    return str(text).strip().partition("\n")[0]


def _refusal(where: str, message: str) -> InvalidSpecError:
    return InvalidSpecError((Fault(where, message),))
