"""How does plain data with holes become a tree, and what is wrong in it?

A mapping is a hole when it has one of the keys `choice`, `int`, `float` (with `log` and `step`). A list item
`{repeat: N, block: ...}` stands for N items, each of which draws its own values.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import NoReturn, cast

from cnnsearch.errors import Fault, InvalidSpecError, brief, place
from cnnsearch.holes import Hole, Leaf, Map, Node, Real, Repeat, Row, as_written, leaves
from cnnsearch.meant import hole_meant, number_meant
from cnnsearch.text import Plain

MOST_OPTIONS = 4_096
MOST_REPEATS = 64
MOST_NESTED = 2  # repeats within each other; the look ahead takes a step down for each of every block
MOST_NODES = 100_000  # of a tree: about 0.2 s
MOST_NUMBER = 10**15  # in a range; up to here floats hold every integer
HOLE_KEYS = frozenset({"choice", "int", "float", "log", "step"})


class MisreadError(InvalidSpecError):
    """Holes are written wrongly; `tree` has null in their places, so that what else is wrong can be told too."""

    def __init__(self, faults: tuple[Fault, ...], tree: Node) -> None:
        super().__init__(faults)
        self.tree = tree


def read(data: Plain, name: str = "") -> Node:
    """Turn plain data with holes into a tree; raise MisreadError where a hole is written wrongly.

    Raises another InvalidSpecError where there is more of it than can be read.
    """
    if (count := _weight(data)) > MOST_NODES:
        law = f"repeats and ranges come to {count:,} values and options, more than {MOST_NODES:,}"
        raise InvalidSpecError((Fault(_heaviest(data, name), f"{law}; repeat less, or choose among fewer"),))
    reader = _Reader()
    tree = reader.read(data, name)
    if reader.faults:
        told = (fault._replace(place=as_written(fault.place)) for fault in reader.faults)
        raise MisreadError(tuple(dict.fromkeys(told)), tree)
    return tree


def _weight(data: Plain) -> int:
    """Count about as many nodes as `data` will have, without making them: repeats and ranges are short to write."""
    if isinstance(data, list | tuple):
        return sum(map(_weight, cast("list[Plain]", data)))
    if not isinstance(data, dict):
        return 1
    mapping = cast("dict[str, Plain]", data)
    times = max(0, min(max(_integers(mapping["repeat"]), default=1), MOST_REPEATS)) if "repeat" in mapping else 1
    return times * sum(map(_weight, mapping.values())) + _steps(mapping)


def _heaviest(data: Plain, name: str) -> str:
    """Name the smallest part that is too large by itself."""
    items = cast("dict[str, Plain]", data).items() if isinstance(data, dict) else enumerate(data)
    heavy = ((part, value) for part, value in items if _weight(value) > MOST_NODES)
    return next((_heaviest(value, place(name, part)) for part, value in heavy), name)


def _steps(hole: Mapping[str, Plain]) -> int:
    """Count the options of a range, whatever else is wrong in it."""
    ends: Plain = hole.get("int", hole.get("float"))
    step = hole.get("step", 1 if "int" in hole else None)
    numbers: list[Plain] = [*cast("list[Plain]", ends), step] if isinstance(ends, list | tuple) else []
    if [_is_number(number, "float") for number in numbers] != [True, True, True] or numbers[2] <= 0:
        return 0
    return int(max(0, min((numbers[1] - numbers[0]) / numbers[2], MOST_OPTIONS)))


def _integers(data: Plain) -> list[int]:
    """Give the numbers in a value, a list or a hole, as far as a repeat may have them."""
    if type(data) is int:
        return [data]
    if isinstance(data, dict):
        return _integers(list(cast("dict[str, Plain]", data).values()))
    items = cast("list[Plain]", data) if isinstance(data, list) else []
    return [number for item in items for number in _integers(item)]


class _WrittenWronglyError(InvalidSpecError):
    """One hole is; the rest of the file can be read."""


class _Reader:
    """Reads one tree, and goes on behind what is written wrongly, so that all faults are told at once."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def read(self, data: Plain, name: str) -> Node:
        """Read any value."""
        if isinstance(data, dict):
            mapping = cast("dict[str, Plain]", data)
            if mapping.keys() & {"choice", "int", "float"}:
                return self._or_nothing(self._hole, mapping, name)
            if mapping.keys() == {"repeat", "block"}:
                law = "a repeat stands by itself in a list, not as a value or an option"
                self.faults.append(Fault(name, f"{law}; where none is wanted, let it repeat 0 times"))
                return Leaf(None, "NoneType")
            return Map(tuple((key, self.read(value, place(name, key))) for key, value in mapping.items()))
        if isinstance(data, list | tuple):
            items = cast("list[Plain]", data)
            return Row(
                tuple(self._or_nothing(self._item, item, f"{name}[{number}]") for number, item in enumerate(items))
            )
        return Leaf(data, type(data).__name__)

    def _or_nothing(self, read: Callable[[Plain, str], Node], data: Plain, name: str) -> Node:
        try:
            return read(data, name)
        except _WrittenWronglyError as error:
            self.faults += error.faults
            return Leaf(None, "NoneType")

    def _item(self, data: Plain, name: str) -> Node:
        if not isinstance(data, dict) or "repeat" not in data:
            return self.read(data, name)
        mapping = cast("dict[str, Plain]", data)
        if set(mapping) != {"repeat", "block"}:
            _refuse(name, "a repeat has the keys `repeat` (how often) and `block` (what), and no other")
        if (depth := name.count(".block[") + 1) > MOST_NESTED:
            law = f"repeats may stand {MOST_NESTED} deep, and this one is {depth} deep"
            _refuse(name, f"{law}; multiply how often by hand, or write the blocks out")
        count, counts = self._count(mapping["repeat"], f"{name}.repeat")
        blocks = (self._item(mapping["block"], f"{name}.block[{number}]") for number in range(max(counts)))
        return Repeat(count, tuple(blocks))

    def _count(self, data: Plain, name: str) -> tuple[Node, list[int]]:
        """Read how often something is repeated, and which numbers that may be; once, where it is written wrongly."""
        told = len(self.faults)
        count = self.read(data, name)
        counts = [option.value for option in leaves(count)]
        if len(self.faults) == told and counts and all(type(n) is int and 0 <= n <= MOST_REPEATS for n in counts):
            return count, counts
        if len(self.faults) == told:
            must = f"must be a whole number from 0 to {MOST_REPEATS}, or a hole whose options are such numbers"
            meant = "" if isinstance(count, Hole | Real) else number_meant(data) or hole_meant(data)
            self.faults.append(Fault(name, f"{must}, not {brief(data)}{meant}"))
        return Leaf(1, "int"), [1]

    def _hole(self, data: Mapping[str, Plain], name: str) -> Hole | Real:
        kinds = data.keys() & {"choice", "int", "float"}
        if len(kinds) > 1 or not data.keys() <= HOLE_KEYS:
            law = "a hole has one of choice, int, float, and with the last two log or step"
            _refuse(name, f"{law}, not {brief(sorted(map(str, data)))}")
        (kind,) = kinds
        return self._choice(data, name) if kind == "choice" else self._range(data, kind, name)

    def _choice(self, data: Mapping[str, Plain], name: str) -> Hole:
        if len(data) > 1 or not isinstance(data["choice"], list) or not data["choice"]:
            _refuse(name, "choice takes a list of at least one option, and neither log nor step")
        options = cast("list[Plain]", data["choice"])
        _refuse_crowd(len(options), name)
        return Hole(name, tuple(self.read(option, f"{name}.choice[{number}]") for number, option in enumerate(options)))

    def _range(self, data: Mapping[str, Plain], kind: str, name: str) -> Hole | Real:
        low, high = _ends(data[kind], kind, name)
        step, log = data.get("step"), data.get("log", False)
        if type(log) is not bool:
            _refuse(f"{name}.log", f"must be true or false, not {brief(log)}")
        if log and low <= 0:
            _refuse(f"{name}.log", f"needs a lowest value above 0, not {low}")
        if log and step is not None:
            _refuse(f"{name}.log", "takes no step; leave one of the two out")
        if step is not None and (not _is_number(step, kind) or step <= 0):
            _refuse(f"{name}.step", f"must be {'an int' if kind == 'int' else 'a float'} above 0, not {brief(step)}")
        if kind == "float" and step is None:
            return Real(name, float(low), float(high), log)
        # In decimals, as they are written: three binary 0.1 are a little more than 0.3.
        first, last, by = (Decimal(str(number)) for number in (low, high, step or 1))
        count = int(min((last - first) / by, 2 * MOST_NUMBER)) + 1
        _refuse_crowd(count, name)
        if count == 1 and low < high:
            law = f"is wider than the range, so that of {low} to {high} only {low} is left"
            _refuse(f"{name}.step", f"{law}; take a smaller one, or write {low} alone")
        convert = int if kind == "int" else float
        values = (convert(first + by * index) for index in range(count))
        return Hole(name, tuple(Leaf(value, kind) for value in values), is_range=True, log=log)


