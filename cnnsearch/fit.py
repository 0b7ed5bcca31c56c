"""May a partly filled network still become one that fits? An exact search over map sizes, memoised.

Tried first: asking hole by hole whether the filled part fits so far. In harsh spaces up to 80 % of such draws ended
where nothing fitted any more. The search looks at all fillings of the holes still open; what it found out about the
rest of the blocks at a map size is kept for all later draws.
"""

from collections.abc import Iterator

from pydantic_core import PydanticCustomError

from cnnsearch.blocks import KINDS, Block
from cnnsearch.errors import Fault, InvalidSpecError
from cnnsearch.flow import first_sight
from cnnsearch.holes import Hole, Leaf, Map, Node, Repeat, Row, count_fillings, fillings, holes_of, to_plain
from cnnsearch.network import MOST_BLOCKS, Input, read_block, through
from cnnsearch.shapes import MisfitError, Shape

MOST_FILLINGS = 20_000  # of one block; about a second where none of them fits
MOST_REMEMBERED = 50_000  # parts of partly filled networks: some 20 MB
_NEVER_DECIDES = frozenset({"bias", "eps", "momentum", "affine", "track_running_stats"})


class LookAhead:
    """Answers for one space, and remembers what it found out."""

    def __init__(self, tree: Map) -> None:
        self._skips = frozenset[str]() if _has_own_kinds(tree) else _NEVER_DECIDES
        if not _needs_channels(tree):
            self._skips |= {"out_channels"}
        self._inputs: dict[Node, list[Shape]] = {}
        self._forget()
        self._decides: dict[str, bool] = {}
        self._furthest = (-1, MisfitError("", "there are no blocks"))

    def can_fit(self, tree: Node) -> bool:
        """Say whether some filling of the open holes makes every map at least 1x1."""
        assert isinstance(tree, Map), tree
        if len(self._fits_from) + len(self._out) + len(self._bare) > MOST_REMEMBERED:
            self._forget()
        parts = dict(tree.items)
        return any(
            self._fits(row.items, self.reduced(start), 0)
            for row, _ in lists_of(parts["blocks"])
            for start in self.starts(parts["input"])
        )

    def decides(self, hole: Hole) -> bool:
        """Say whether a hole can decide over sizes; out_channels may have thousands of options and mostly does not."""
        if hole.name not in self._decides:
            keys = [key for key in hole.name.replace("[", ".").split(".") if key[0].isalpha() and key != "choice"]
            self._decides[hole.name] = keys[0] in {"input", "blocks"} and keys[-1] not in self._skips
        return self._decides[hole.name]

    @property
    def needs_channels(self) -> bool:
        """Whether numbers of channels decide over what fits."""
        return "out_channels" not in self._skips

    def starts(self, node: Node) -> list[Shape]:
        """Give the shapes of the input."""
        if node not in self._inputs:
            found = (Input.model_validate(to_plain(filled)).shape for filled, _ in fillings(node))
            self._inputs[node] = list(dict.fromkeys(found))
        return self._inputs[node]

    def refuse_hopeless(self, tree: Map) -> None:
        """Raise InvalidSpecError, with the place, where nothing fits or a block has too many fillings to search."""
        parts = dict(tree.items)
        _refuse_endless(count_fillings(parts["input"]), "input")
        for row, _ in lists_of(parts["blocks"]):
            if len(row.items) > MOST_BLOCKS:
                law = f"{len(row.items):,} blocks and repeats are more than {MOST_BLOCKS}"
                raise InvalidSpecError((Fault("blocks", f"{law}; leave some out"),))
            for number, item in enumerate(row.items):
                where = f"blocks[{number}]" if isinstance(parts["blocks"], Row) else "blocks"
                for block in blocks_of(Row((item,))):
                    _refuse_endless(count_fillings(self._bared(block)), where)
        if not self.can_fit(tree):
            number, error = self._furthest
            where = f" at blocks[{number}]{error.field} of what it builds" if error.field else ""
            if not holes_of(parts["input"]) + holes_of(parts["blocks"]):
                raise InvalidSpecError((Fault("blocks", f"do not fit{where}: {error.message}"),))
            law = "no filling of the holes fits; the one that gets furthest fails"
            raise InvalidSpecError((Fault("blocks", f"{law}{where}: {error.message}"),))

    def reduced(self, shape: Shape) -> Shape:
        """Forget the channels where they decide nothing, so that more is remembered."""
        return shape._replace(channels=1) if "out_channels" in self._skips else shape

    def _fits(self, items: tuple[Node, ...], shape: Shape, number: int) -> bool:
        if number > MOST_BLOCKS:
            self._furthest = (number, MisfitError("", f"more than {MOST_BLOCKS} blocks; repeat less"))
            return False
        if not items:
            return number > 0
        key = (items, shape, number)
        if key not in self._fits_from:
            self._fits_from[key] = any(self._fits(rest, out, at) for rest, out, at in self._next(items, shape, number))
        return self._fits_from[key]

    def _next(
        self, items: tuple[Node, ...], shape: Shape, number: int
    ) -> Iterator[tuple[tuple[Node, ...], Shape, int]]:
        first, rest = items[0], items[1:]
        if isinstance(first, Repeat):
            for count, _ in fillings(first.count):
                yield (*first.items[: to_plain(count)], *rest), shape, number
            return
        seen: set[Shape] = set()
        for filled, _ in fillings(self._bared(first)):
            out = self._after(filled, shape)
            if isinstance(out, MisfitError):
                self._furthest = max(self._furthest, (number, out), key=lambda found: found[0])
            elif out not in seen:
                seen.add(out)
                yield rest, out, number + 1

    def _after(self, filled: Node, shape: Shape) -> Shape | MisfitError:
        key = (filled, shape)
        if key not in self._out:
            self._out[key] = self._try(filled, shape)
        return self._out[key]

    def _try(self, filled: Node, shape: Shape) -> Shape | MisfitError:
        try:
            _, sight = through(as_block(filled), first_sight(shape), "")
        except MisfitError as error:
            return error
        except PydanticCustomError as error:  # a law between the fields of this block
            fault: Fault = (error.context or {})["faults"][0]
            return MisfitError(f".{fault.place}", fault.message)
        return self.reduced(sight.shape)

    def _bared(self, node: Node) -> Node:
        if node not in self._bare:
            self._bare[node] = bare(node, self._skips)
        return self._bare[node]

    def _forget(self) -> None:
        self._fits_from: dict[tuple[tuple[Node, ...], Shape, int], bool] = {}
        self._out: dict[tuple[Node, Shape], Shape | MisfitError] = {}
        self._bare: dict[Node, Node] = {}


