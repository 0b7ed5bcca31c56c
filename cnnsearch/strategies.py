"""How are words, blocks and networks made up, for laws to be tried on them? By hypothesis, from a word's own fields.

So a new field is tested the day it exists.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, cast

from hypothesis import assume
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from cnnsearch.blocks import Block
from cnnsearch.flow import first_sight
from cnnsearch.network import Head, Network, read_block, through
from cnnsearch.shapes import MisfitError, Shape
from cnnsearch.text import Plain
from cnnsearch.word import Word

SMALL = 6  # no number of a made network is larger, so that building and training one takes milliseconds
LARGEST_IMAGE = 20


@cache
def words(word: type[Word], most: int = SMALL) -> st.SearchStrategy[Plain]:
    """Make plain data for a word from its JSON Schema: every field, each left out or anything that it allows alone."""
    schema = word.model_json_schema()
    return _values(schema, schema.get("$defs", {}), most)


def _values(schema: dict[str, Any], known: dict[str, Any], most: int) -> st.SearchStrategy[Plain]:
    if "$ref" in schema:
        return _values(known[schema["$ref"].rpartition("/")[2]], known, most)
    if "anyOf" in schema:
        return st.one_of([_values(option, known, most) for option in schema["anyOf"]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    return _OF_TYPE[schema["type"]](schema, known, most)


def _integers(schema: dict[str, Any], _: dict[str, Any], most: int) -> st.SearchStrategy[Plain]:
    low = schema.get("minimum", 0)
    return st.integers(low, max(low, min(schema.get("maximum", most), most)))


def _numbers(schema: dict[str, Any], _: dict[str, Any], most: int) -> st.SearchStrategy[Plain]:
    low, high = (schema.get(f"{end}imum", schema.get(f"exclusive{end.title()}imum")) for end in ("min", "max"))
    low = 0 if low is None else low
    return st.floats(
        low, max(low + 1, most) if high is None else high,
        exclude_min="exclusiveMinimum" in schema, exclude_max="exclusiveMaximum" in schema, width=32,
    )  # fmt: skip


def _arrays(schema: dict[str, Any], known: dict[str, Any], most: int) -> st.SearchStrategy[Plain]:
    low = schema.get("minItems", 0)
    if "prefixItems" in schema:
        return st.tuples(*(_values(each, known, most) for each in schema["prefixItems"])).map(list)
    return st.lists(_values(schema["items"], known, most), min_size=low, max_size=schema.get("maxItems", low + 2))


def _objects(schema: dict[str, Any], known: dict[str, Any], most: int) -> st.SearchStrategy[Plain]:
    if "properties" not in schema:
        values = _values(schema["additionalProperties"], known, most)
        return st.dictionaries(st.text(max_size=most), values, max_size=2)
    fields = {name: _values(field, known, most) for name, field in schema["properties"].items()}
    must = {*schema.get("required", ()), *({"kind"} & fields.keys())}
    return st.fixed_dictionaries(
        {name: fields[name] for name in must},
        optional={name: field for name, field in fields.items() if name not in must},
    )


_Maker = Callable[[dict[str, Any], dict[str, Any], int], st.SearchStrategy[Plain]]
_OF_TYPE: dict[str, _Maker] = {
    "integer": _integers,
    "number": _numbers,
    "array": _arrays,
    "object": _objects,
    "boolean": lambda _schema, _known, _most: st.booleans(),
    "string": lambda _schema, _known, most: st.text(max_size=most),
    "null": lambda _schema, _known, _most: st.none(),
}

shapes = st.builds(
    Shape, st.integers(1, SMALL), st.integers(1, LARGEST_IMAGE), st.integers(1, LARGEST_IMAGE)
)  # fmt: skip


@st.composite
def blocks(draw: st.DrawFn, *kinds: type[Block]) -> Block:
    """Make a block of one of these kinds that keeps its own laws between fields; it need not fit any map."""
    data = draw(st.one_of([words(kind) for kind in kinds]))
    try:
        return cast("Block", read_block(data))
    except PydanticCustomError:
        assume(condition=False)
        raise


@st.composite
def networks(draw: st.DrawFn, *kinds: type[Block], head: bool = True) -> Network:
    """Make a network of such blocks; of three that are made, those that do not fit where they stand are left out."""
    image = draw(shapes)
    sight = first_sight(image)
    fitting: list[Block] = []
    for block in draw(st.lists(blocks(*kinds), min_size=1, max_size=3)):
        try:
            _, sight = through(block, sight, "")
        except MisfitError:
            continue
        fitting.append(block)
    assume(fitting)
    chosen: Plain = draw(words(Head)) if head else {}
    return Network.model_validate(
        {"input": image._asdict(), "blocks": fitting, "head": chosen, "classes": draw(st.integers(2, SMALL))}
    )
