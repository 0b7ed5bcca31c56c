"""What may an editor know of network and plan files? JSON Schema, made from the words themselves.

A plan's space and recipe are the same words as a network's, rewritten so that a hole may stand wherever a value may.
Laws between fields, and those of sizes, are beyond JSON Schema: `python -m cnnsearch.check` knows them.
"""

import json
import re
from typing import Any, cast

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core.core_schema import CoreSchema, ModelSchema

from cnnsearch.docstrings import docstrings
from cnnsearch.network import Network
from cnnsearch.parse import MOST_OPTIONS, MOST_REPEATS
from cnnsearch.plan import Plan
from cnnsearch.recipe import Recipe
from cnnsearch.word import Word

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_OWN_SCHEMA: Schema = {"description": "Where the JSON Schema of this file lies, for editors.", "type": "string"}
_NOTES = ("description", "default")


def network_schema() -> Schema:
    """Describe a network file, with every kind of block registered now."""
    words = _network_words()
    return _document("A network", words.pop("Network"), words)


def plan_schema() -> Schema:
    """Describe a plan file; every field may be left out."""
    words = _network_words()
    plan, plan_words = _of(Plan)
    recipe, recipe_words = _of(Recipe)
    opening = _Opening({**words, **recipe_words})
    fields: dict[str, Schema] = plan["properties"]
    fields["space"] = {**opening.inside(_space(words), "Network"), "description": fields["space"]["description"]}
    fields["recipe"] = {**opening.inside(recipe, "Recipe"), "description": fields["recipe"]["description"]}
    fields["objectives"]["additionalProperties"] = {"anyOf": [_ref("Objective"), {"type": "null"}]}
    fields["start"]["items"] = {"anyOf": [_ref("Network"), {"description": "A network file.", "type": "string"}]}
    plan = {**plan, "properties": {"$schema": _OWN_SCHEMA, **fields}}
    del plan["required"]  # what is left out follows from the data set
    return _document("A plan", plan, {**plan_words, **words, **opening.made})


def _document(title: str, schema: Schema, words: dict[str, Schema]) -> Schema:
    head = {"$schema": DIALECT, **schema, "title": f"{title} of cnnsearch"}
    return {**head, "$defs": dict(sorted(words.items()))}


class _Described(GenerateJsonSchema):
    """Says of fields what their docstrings say, and leaves out their titles, which only repeat their names."""

    def model_schema(self, schema: ModelSchema) -> Schema:
        """Add the docstrings of a word's fields."""
        described = super().model_schema(schema)
        fields: dict[str, Schema] = described.get("properties", {})
        for name, docstring in docstrings(schema["cls"]).items():
            if name in fields:  # by its alias, if it has one
                fields[name]["description"] = docstring
        return described

    def field_title_should_be_set(self, schema: CoreSchema | Any) -> bool:  # noqa: ANN401 (as pydantic has it)
        """Never."""
        _ = schema
        return False


def _of(word: type[Word]) -> tuple[Schema, dict[str, Schema]]:
    """Give the schema of a word, and those of the words in it."""
    schema = _tidied(word.model_json_schema(schema_generator=_Described))
    return schema, schema.pop("$defs", {})


