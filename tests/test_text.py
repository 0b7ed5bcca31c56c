"""Both readers: what they take, what they refuse and where; bombs cost nothing."""

import random
from pathlib import Path

import pytest
from amount import MORE, examples
from hypothesis import given
from hypothesis import strategies as st

from cnnsearch.errors import InvalidSpecError
from cnnsearch.text import MOST_BYTES, MOST_YAML_BYTES, Plain, read_file, read_json, read_yaml

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(allow_nan=False, allow_infinity=False), st.text()
)
plain = st.recursive(
    scalars, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3))
)


@examples(200)
@given(plain)
def test_json_is_read_as_it_is_written(data: Plain) -> None:
    import json

    assert read_json(json.dumps(data)) == data
    assert read_json(json.dumps(data).encode()) == data


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_a_byte_order_mark_is_no_part_of_the_text(read: object) -> None:
    assert read(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}  # type: ignore[operator]


def test_a_directive_for_the_version_that_is_read_is_no_fault() -> None:
    assert read_yaml("%YAML 1.2\n---\na: on") == {"a": "on"}


def test_yaml_is_read_as_version_1_2() -> None:
    assert read_yaml("a: on\nb: 1e-3\nc: 0o17\nd: 1:30\ne: ~\nf: [1, 2.0]\n") == {
        "a": "on", "b": 0.001, "c": 15, "d": "1:30", "e": None, "f": [1, 2.0],
    }  # fmt: skip


def refusal(read: object, text: object) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        read(text)  # type: ignore[operator]
    return str(caught.value)


DIRECTIVE = "is not read: this is YAML 1.2; leave the line out"
TOO_DEEP = "nested more than 40 levels deep; a plan needs about 10"
TOO_MANY = "more than 20,000 commas; a network or plan needs a few hundred"
TOO_LONG = "the text is longer than {} bytes; a network or plan needs a few thousand"
LONG_NUMBER = "a number of more than 4,300 digits is not read; write a shorter one"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: not JSON: Expecting value"),
        ('{"a": 1', "line 1, column 8: not JSON: Expecting ',' delimiter"),
        ('{"a": 1}\n]', "line 2, column 1: not JSON: Extra data"),
        ("\x00", "line 1, column 1: not JSON: Expecting value"),
        ('"\x00"', "line 1, column 2: not JSON: Invalid control character at"),
        ("\ufeff{}", "line 1, column 1: not JSON: Unexpected UTF-8 BOM (decode using utf-8-sig)"),
        (b"\xff\xfe{\x00}\x00", "byte 0: not UTF-8 text; save the file as UTF-8"),
        (b'"a\x80"', "byte 2: not UTF-8 text; save the file as UTF-8"),
        ('{"a": 1, "a": 1}', "a: this key stands twice in one object; keep one of them"),
        ('{"\\u001b[31m": 1, "\\u001b[31m": 2}', "'\\x1b[31m': this key stands twice in one object; keep one of them"),
        (r'["\ud800"]', r"[0]: the text '\ud800' holds half a character (a surrogate alone); leave it out"),
        (r'{"a": {"\udc00": 1}}', r"a.'\udc00': the key holds half a character (a surrogate alone); leave it out"),
        ('{"a": [0, NaN]}', "a[1]: nan is no number to reckon with; write a finite one"),
        ("[-Infinity]", "[0]: -inf is no number to reckon with; write a finite one"),
        ('{"a": 1e999}', "a: inf is no number to reckon with; write a finite one"),
        ("[1,\n " + "9" * 5000 + "]", f"line 2, column 2: {LONG_NUMBER}"),
        ("[" * 42 + "]" * 42, f"line 1, column 41: {TOO_DEEP}"),
        ('["[{",\n' + '{"[": ' * 42 + "1" + "}" * 42 + "]", f"line 2, column 235: {TOO_DEEP}"),
        ("[" * 500_000, f"line 1, column 41: {TOO_DEEP}"),
        (
            "[" + "1,\n" * 20_001 + "1]",
            "line 20001, column 2: " + TOO_MANY,
        ),
        (" " * (MOST_BYTES + 1), TOO_LONG.format("1,000,000")),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bad_json_is_refused_with_its_place(text: str | bytes, message: str) -> None:
    assert refusal(read_json, text) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 'x", "line 1, column 6: not YAML: found unexpected end of stream"),
        ("- a\n b: c", "line 2, column 3: not YAML: mapping values are not allowed here"),
        ("\ta: 1", "line 1, column 1: not YAML: found character '\\t' that cannot start any token"),
        (
            "a: 1\nb: 2\na: 3",
            "line 3, column 1: the key 'a' stands twice in one object; keep one of them",
        ),
        ("- 1\n---\n- 2", "line 2, column 1: not YAML: but found another document"),
        ("a: 1\nb: \x00", "line 2, column 4: not YAML: the character '\\x00' is not allowed"),
        (
            "%YAML 1.1\n---\na: on",
            f"line 1, column 1: the directive '%YAML 1.1' {DIRECTIVE}",
        ),
        (
            "a: 1\n...\n%YAML 1.3\n---\n",
            "line 3, column 1: the directive '%YAML 1.3' is not read: this is YAML 1.2; leave the line out",
        ),
        (
            "%TAG ! a\n---\n",
            "line 1, column 1: the directive '%TAG ! a' is not read: this is YAML 1.2; leave the line out",
        ),
        (b"\xff\xfea\x00", "byte 0: not UTF-8 text; save the file as UTF-8"),
        ("a: .nan", "a: nan is no number to reckon with; write a finite one"),
        ("a:\n- .inf", "a[0]: inf is no number to reckon with; write a finite one"),
        ("b: 1\na: &x 1", "line 2: anchors (&) and aliases (*) are not read; write the value out"),
        ("a: *x", "line 1: anchors (&) and aliases (*) are not read; write the value out"),
        ("!!binary aGVsbG8=", "line 1: the tag 'tag:yaml.org,2002:binary' is not read; write the value alone"),
        (
            "!!python/object/apply:os.system [ls]",
            "line 1: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not read; write the value alone",
        ),
        ("a: 2001-01-01", "a: a date is not read; write null, a truth value, a number or text"),
        ("a: {1: 2}", "a.1: the key is no text; put it in quotes"),
        ("a: {b: 0,5}", "a.5: the key is no text; put it in quotes (a decimal has a point: 0.5)"),
        ("? [1, 2]\n: 3", "(1, 2): the key is no text; put it in quotes"),
        ("a: 1\nb: [x, {[[1], 2]: 3}]", "line 2, column 9: not YAML: a list or an object stands as a key; write text"),
        ("a: " + "9" * 5000, f"line 1, column 4: {LONG_NUMBER}"),
        ("[" * 50_000, f"line 1: {TOO_DEEP}"),
        ("{" * 50_000, f"line 1: {TOO_DEEP}"),
        ("- " * 25_000, f"line 1: {TOO_DEEP}"),
        ("- 1\n" * 12_000, "line 4999: more than 5,000 values and brackets; a plan needs a few hundred"),
        ("#" * (MOST_YAML_BYTES + 1), TOO_LONG.format("50,000")),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_bad_yaml_is_refused_with_its_place(text: str | bytes, message: str) -> None:
    assert refusal(read_yaml, text) == message


