"""Goals of what is shown: hostile names in the report, the dashboard and file names, in a real browser."""

import json
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from warnings import catch_warnings, simplefilter

from browser import Seen, browser, look, missing
from faults import SEED, goal
from made_runs import asked, draw, network

from cnnsearch import record
from cnnsearch.dashboard.serve import Dashboard
from cnnsearch.events import Closed, Epoch, Event, Finished, Opened, Started
from cnnsearch.files import write_whole
from cnnsearch.history import PLAN
from cnnsearch.report.write import write_report

A_RUN = 20  # hostile texts in each
SERVED = 5  # of so many runs one is looked at in the dashboard too, which takes ten times as long
FAILS = 5  # every so many-th trial
PATHS = ("", "/analytics", "/trials", "/trialTable", "/note")
PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(2)</script>",
    "<img src=x onerror=alert(3)>",
    "javascript:alert(4)",
    "<svg/onload=alert(5)>",
    "\"'><script>alert(6)</script>",
    "' onmouseover='alert(7)",
    '" autofocus onfocus="alert(8)',
    "<a href='javascript:alert(9)'>x</a>",
    "[x](javascript:alert(10))",
    '![x](x" onerror="alert(11))',
    "<!--<script>alert(12)//",
    "-->alert(13)",
    "]]>",
    "${alert(14)}",
    "{{constructor.constructor('alert(15)')()}}",
    "%3Cscript%3Ealert(16)%3C/script%3E",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\x00",
    "a\x00b",
    "\u2028alert(17)\u2029",
    "../../etc/passwd",
    "..\\..\\x",
    "CON",
    "NUL.txt",
    "`${alert(18)}`",
    "```\n<script>alert(19)</script>\n```",
    "</title><script>alert(20)</script>",
    "</style><script>alert(21)</script>",
    "<iframe srcdoc='<script>parent.alert(22)</script>'>",
    "<base href=//evil.example>",
    "<meta http-equiv=refresh content=0;//x>",
    "<form action=javascript:alert(23)><button>",
    "<math><mi xlink:href=javascript:alert(24)>x",
    "\\u003cscript\\u003ealert(25)",
    "&lt;script&gt;alert(26)&lt;/script&gt;",
    '<b>%{text}</b><a href="javascript:alert(27)">y</a>',
    "=cmd|'/C calc'!A0",
    "\x1b[2J",
    "</pre><script>alert(28)</script>",
    "</code></td><script>alert(29)</script>",
    "\U0001f4a5" * 99,
    "\ufeff",
    "x" * 65_536,
)


def texts(count: int) -> Iterator[str]:
    """Give hostile texts: the known ones, then two put together, in other cases."""
    dice = random.Random(SEED)
    yield from PAYLOADS[:count]
    for _ in range(count - len(PAYLOADS)):
        parts = [dice.choice(PAYLOADS[:-1]), dice.choice(PAYLOADS[:-1])]
        yield dice.choice([str.upper, str.lower, str.title, str])(dice.choice(["", " ", "\n", "\t"]).join(parts))


def hostile_run(parent: Path, names: list[str]) -> Path:
    """Write a run whose every text is hostile, its folder's name too as far as a file system has it."""
    dice = random.Random(SEED)
    shown = "".join(letter for letter in names[0] if letter not in "/\0")[:60].strip(".") or "run"
    folder = parent / shown
    plan = {
        "dataset": dice.choice(names),
        "seed": dice.choice(names),
        "space": {dice.choice(names): dice.choice(names)},
    }
    versions = {dice.choice(names): dice.choice(names)}
    with record.own(folder) as to:
        write_whole(folder / PLAN, json.dumps(plan))
        to.append(Opened(host=dice.choice(names), pid=1, versions=versions, notice=names[0]))
        for trial, (word, before) in enumerate(zip(names, [names[-1], *names], strict=False)):
            for event in hostile_story(trial, word, before):
                to.append(event)
        to.append(Closed(state="complete"))
    return folder


def hostile_story(trial: int, word: str, other: str) -> Iterator[Event]:
    made = asked(trial, network(draw(trial)))
    odd = [] if trial % 4 else [{"kind": word, word: word}]
    data = {**made.network, "blocks": [*made.network["blocks"], *odd]}
    built = {word: other, f"a[0].{word}": trial % 5, "blocks[0].kind": word}
    yield made.model_copy(update={"built": built, "fingerprint": word, "network": data})
    yield Started(trial=trial, attempt=1, slot=0)
    yield Epoch(trial=trial, epoch=1, loss=1, validation_accuracy=0.9, validation_loss=1, seconds=1)
    if trial % FAILS:
        yield Finished(trial=trial, state="complete", reason=word, score=0.9 + trial / 1000, seconds=1)
    else:
        yield Finished(trial=trial, state="failed", reason=word, seconds=1)


def harm(seen: Seen) -> str:
    return "; ".join(f"{name}: {value[:3]}" for name, value in seen._asdict().items() if value)


@goal("S2", "hostile names run no script in a real browser, and make no file outside the run", 500)
def hostile_names(count: int) -> str:
    assert not missing(), missing()
    names = list(texts(count))
    pages = 0
    with tempfile.TemporaryDirectory() as place, browser() as running, catch_warnings():
        simplefilter("ignore")  # Optuna's, of holes with few values
        for start in range(0, count, A_RUN):
            folder = hostile_run(Path(place) / "runs" / str(start), names[start : start + A_RUN])
            looked = [look(running, write_report(folder).resolve().as_uri())]
            if start % (A_RUN * SERVED) == 0:
                with Dashboard(folder) as served:
                    looked += [look(running, f"{served.url}dashboard/studies/0{path}", "(id=0)") for path in PATHS]
            assert not any(map(harm, looked)), "; ".join(map(harm, looked))
            pages += len(looked)
        outside = [path.name for path in Path(place).iterdir() if path.name != "runs"]
        assert not outside, outside
    return f"{count} names on {pages} pages: 0 scripts run, 0 refused by a page's policy, 0 other addresses asked"