def _ends(data: Plain, kind: str, name: str) -> tuple[float, float]:
    ends = cast("list[Plain]", data) if isinstance(data, list | tuple) else []
    if [_is_number(end, kind) for end in ends] != [True, True]:
        is_huge = any(type(end) in {int, float} and abs(end) > MOST_NUMBER for end in ends)
        many = f" of at most {MOST_NUMBER:,}" if is_huge else ""
        given = cast("object", data)
        law = f"must be [lowest, highest], two {kind} numbers{many}, not {brief(given)}"
        meant = "" if isinstance(data, list | tuple) else hole_meant(given, is_float=kind == "float")
        _refuse(f"{name}.{kind}", f"{law}{number_meant(given) or meant}")
    if ends[0] > ends[1]:
        _refuse(f"{name}.{kind}", f"must be [lowest, highest], and {ends[0]} is more than {ends[1]}; swap them")
    return ends[0], ends[1]


def _is_number(value: Plain, kind: str) -> bool:
    return type(value) in {int, int if kind == "int" else float} and abs(value) <= MOST_NUMBER


def _refuse_crowd(count: int, name: str) -> None:
    if count > MOST_OPTIONS:
        _refuse(name, f"{count:,} options are more than {MOST_OPTIONS:,}; use a larger step, or fewer")


def _refuse(where: str, message: str) -> NoReturn:
    raise _WrittenWronglyError((Fault(where, message),))