def test_aliases_that_would_grow_are_refused_at_the_first() -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    assert refusal(read_yaml, "\n".join(lines)).startswith("line 1: anchors")


def test_a_file_is_read_by_its_ending(tmp_path: Path) -> None:
    for name in ("a.json", "a.yaml", "a.yml"):
        (tmp_path / name).write_text('{"a": [1]}')
        assert read_file(tmp_path / name) == {"a": [1]}


def test_a_missing_file_is_refused_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "none.json"
    assert refusal(read_file, path) == f"{path}: cannot be read (No such file or directory); check the path"
    assert refusal(read_file, Path("a\0b")) == "a\0b: cannot be read (embedded null byte); check the path"


def test_an_empty_file_is_refused_as_one(tmp_path: Path) -> None:
    (tmp_path / "plan.yaml").write_text(" \n")
    with pytest.raises(InvalidSpecError) as caught:
        read_file(tmp_path / "plan.yaml")
    assert (
        str(caught.value)
        == f"{tmp_path / 'plan.yaml'}: the file is empty; examples of plans are in studies/, of networks in the README"
    )


def test_of_a_long_file_only_the_first_megabyte_is_read(tmp_path: Path) -> None:
    with (tmp_path / "long.json").open("wb") as file:
        file.truncate(10**12)  # a terabyte of nothing
    assert refusal(read_file, tmp_path / "long.json") == TOO_LONG.format("1,000,000")


SEEDS = (
    b'{"blocks": [{"repeat": {"int": [2, 4]}, "block": {"conv": {"out_channels": 8, "padding": "same"}}}], "x": 1e-3}',
    b"blocks:\n  - repeat: {int: [2, 4]}\n    block:\n      conv: {padding: same}\nx: |\n  text\ny: >-\n  a\n? k\n: 1",
)
SCRAPS = [
    *b"&*!%{}[]?:-|>\"'#\t\x00\xff\r@`~",
    *(
        b"&a ",
        b"*a",
        b"!!int ",
        b"!!bool x",
        b"%YAML 1.1\n",
        b"---\n",
        b"<<: ",
        b"2001-01-01",
        b"0x",
        b".nan",
        b"1e999",
    ),
    *(b"\\x", b"\\ud800", b"\xe2\x80\xa8", b"%TAG ! a\n", b"NaN", b"99999999999999999999", b"[[[[", b'{"a":'),
]


def broken(source: bytes, chance: random.Random) -> bytes:
    text = bytearray(source)
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(text) + 1)
        scrap = chance.choice(SCRAPS)
        new = bytes([scrap]) if isinstance(scrap, int) else scrap
        text[at : at + chance.choice([0, 0, 1, 10, 1000])] = new
    return bytes(text)


@pytest.mark.parametrize("read", [read_json, read_yaml])
def test_broken_text_is_read_or_refused_and_nothing_else(read: object) -> None:
    chance = random.Random(0)
    refused = 0
    for _ in range(1500 * MORE):
        text = broken(chance.choice(SEEDS), chance)
        try:
            read(text)  # type: ignore[operator]
        except InvalidSpecError as error:
            refused += 1
            str(error).encode()
    assert refused > 500 * MORE
