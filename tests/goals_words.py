"""Goals of what is read: fuzzed networks, fuzzed bytes, bombs."""

import json
import random
import resource
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch
from warnings import catch_warnings, simplefilter

from faults import SEED, goal
from oracle import Price, price

from cnnsearch.check.__main__ import main as check
from cnnsearch.errors import Fault, InvalidSpecError
from cnnsearch.network import Network
from cnnsearch.plan import Plan
from cnnsearch.space import Space
from cnnsearch.text import Plain

BUILT = 10  # of so many networks that can be, one is built and run
HANGS = 1.0  # seconds of processor time: others use the machine too
Dice = random.Random


def number(dice: Dice, most: int) -> int:
    return min(int(dice.expovariate(1.2)) + 1, most)


def pair(dice: Dice, low: int, most: int) -> Plain:
    def one() -> int:
        return low + number(dice, most) - 1

    return one() if dice.random() < 0.7 else [one(), one()]


def sometimes(dice: Dice, chance: float, **fields: Plain) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if dice.random() < chance}


def conv(dice: Dice) -> dict[str, Any]:
    padding = dice.choice(["same", "valid", pair(dice, 0, 4), pair(dice, 1, 3)])
    mode = dice.choice(["zeros", "reflect", "replicate", "circular"])
    fields = {"stride": pair(dice, 1, 3), "dilation": pair(dice, 1, 3), "groups": dice.choice([1, 1, 2, 3])}
    return {
        "out_channels": number(dice, 8),
        "kernel_size": pair(dice, 1, 6),
        **sometimes(dice, 0.6, padding=padding),
        **sometimes(dice, 0.2, bias=dice.random() < 0.5, padding_mode=mode, **fields),
    }


def block(dice: Dice) -> dict[str, Any]:
    pool = {
        "kernel_size": pair(dice, 1, 4),
        **sometimes(dice, 0.3, stride=pair(dice, 1, 3), padding=pair(dice, 0, 2), dilation=pair(dice, 1, 3)),
        **sometimes(dice, 0.3, ceil_mode=dice.random() < 0.7),
    }
    kind = dice.choice(["plain", "plain", "residual", "separable"])
    made = {"kind": kind, "conv": conv(dice), **sometimes(dice, 0.3, maxpool=pool)}
    made |= sometimes(dice, 0.2, batchnorm=dice.choice([None, {"affine": False}, {"momentum": None}]))
    made |= sometimes(dice, 0.2, relu=dice.choice([None, {"inplace": True}]))
    return made | (sometimes(dice, 0.3, preactivation=dice.random() < 0.5) if kind == "residual" else {})


def network(dice: Dice) -> dict[str, Any]:
    """Draw a network that is written well; about half of them can be."""
    head = {"pool": dice.choice(["average", "max", None]), "hidden": dice.choice([[], [3], [4, 2]]), "dropout": 0.5}
    image = {"channels": number(dice, 4), "height": dice.randint(1, 20), "width": dice.randint(1, 20)}
    blocks = [block(dice) for _ in range(number(dice, 6))]
    return {"input": image, "blocks": blocks, **sometimes(dice, 0.5, head=head), "classes": dice.randint(2, 12)}


WRONG: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 10**9, 10**30, float("nan"), float("inf"), "", "3", "same", "\0", "x" * 5000),
    *([], [1], [1, 2, 3], [[1]], {}, {"choice": [1]}, {"kernel_size": 2}, b"x", object(), {1: 2}, {"a": {"b": []}}),
)


def spoilt(data: Plain, dice: Dice) -> Plain:
    """Put something wrong into one place, add a key or take one away."""
    spoilt_data = json.loads(json.dumps(data))
    at: Plain = spoilt_data
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = dice.choice(keys)
        if not isinstance(at[key], dict | list) or not at[key] or dice.random() < 0.3:
            break
        at = at[key]
    what = dice.choice(["put", "put", "add", "drop"])
    if what == "put":
        at[key] = dice.choice(WRONG)
    elif what == "drop":
        del at[key]
    elif isinstance(at, dict):
        at[dice.choice(["x", "kernel", "\n", "kind", "out_channels", "z" * 999])] = dice.choice(WRONG)
    else:
        at.append(dice.choice(WRONG))
    return spoilt_data


def judged(data: Plain) -> Network | None:
    """Let the library judge; whatever it refuses must have a place, but for the whole, and be said quickly."""
    began = time.process_time()
    found: Network | None = None
    faults: tuple[Fault, ...] = ()
    try:
        found = Network.model_validate(data)
    except InvalidSpecError as error:
        str(error).encode()
        faults = error.faults
    assert time.process_time() - began < HANGS, f"hangs: {data}"
    assert all(fault.place or "Network" in fault.message for fault in faults), (data, faults)
    return found


def agreed(found: Network | None, expected: Price | None) -> bool:
    if found is None or expected is None:
        return (found is None) == (expected is None)
    ours = Price([tuple(shape) for shape in found.shapes], found.cost.parameters, found.cost.macs)
    return ours == expected


