"""How is a flow written as calls of torch's layers?

An argument is written only where it is not torch's own default. `chain` and `Sum` are defined in `model.py`.
"""

import inspect
import json
from collections.abc import Iterator, Sequence
from keyword import iskeyword
from textwrap import indent
from typing import Any, cast

from torch import nn

from cnnsearch.flow import Flow, Sum
from cnnsearch.layers import Layer
from cnnsearch.shapes import Shape

NN = "torch.nn"
PAIRS = ("kernel_size", "stride", "padding", "dilation")
"""Arguments of which torch's layers take one number for two equal ones."""
LONGEST = 100  # characters of a line that may as well be several


def chain(flow: Flow, shape: Shape) -> tuple[str, Shape]:
    """Write steps one after the other, and give the shape behind them; no step at all is the map itself."""
    lines: list[str] = []
    for step in flow:
        text, shape = _step(step.what, shape)
        lines.append(_named(step.name, text))
    return (_call("chain", lines) if lines else "nn.Identity()"), shape


def _step(what: Layer | Sum, shape: Shape) -> tuple[str, Shape]:
    if isinstance(what, Layer):
        return _layer(what, shape), what.out(shape)
    branches = [(name, *chain(flow, shape)) for name, flow in what.branches]
    return _call("Sum", [_named(name, text) for name, text, _ in branches]), branches[0][-1]  # all agree on the shape


def _call(name: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{name}(", *(indent(f"{line},", "    ") for line in lines), ")"])


def _named(name: str, text: str) -> str:
    """Write an argument; a step of one's own may have a name that Python does not take as one."""
    return f"{name}={text}" if name.isidentifier() and not iskeyword(name) else f"**{{{literal(name)}: {text}}}"


def _layer(layer: Layer, shape: Shape) -> str:
    module, _, name = layer.torch_class.partition(":")
    given = layer.arguments(shape)
    if module == NN:
        return f"nn.{name}({', '.join(_usual(getattr(nn, name), given))})"
    return f"{module}.{name}({', '.join(f'{key}={literal(value)}' for key, value in given.items())})"


def _usual(layer: type[nn.Module], given: dict[str, Any]) -> Iterator[str]:
    """Write arguments as people do: those without a default by place, others by name and only where they differ."""
    known = inspect.signature(layer).parameters
    given = {key: _shortest(value) if key in PAIRS else value for key, value in given.items()}
    by_place = [key for key, parameter in known.items() if key in given and parameter.default is parameter.empty]
    yield from (literal(given[key]) for key in by_place)
    for key, value in given.items():
        if key not in by_place and not (key in known and known[key].default == value):
            yield f"{key}={literal(value)}"


def _shortest(value: object) -> object:
    """Write a pair of equals as one number."""
    if not isinstance(value, tuple):
        return value
    pair = cast("tuple[object, ...]", value)
    return pair[0] if len(pair) > 1 and len(set(pair)) == 1 else pair


def literal(value: object) -> str:
    """Write a value as Python reads it, texts as most people quote them."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def tuple_of(items: Sequence[str]) -> str:
    """Write a tuple of what is written already, on one line or on many."""
    line = f"({', '.join(items)}{',' if len(items) == 1 else ''})"
    return line if len(line) <= LONGEST else "\n".join(["(", *(f"    {item}," for item in items), ")"])