def as_block(filled: Node) -> Block:
    """Read a filled tree as a block."""
    block = read_block(to_plain(filled))
    assert isinstance(block, Block)
    return block


def bare(node: Node, skips: frozenset[str]) -> Node:
    """Close the holes of these names: they decide nothing."""
    if isinstance(node, Map):
        closed = {"out_channels": Leaf(1, "int")}
        return Map(tuple(
            (key, (closed.get(key) or next(fillings(child))[0]) if key in skips else bare(child, skips))
            for key, child in node.items
        ))  # fmt: skip
    if isinstance(node, Hole):
        options = tuple(dict.fromkeys(bare(option, skips) for option in node.options))
        return node._replace(options=options)
    return node._replace(items=tuple(bare(item, skips) for item in node.items)) if isinstance(node, Row) else node


def lists_of(blocks: Node) -> Iterator[tuple[Row, float]]:
    """Give the lists of blocks that may be chosen, with the chance of each among plain uniform draws."""
    if isinstance(blocks, Hole):
        for option in blocks.options:
            for row, chance in lists_of(option):
                yield row, chance / len(blocks.options)
    else:
        assert isinstance(blocks, Row), blocks
        yield blocks, 1.0


def blocks_of(node: Row | Repeat) -> Iterator[Node]:
    """Give the blocks of a list, those of all repetitions too."""
    for item in node.items:
        if isinstance(item, Repeat):
            yield from blocks_of(item)
        else:
            yield item


def _refuse_endless(count: int, where: str) -> None:
    if count > MOST_FILLINGS:
        law = f"{count:,} fillings decide over the size of one map, more than the {MOST_FILLINGS:,}"
        raise InvalidSpecError((Fault(where, f"{law} that can be searched; leave fewer fields open"),))


def kinds_of(tree: Node) -> set[object]:
    """Give the kinds of blocks that a tree names."""
    return {leaf.value for key, leaf in _leaves(tree) if key == "kind"}


def _has_own_kinds(tree: Node) -> bool:
    own = {name for name, kind in KINDS.items() if kind.needs_channels}
    return any(kind in own or kind not in KINDS for kind in kinds_of(tree))


def _needs_channels(tree: Node) -> bool:
    grouped = any(key == "groups" and leaf.value != 1 for key, leaf in _leaves(tree))
    return grouped or _has_own_kinds(tree)


def _leaves(node: Node, key: str = "") -> Iterator[tuple[str, Leaf]]:
    if isinstance(node, Leaf):
        yield key, node
    elif isinstance(node, Map):
        for name, child in node.items:
            yield from _leaves(child, name)
    elif isinstance(node, Hole):
        for option in node.options:
            yield from _leaves(option, key)
    elif isinstance(node, Row | Repeat):
        for child in node.items:
            yield from _leaves(child, key)
