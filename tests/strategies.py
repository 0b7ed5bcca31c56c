"""What laws are tried on: layers with any fields, and spaces with holes anywhere."""

from typing import TypeVar

from hypothesis import assume
from hypothesis import strategies as st
from pydantic import ValidationError

from cnnsearch.layers import Layer
from cnnsearch.strategies import words
from cnnsearch.text import Plain

Any1 = TypeVar("Any1", bound=Layer)

images = st.fixed_dictionaries({axis: st.integers(1, 9) for axis in ("channels", "height", "width")})


@st.composite
def layers(draw: st.DrawFn, kind: type[Any1], most: int = 7) -> Any1:
    """Make a layer that keeps its own laws between fields."""
    data = draw(words(kind, most))
    try:
        return kind(**data)
    except ValidationError:
        assume(condition=False)
        raise


def _hole(values: st.SearchStrategy[Plain], most: int = 2) -> st.SearchStrategy[Plain]:
    """Leave a value open, or not; an option may be a hole again."""
    choice = st.lists(values, min_size=1, max_size=most).map(lambda options: {"choice": options})
    inner = st.tuples(values, choice).map(lambda pair: {"choice": [pair[0], pair[1]]})
    return st.one_of(values, choice, inner)


_small = st.integers(1, 4)
_ranges = st.tuples(_small, st.integers(0, 2)).map(lambda pair: {"int": [pair[0], pair[0] + pair[1]]})
_pools = st.one_of(
    st.none(),
    st.fixed_dictionaries({"kernel_size": st.one_of(_small, _ranges)}, optional={"stride": _hole(_small)}),
)
_convs = st.fixed_dictionaries(
    {"out_channels": _hole(st.sampled_from([2, 4, 6])), "kernel_size": st.one_of(_hole(_small), _ranges)},
    optional={
        "padding": _hole(st.sampled_from([0, 1, "same", "valid"])),
        "stride": _hole(st.integers(1, 2)),
        "groups": _hole(st.sampled_from([1, 2])),
    },
)
_blocks = st.fixed_dictionaries(
    {"conv": _convs, "batchnorm": st.none()},
    optional={
        "kind": _hole(st.sampled_from(["plain", "residual"])),
        "maxpool": _hole(_pools),
        "relu": _hole(st.sampled_from([None, {}])),
    },
)
_counts = st.one_of(st.integers(0, 2), st.just({"int": [0, 2]}), st.just({"choice": [1, 2]}))
_items = st.one_of(_blocks, st.builds(lambda count, block: {"repeat": count, "block": block}, _counts, _blocks))
_lists = st.lists(_items, min_size=1, max_size=2)
_heads = st.fixed_dictionaries(
    {},
    optional={
        "pool": _hole(st.sampled_from([None, "average", "max"])),
        "hidden": _hole(st.lists(_small, max_size=1)),
        "dropout": _hole(st.sampled_from([0.0, 0.5])),
    },
)

small_spaces = st.fixed_dictionaries(
    {
        "input": images,
        "blocks": st.one_of(
            _lists, _lists, st.lists(_lists, min_size=1, max_size=2).map(lambda all_: {"choice": all_})
        ),
        "classes": st.just(2),
    },
    optional={"head": _heads},
)