def run_for_real(made: Network) -> Price:
    """Build it and lead an image through it, without numbers: torch's own shapes, parameters and multiply-adds."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from cnnsearch.module import build

    shapes: list[tuple[int, int, int]] = []
    with torch.device("meta"), torch.no_grad(), catch_warnings():
        simplefilter("ignore")  # that an even kernel with "same" takes a copy
        module = build(made).eval()
        for each in module.blocks:
            each.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape[1:])))
        with FlopCounterMode(display=False) as counter:
            logits = module(torch.empty(1, *made.input.shape))
    assert tuple(logits.shape) == (1, made.classes)
    macs = counter.get_total_flops() // 2
    return Price(shapes, sum(tensor.numel() for tensor in module.parameters()), macs)


@goal("R12", "fuzzed networks are exact or refused with a place", 50_000)
def fuzzed_networks(count: int) -> str:
    dice = Dice(SEED)
    fitting = refused = built = 0
    for number_ in range(count):
        data = network(dice)
        found = judged(data)
        assert agreed(found, price(data)), f"priced wrongly: {json.dumps(data)}"
        fitting, refused = fitting + (found is not None), refused + (found is None)
        if found is not None and fitting % BUILT == 0:
            built += 1
            assert agreed(found, run_for_real(found)), f"torch makes another: {json.dumps(data)}"
        if number_ % 2:
            bad = spoilt(data, dice)
            changed = judged(bad)
            if changed is not None:  # what was put there may be right
                plain = json.loads(changed.model_dump_json())
                assert agreed(changed, price(plain)), f"priced wrongly: {json.dumps(plain)}"
    exact = f"{fitting:,} exact ({built:,} of them built and run)"
    return f"{count:,} drawn: {exact}, {refused:,} refused; {count // 2:,} spoilt ones"


JSON = b"""{"input": {"channels": 1, "height": 8, "width": 8}, "blocks": [{"conv": {"out_channels": 8,
"kernel_size": [3, 3]}, "maxpool": {"choice": [null, {"kernel_size": 2}]}, "relu": null}],
"head": {"dropout": 1e-1}, "classes": 10}"""
YAML = b"""dataset: digits
space:
  blocks:
    - repeat: {int: [1, 2]}
      block:
        conv: {out_channels: 4, kernel_size: 3, padding: same}
  head: {pool: max}
recipe:
  epochs: 2
  learning_rate: {float: [1e-3, 0.1], log: true}
budget: {trials: 3}
data_root: |
  text
