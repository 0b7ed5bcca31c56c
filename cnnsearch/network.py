"""What is a whole network? An input, blocks, a head and classes: valid by construction, priced before it is built."""

import hashlib
import json
from difflib import get_close_matches
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal, Self, cast

from pydantic import (
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    SerializeAsAny,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from cnnsearch.blocks import KINDS, Block
from cnnsearch.cost import Cost, total
from cnnsearch.errors import Fault, InvalidSpecError, brief
from cnnsearch.flow import Flow, Row, Sight, Step, first_sight, walk
from cnnsearch.layers import MOST_CHANNELS, Dropout, Flatten, GlobalAveragePool, GlobalMaxPool, Linear, ReLU
from cnnsearch.shapes import MisfitError, Shape
from cnnsearch.word import Word, faults, misfit, nested, passed_on, tuple_of

MOST_BLOCKS = 64
MOST = Cost(
    parameters=10**9, macs=10**12, weight_bytes=4 * 10**9, weight_bytes_int8=4 * 10**9, activation_bytes=16 * 2**30
)
"""No network may cost more, whatever a plan allows: what is beyond it is a slip of the pen or a bomb."""


class Input(Word):
    """The size of one image."""

    channels: Annotated[int, Field(ge=1, le=MOST_CHANNELS)]
    height: Annotated[int, Field(ge=1, le=4_096)]
    width: Annotated[int, Field(ge=1, le=4_096)]

    @property
    def shape(self) -> Shape:
        """As a map's shape."""
        return Shape(self.channels, self.height, self.width)


class Head(Word):
    """Turns the last map into one number a class."""

    pool: Literal["average", "max"] | None = "average"
    """What each map is reduced to; null: every number of the map is a feature."""
    hidden: Annotated[
        tuple[Annotated[int, Field(ge=1, le=65_536)], ...], Field(json_schema_extra={"maxItems": 8}), tuple_of(0, 8)
    ] = ()
    """Features of hidden linear layers, each followed by a ReLU."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of features set to zero before the last linear layer while training."""

    def flow(self, classes: int) -> Flow:
        """Pool, flatten, hidden layers, dropout, output."""
        pools = {"average": GlobalAveragePool(), "max": GlobalMaxPool()}
        steps = [Step("pool", pools[self.pool])] if self.pool else []
        steps.append(Step("flatten", Flatten()))
        for number, features in enumerate(self.hidden, start=1):
            steps += [Step(f"hidden{number}", Linear(out_features=features)), Step(f"relu{number}", ReLU())]
        if self.dropout:
            steps.append(Step("dropout", Dropout(p=self.dropout)))
        return (*steps, Step("output", Linear(out_features=classes)))


class _ByKind:
    """Reads a block by its `kind` among those registered now, so that a kind registered later is known too."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        _ = schema
        return {"anyOf": [handler(TypeAdapter(kind).core_schema) for kind in KINDS.values()]}


def read_block(data: object) -> object:
    """Turn plain data into a block of its kind; for pydantic, which adds the place to its errors."""
    if isinstance(data, Block):
        return data
    if not isinstance(data, dict):
        raise misfit("", f'a block is an object such as {{"conv": {{...}}}}, not {brief(data)}')
    kind = cast("dict[object, object]", data).get("kind", "plain")
    if not isinstance(kind, str) or kind not in KINDS:
        known = ", ".join(sorted(KINDS))
        near = get_close_matches(kind, KINDS, n=1) if isinstance(kind, str) else []
        meant = f"perhaps you meant {near[0]!r}, or " if near else ""
        law = f"{brief(kind)} is no registered kind of block (known: {known})"
        text = f"{law}; {meant}import the module that registers it first (--import, or `imports` in a plan file)"
        raise passed_on(InvalidSpecError((Fault("kind", text),)))  # noticed by one value, so options are checked too
    try:
        return KINDS[kind].__pydantic_validator__.validate_python(data)
    except ValidationError as error:
        raise nested(error, KINDS[kind]) from None


AnyBlock = Annotated[SerializeAsAny[Block], BeforeValidator(read_block), _ByKind()]


class Network(Word):
    """An input, blocks, a head and classes; every map of it is at least 1x1."""

    input: Input
    blocks: Annotated[
        tuple[AnyBlock, ...],
        Field(json_schema_extra={"minItems": 1, "maxItems": MOST_BLOCKS}),
        tuple_of(1, MOST_BLOCKS),
    ]
    head: Head = Head()
    classes: Annotated[int, Field(ge=2, le=65_536)]

    @model_validator(mode="before")
    @classmethod
    def _allow_schema_key(cls, data: Any) -> Any:  # noqa: ANN401 (the border)
        if isinstance(data, dict):
            return {key: value for key, value in cast("dict[object, object]", data).items() if key != "$schema"}
        return data

    @model_validator(mode="after")
    def _fits(self) -> Self:
        try:
            cost = self.cost
        except MisfitError as error:
            raise misfit(error.field, error.message, "network") from None
        for name, value, most in zip(Cost._fields, cost, MOST, strict=True):
            if value > most:
                law = f"{name} {value:,} exceeds the library's limit of {most:,}"
                raise misfit("blocks", f"{law}; use fewer channels or pool earlier", "network")
        return self

    @cached_property
    def _walked(self) -> tuple[tuple[Row, ...], tuple[Shape, ...]]:
        sight = first_sight(self.input.shape)
        rows: list[Row] = []
        shapes: list[Shape] = []
        for number, block in enumerate(self.blocks):
            new, sight = through(block, sight, f"blocks[{number}]")
            rows += new
            shapes.append(sight.shape)
        new, _ = walk(self.head.flow(self.classes), sight, "head")
        return (*rows, *new), tuple(shapes)

    @property
    def layers(self) -> tuple[Row, ...]:
        """Every layer on the data's way, head included."""
        return self._walked[0]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The (channels, height, width) after each block."""
        return self._walked[1]

    @cached_property
    def cost(self) -> Cost:
        """What it costs on one image."""
        return total(self.layers)

    @cached_property
    def fingerprint(self) -> str:
        """Name what it computes, not how it was written: 16 hexadecimal digits, equal for equal computations."""
        computes = [str(self.input.shape), *(row.computes for row in self.layers if row.computes is not None)]
        return hashlib.sha256(json.dumps(computes, default=str).encode()).hexdigest()[:16]

    def __str__(self) -> str:
        """Write it in short, as in `16p 32 64p, average`: channels (a letter for other kinds), p for a pool."""
        blocks = " ".join(short(block) for block in self.blocks)
        hidden = "".join(f" {features}" for features in self.head.hidden)
        dropout = f", dropout {self.head.dropout:.2g}" if self.head.dropout else ""
        return f"{blocks}, {self.head.pool or 'flat'}{hidden}{dropout}"


def through(block: Block, sight: Sight, where: str) -> tuple[tuple[Row, ...], Sight]:
    """Lead a map through one block, which stands at `where`; raise MisfitError whose field is the place."""
    try:
        return _through(block, sight, where)  # pyright: ignore[reportArgumentType] (frozen words are hashable)
    except TypeError:  # a kind of one's own with a field that cannot be looked up
        return _through.__wrapped__(block, sight, where)


@lru_cache(maxsize=4_096)  # a search draws the same blocks again and again
def _through(block: Block, sight: Sight, where: str) -> tuple[tuple[Row, ...], Sight]:
    try:
        flow = block.flow(sight.shape)
    except ValidationError as error:  # a kind of one's own makes a layer that cannot be
        law = "; ".join(str(fault) for fault in faults(error, Block))
        raise MisfitError(where, f"its flow for a {sight.shape} map has an impossible {error.title} ({law})") from None
    rows, after = walk(flow, sight, where)
    return tuple(rows), after


def short(block: Block) -> str:
    """Write a block in a few characters: its kind's first letter if not plain, channels, kernel if not 3, pool."""
    data = block.model_dump()
    conv = data.get("conv")
    conv = cast("dict[str, Any]", conv) if isinstance(conv, dict) else {}  # a kind of one's own may mean something else
    kind = "" if data.get("kind") == "plain" else str(data.get("kind"))[0]
    kernel = conv.get("kernel_size", 3)
    kernel_text = "" if kernel == 3 else f"({_times(kernel)})"  # noqa: PLR2004 (the usual one)
    return f"{kind}{conv.get('out_channels', '')}{kernel_text}{'p' if data.get('maxpool') else ''}"


def _times(kernel: int | list[int]) -> str:
    return f"{kernel}x{kernel}" if isinstance(kernel, int) else "x".join(str(side) for side in kernel)