def _tidied(node: Any) -> Any:  # noqa: ANN401 (any part of a schema)
    """Say of lists that they have so many items: after a BeforeValidator pydantic takes them for text."""
    if isinstance(node, list):
        return [_tidied(part) for part in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    schema = cast("Schema", node)
    names = {"maxLength": "maxItems", "minLength": "minItems"} if schema.get("type") == "array" else {}
    return {names.get(key, key): _tidied(part) for key, part in schema.items()}


def _network_words() -> dict[str, Schema]:
    """Give every word of a network by its name, the registered kinds of blocks among them."""
    network, words = _of(Network)
    blocks: Schema = network["properties"]["blocks"]
    kinds = {_legible(_name(kind)): _named(kind) for kind in blocks["items"]["anyOf"]}
    blocks["items"] = {"anyOf": [_ref(name) for name in kinds]}
    network["properties"] = {"$schema": _OWN_SCHEMA, **network["properties"]}
    return {"Network": network, **kinds, **words}


def _name(kind: Schema) -> str:
    return kind["properties"]["kind"]["default"]


def _named(kind: Schema) -> Schema:
    """Require the field `kind`, which only a plain block may leave out."""
    return kind if _name(kind) == "plain" else {**kind, "required": ["kind", *kind.get("required", [])]}


def _space(words: dict[str, Schema]) -> Schema:
    """Give the network without what follows from the data set, and with blocks whose kind is open."""
    network = words["Network"]
    blocks = network["properties"]["blocks"]
    kinds = [_pointed_at(item) for item in blocks["items"]["anyOf"]]
    any_kind = {"anyOf": [*blocks["items"]["anyOf"], _of_open_kind([words[name] for name in kinds])]}
    fields = {"blocks": {**blocks, "items": any_kind}, "head": network["properties"]["head"]}
    return {**network, "properties": fields, "required": ["blocks"]}


def _of_open_kind(kinds: list[Schema]) -> Schema:
    """Describe a block whose `kind` is a hole: it may have the fields of all kinds."""
    found: dict[str, list[Schema]] = {}
    for kind in kinds:
        for name, field in kind["properties"].items():
            bare = _without_notes(field)
            found[name] = [*found.get(name, []), *([] if bare in found.get(name, []) else [bare])]
    fields = {name: options[0] if len(options) == 1 else {"anyOf": options} for name, options in found.items()}
    names = [_name(kind) for kind in kinds]
    common = {name for name in found if all(name in kind.get("required", []) for kind in kinds)}
    return {
        "description": "A block whose kind is open.",
        "type": "object",
        "properties": {**fields, "kind": {"enum": names}},
        "required": ["kind", *sorted(common - {"kind"})],
        "additionalProperties": False,
        "not": {"properties": {"kind": {"type": "string"}}, "required": ["kind"]},
    }


class _Opening:
    """Rewrites words; what it makes is kept in `made`, and equal fields share one entry."""

    def __init__(self, words: dict[str, Schema]) -> None:
        self.words = words
        self.made: dict[str, Schema] = {}
        self._names: dict[str, str] = {}

    def inside(self, schema: Schema, name: str) -> Schema:
        """Let holes stand within the value, not in its place."""
        if "$ref" in schema:
            return self._word(_pointed_at(schema))
        if "anyOf" in schema:
            return {**schema, "anyOf": [self.inside(option, name) for option in schema["anyOf"]]}
        if "properties" in schema:
            fields = {key: self._field(value, f"{name}.{key}") for key, value in schema["properties"].items()}
            return {**schema, "properties": fields}
        if "items" in schema:
            return {**schema, "items": self._item(schema, name)}
        return schema

    def _word(self, name: str) -> Schema:
        key = f"{name}-with-holes"
        if key not in self.made:
            self.made[key] = {}  # so that a word within itself ends
            self.made[key] = self.inside(self.words[name], name)
        return _ref(key)

    def _field(self, schema: Schema, name: str) -> Schema:
        notes = {key: schema[key] for key in _NOTES if key in schema}
        return {**notes, **self._value(_without_notes(schema), name)}

    def _value(self, schema: Schema, name: str) -> Schema:
        """Let a hole stand in the value's place; its options may be holes again."""
        text = json.dumps(schema, sort_keys=True)
        if text not in self._names:
            key = self._names[text] = f"{name}-or-hole"
            self.made[key] = {}
            self.made[key] = {"anyOf": [self.inside(schema, name), _choice(_ref(key)), *_ranges(schema)]}
        return _ref(self._names[text])

    def _item(self, array: Schema, name: str) -> Schema:
        value = self._value(array["items"], f"{name}-item")
        if array.get("minItems") == array.get("maxItems") is not None:
            return value  # a pair
        key = f"{name}-item-or-repeat"
        count = self._value({"type": "integer", "minimum": 0, "maximum": MOST_REPEATS}, "repeat")
        fields = {
            "repeat": {"description": "How often.", **count},
            "block": {"description": "What; each repetition draws its own values.", **_ref(key)},
        }
        repeat = {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}
        self.made[key] = {"anyOf": [value, repeat]}
        return _ref(key)


def _choice(option: Schema) -> Schema:
    options = {"type": "array", "items": option, "minItems": 1, "maxItems": MOST_OPTIONS}
    return _hole("Open between these options.", {"choice": options}, "choice")


def _ranges(schema: Schema) -> list[Schema]:
    """Give the holes between two numbers that the value's own bounds allow."""
    numbers = [option for option in _options(schema) if option.get("type") in {"integer", "number"}]
    reals = [option for option in numbers if option["type"] == "number"]
    wholes = [{**option, "type": "integer"} for option in numbers]
    return [_range(kind, ends) for kind, ends in (("int", wholes), ("float", reals)) if ends]


def _options(schema: Schema) -> list[Schema]:
    return [inner for option in schema["anyOf"] for inner in _options(option)] if "anyOf" in schema else [schema]


def _range(kind: str, ends: list[Schema]) -> Schema:
    end = ends[0] if len(ends) == 1 else {"anyOf": ends}
    number = "integer" if kind == "int" else "number"
    fields: dict[str, Schema] = {
        kind: {
            "description": "[lowest, highest], both included.",
            "type": "array",
            "items": end,
            "minItems": 2,
            "maxItems": 2,
        },
        "log": {"description": "Draw the same per factor, not per difference.", "type": "boolean"},
        "step": {"description": "From one value to the next.", "type": number, "exclusiveMinimum": 0},
    }
    both = {"properties": {"log": {"const": True}}, "required": ["log", "step"]}
    return {**_hole("Open between two numbers.", fields, kind), "not": both}


def _hole(description: str, fields: dict[str, Schema], key: str) -> Schema:
    closed = {"required": [key], "additionalProperties": False}
    return {"description": description, "type": "object", "properties": fields, **closed}


def _legible(kind: str) -> str:
    """Name a kind's definition so that a reference to it needs no escapes."""
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', kind)}-block"


def _without_notes(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if key not in _NOTES}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _pointed_at(schema: Schema) -> str:
    return schema["$ref"].removeprefix("#/$defs/")