"""
SCRAPS = (
    *(bytes([code]) for code in b"&*!%{}[]?:-|>\"'#\t\x00\xff\r@`~,0eE.+\\\n \x80\xc3"),
    *(b"&a ", b"*a", b"!!int ", b"!!python/object/apply:os.system ", b"%YAML 1.1\n---\n", b"%YAML 9.9\n", b"---\n"),
    *(
        b"...\n",
        b"<<: ",
        b"2001-01-01",
        b"0x",
        b".nan",
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"9" * 5000,
        b"1_0",
        b"\\ud800",
    ),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b"[" * 50, b'{"a":' * 50, b"- " * 50, b"input", b'"input": 1,'),
    *(b'"classes": 3, ', b"blocks: [*a, *a]\n", b"&x [*x]", b"? ", b"? [a]\n: ", b"\x85", b"\x1b[2J", b"null", b"true"),
)


def torn(source: bytes, dice: Dice) -> bytes:
    """Break a text: cut off, written over, put together twice, or in another encoding."""
    text = bytearray(source)
    for _ in range(dice.choice([0, 1, 1, 1, 2, 5])):
        at = dice.randrange(len(text) + 1)
        text[at : at + dice.choice([0, 0, 1, 5, 200])] = dice.choice(SCRAPS)
    whole = bytes(text)
    kind = dice.randrange(20)
    if kind == 0:
        return whole[: dice.randrange(len(whole) + 1)]
    if kind == 1:
        return source.decode().encode(dice.choice(["utf-16", "utf-16-le", "utf-32", "cp037"]))
    return whole + source if kind == 2 else whole


@goal("R13", "fuzzed bytes of JSON and YAML are read, or refused with exit 2, a position and no traceback", 200_000)
def fuzzed_bytes(count: int) -> str:
    dice = Dice(SEED)
    taken = slowest = 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    no_kinds = patch("cnnsearch.check.reading.import_kinds")  # looking for installed packages' kinds takes longest
    with tempfile.TemporaryDirectory() as folder, no_kinds:
        for _ in range(count):
            which = int(dice.random() < 0.1)  # YAML takes a hundred times as long
            path = Path(folder) / ("file.yaml" if which else "file.json")
            path.write_bytes(torn(YAML if which else JSON, dice))
            began = time.process_time()
            said = StringIO()
            with redirect_stderr(said), redirect_stdout(StringIO()):
                status = check([str(path)])
            slowest = max(slowest, time.process_time() - began)
            assert status in {0, 2}, path.read_bytes()
            assert status == 0 or has_places(said.getvalue()), (path.read_bytes(), said.getvalue())
            taken += status == 0
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    assert slowest < HANGS, f"one took {slowest:.2f} s"
    assert grown < 200, f"{grown} MB more memory"
    return (
        f"{count:,} texts, {count - taken:,.0f} refused, the slowest in {slowest * 1000:.0f} ms, {grown} MB more memory"
    )


WHOLE = ("must be a mapping", "the text is longer", *(f"  {number} is no number" for number in ("inf", "-inf", "nan")))


def has_places(said: str) -> bool:
    """Say whether each fault begins with its place, but for those of a whole file."""
    heading, *faults = said.rstrip("\n").split("\n")
    told = [fault for fault in faults if not fault.startswith("  ... and ")]
    placed = (": " in fault and not fault.startswith("  not ") for fault in told)
    return bool(heading and told) and all(place or any(law in said for law in WHOLE) for place in placed)


CONV = {"out_channels": 3, "kernel_size": 3}
IMAGE = {"channels": 1, "height": 8, "width": 8}


def written(**fields: Plain) -> dict[str, Any]:
    return {"input": IMAGE, "blocks": [{"conv": CONV}], "classes": 2, **fields}


def repeats(depth: int) -> Plain:
    return {"conv": CONV} if depth == 0 else {"repeat": 64, "block": repeats(depth - 1)}


WIDE = {"conv": {"out_channels": 4096, "kernel_size": 31, "padding": "same"}}
MANY = {name: {"int": [1, 20]} for name in ("kernel_size", "stride", "dilation", "padding")}
BOMBS: dict[str, tuple[Any, Any]] = {
    "10^9 channels": (Network, written(blocks=[{"conv": {**CONV, "out_channels": 10**9}}])),
    "10^9 groups": (Network, written(blocks=[{"conv": {**CONV, "groups": 10**9}}])),
    "an integer of 4,000 digits": (Network, written(classes=10**4000)),
    "10^6 blocks": (Network, written(blocks=[{"conv": CONV}] * 10**6)),
    "10^6 hidden layers": (Network, written(head={"hidden": [1] * 10**6})),
    "an image of 10^27 numbers": (Network, written(input=dict.fromkeys(IMAGE, 10**9))),
    "a product of 10^18": (Network, written(input=dict.fromkeys(IMAGE, 4096), blocks=[WIDE] * 64)),
    "a million parameters a block": (Network, written(blocks=[{"conv": {**CONV, "out_channels": 4096}}] * 64)),
    "65,536 features eight times": (Network, written(head={"hidden": [65_536] * 8})),
    "a batch of 10^9": (Plan, {"dataset": "digits", "recipe": {"batch_size": 10**9}}),
    "10^12 trials": (Plan, {"dataset": "digits", "budget": {"trials": 10**12}}),
    "10^9 workers": (Plan, {"dataset": "digits", "executor": {"workers": 10**9}}),
    "10^5 rungs of 0": (Plan, {"dataset": "digits", "pruner": {"rungs": [0] * 10**5}}),
    "10^9 repeats": (Space, written(blocks=[{"repeat": 10**9, "block": {"conv": CONV}}])),
    "1 to 10^9 repeats": (Space, written(blocks=[{"repeat": {"int": [1, 10**9]}, "block": {"conv": CONV}}])),
    "64^6 repeats": (Space, written(blocks=[repeats(6)])),
    "a range of 10^14": (Space, written(blocks=[{"conv": {**CONV, "out_channels": {"int": [1, 10**14]}}}])),
    "480 ranges of 4,096": (
        Space,
        written(blocks=[{"conv": {**CONV, "groups": {"choice": [{"int": [1, 4096]}] * 480}}}]),
    ),
    "20^4 fillings of a block": (Space, written(blocks=[{"conv": {**CONV, **MANY}}] * 4)),
    "10^10 images": (Space, written(input={axis: {"int": [1, 2000]} for axis in IMAGE})),
    "65 repeats in a row": (Space, written(blocks=[{"repeat": 1, "block": {"conv": CONV}}] * 65)),
}


@goal("R14", "bombs are refused in 50 ms and 50 MB each", len(BOMBS))
def bombs(count: int) -> str:
    slowest, heaviest = ("", 0.0), 0
    for what, (word, data) in list(BOMBS.items())[:count]:
        seconds, grown = fastest_refusal(word, data, what)
        slowest = max(slowest, (what, seconds), key=lambda found: found[1])
        heaviest = max(heaviest, grown)
    assert slowest[1] < 0.05, f"{slowest[0]} took {slowest[1] * 1000:.0f} ms"
    assert heaviest < 50, f"{heaviest} MB"
    return f"{count} bombs, the slowest ({slowest[0]}) in {slowest[1] * 1000:.0f} ms, at most {heaviest} MB more"


def fastest_refusal(word: Plain, data: Plain, what: str) -> tuple[float, int]:
    """Give the best of three processor times, since others use the machine too, and the megabytes of the first."""
    seconds: list[float] = []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(3):
        began = time.process_time()
        try:
            word(data) if word is Space else word.model_validate(data)
            told = ""
        except InvalidSpecError as error:
            told = error.faults[0].place
        seconds.append(time.process_time() - began)
        assert told, f"{what} was taken, or refused without a place"
    return min(seconds), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
