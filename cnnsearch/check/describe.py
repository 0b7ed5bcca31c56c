"""What is said of a network, a space or a plan?"""

import random
from collections.abc import Iterable, Iterator

from cnnsearch import preview
from cnnsearch.check.collect import collect
from cnnsearch.check.table import table
from cnnsearch.check.total import add
from cnnsearch.errors import InvalidSpecError
from cnnsearch.holes import Hole, Node, Real, as_written, in_short
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.size import size
from cnnsearch.space import Space, uniformly

DRAWS = 5
MOST_OPTIONS = 8  # of a hole on one line


def describe(word: Network | Space | Plan) -> Iterator[str]:
    """Give the lines that say what it is."""
    if isinstance(word, Network):
        return _network(word)
    return _space(word) if isinstance(word, Space) else _plan(word)


def _network(network: Network) -> Iterator[str]:
    yield f"a network: {network}\n"
    lines = collect(network)
    yield from table(lines, add(lines))
    yield "\nFor one image: `sees` is the receptive field (height x width), `bytes of maps` the fp32 maps alive while"
    yield "the layer runs; their total is the most at any time, those of the other columns are sums."


def _space(space: Space) -> Iterator[str]:
    yield f"a space: {size(space)}\n"
    yield from preview.never_drawn(space)
    yield from holes(space.holes)
    yield f"\n{DRAWS} networks drawn uniformly:"
    suggest = uniformly(random.Random(0))  # noqa: S311 (no secret)
    for _ in range(DRAWS):
        try:
            yield f"  {preview.priced(space.draw(suggest).network)}"
        except InvalidSpecError as error:  # fits, but exceeds the library's own limits
            yield f"  {error}"


def _plan(plan: Plan) -> Iterator[str]:
    yield "a plan\n"
    yield from holes(plan.holes)
    yield ""
    yield from preview.describe(plan)


def holes(found: Iterable[Hole | Real]) -> Iterator[str]:
    """List the holes; the repetitions of a block share their lines."""
    times: dict[tuple[str, str], int] = {}
    for hole in found:
        key = (as_written(hole.name), _values(hole))
        times[key] = times.get(key, 0) + 1
    width = max((len(name) for name, _ in times), default=0)
    count = sum(times.values())
    yield f"{count} hole{'s' if count > 1 else ''}:" if times else "no holes"
    for (name, values), count in times.items():
        yield f"  {name.ljust(width)}  {values}{f', in each of {count} repetitions' if count > 1 else ''}"


def _values(hole: Hole | Real) -> str:
    log = ", log" if hole.log else ""
    if isinstance(hole, Real):
        return f"{hole.low} to {hole.high}{log}"
    shown = [_short(option) for option in hole.options[:MOST_OPTIONS]]
    if len(hole.options) > MOST_OPTIONS:
        shown = [*shown[:-2], "...", _short(hole.options[-1])]
    return f"{', '.join(shown)}{log}"


def _short(option: Node) -> str:
    return str(in_short(option))
