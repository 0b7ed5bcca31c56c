"""Goals of what is ended politely: Ctrl-C, SIGTERM, SIGHUP, and Ctrl-C again and again, wherever a study is."""

import random
import signal
import sqlite3
import threading
import time
from contextlib import closing
from gzip import compress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import Popen

from faults import SEED, goal
from goals_kills import assert_whole, folder, plan_of, told
from phases import CONTENT, MARK
from study_rig import WITHOUT_TRAINING, end_of, processes_in, record, run, start, until

PHASES = ("download", "asking", "training", "checkpoint", "report", "finals")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENDS = (*((number, False) for number in SIGNALS), (signal.SIGINT, True))
TRIALS = 6
END = 10.0  # seconds after a signal
END_AT_ONCE = 1.0  # after the second one
GONE = 5.0  # for whoever is ended by the kernel, once the coordinator is no more


class Slow(ThreadingHTTPServer):
    """A mirror that sends half a file at once and the rest byte by byte, until it is let `flow`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.drips, self.flow = threading.Event(), threading.Event()
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class Answer(BaseHTTPRequestHandler):
    server: Slow

    def do_GET(self) -> None:
        """Send the file; whoever asked may have gone meanwhile."""
        packed = compress(CONTENT)
        self.send_response(200)
        self.send_header("Content-Length", str(len(packed)))
        self.end_headers()
        middle = len(packed) // 2
        self.wfile.write(packed[:middle])
        self.server.drips.set()
        try:
            for place in range(middle, len(packed)):
                self.wfile.write(packed[place : place + 1])
                self.server.flow.wait(0.1)
        except OSError:
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        pass


@goal("R10", "ended politely, in each phase and at random moments", 60)
def signals(count: int) -> str:
    """End a study in every phase by every signal, then at random moments, and go on each time."""
    named = [(phase, number, more) for phase in PHASES for number, more in ENDS][:count]
    slowest = max(end_in(phase, number, again=more) for phase, number, more in named)
    moments = count - len(named)
    if moments:
        slowest = max(slowest, end_at_moments(moments))
    in_phases = f"{len(named)} in {len({phase for phase, *_ in named})} phases"
    return f"{in_phases}, {moments} at random moments: each ended within {slowest:.2f} s and went on to its end"


def end_in(phase: str, number: signal.Signals, *, again: bool) -> float:
    """End a study in a phase, and go on; give the seconds that its end took."""
    with folder() as where, Slow() as mirror:
        if phase != "download":
            mirror.flow.set()
        finals = {"candidates": 1, "finalists": 1, "seeds": 1, "baselines": []} if phase == "finals" else None
        name = plan_of(where, TRIALS, 2, dataset="mnist", finals=finals, pruner={"kind": "none"})
        page = {"PAGE": "1"} if phase == "report" else {}
        address = f"http://127.0.0.1:{mirror.server_port}/"
        process = start(where, name, command=command(MIRROR=address, DWELL=phase, **page))
        reached = mirror.drips.is_set if phase == "download" else (where / MARK).exists
        until(lambda: reached() or process.poll() is not None)
        assert reached(), f"no {phase}, but exit status {end_of(process)}"
        took = _end(where, process, number, again=again, where_it_is=f"in {phase} by {number.name}")
        mirror.flow.set()
        status, _, err = run(where, name, command=command(MIRROR=address, **page))
        assert (status, err) == (0, ""), f"after an end in {phase} exit status {status}: {err[-300:]}"
        assert_whole(where, TRIALS)
        assert (record(where).with_name("report.html").exists()) == bool(page), "a page that is missing, or too much"
        return took


def end_at_moments(count: int) -> float:
    """End a study by any signal at moments that nobody chose, from its start on, and go on."""
    dice, slowest = random.Random(SEED), 0.0
    while count:
        with folder() as where:
            name, ends = plan_of(where, 40, 2), min(count, 8)
            for _ in range(ends):
                number, begun = dice.choice(SIGNALS), len(told(record(where)))
                enough, further = begun + dice.randrange(30), dice.uniform(0, 0.1)
                process = start(where, name, command=WITHOUT_TRAINING)
                until(lambda: len(told(record(where))) >= enough or process.poll() is not None)  # noqa: B023
                time.sleep(further)
                if process.poll() is None:
                    took = _end(where, process, number, again=False, where_it_is=f"by {number.name}, seed {SEED}")
                    slowest = max(slowest, took)
            status, _, err = run(where, name, command=WITHOUT_TRAINING)
            assert (status, err) == (0, ""), f"exit status {status}: {err[-300:]}"
            assert_whole(where, 40)
            count -= ends
    return slowest


def _end(where: Path, process: Popen[str], number: signal.Signals, *, again: bool, where_it_is: str) -> float:
    """Send a signal, again and again where it shall be so, and check how the study ends; give the seconds."""
    began = time.monotonic()
    process.send_signal(number)
    while again and process.poll() is None:
        process.send_signal(number)
    status, _, err = end_of(process)
    took = time.monotonic() - began
    if status < 0 and (again or not record(where).exists()):
        status = 128 - status  # ended by the signal itself: as a shell says it
    assert status == 128 + number, f"ended {where_it_is} with exit status {status}: {err[-300:]}"
    assert took <= (END_AT_ONCE if again else END), f"ended {where_it_is} after {took:.1f} s"
    assert "Traceback" not in err, f"ended {where_it_is} with a traceback: {err[-300:]}"
    assert "ignored" not in err, f"ended {where_it_is} with a complaint: {err[-300:]}"
    until(lambda: not processes_in(where), GONE)
    storage = record(where).with_name("storage.sqlite3")
    if storage.exists():
        with closing(sqlite3.connect(storage)) as connection:
            (left,) = connection.execute("SELECT count(*) FROM trials WHERE state = 'RUNNING'").fetchone()
            assert left == 0, f"ended {where_it_is} with {left} trials RUNNING"
    return took


def command(**environment: str) -> tuple[str, ...]:
    return ("/usr/bin/env", *(f"CNNSEARCH_{name}={value}" for name, value in environment.items()), *WITHOUT_TRAINING)
