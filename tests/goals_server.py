"""A goal of whoever asks a run's dashboard for what is not theirs: pages elsewhere, other machines, odd paths."""

import os
import random
import re
import signal
import socket
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from importlib import import_module
from itertools import chain, product
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import psutil
from faults import SEED, goal
from goals_kills import folder
from made_runs import write_run
from study_rig import HERE, end_of, start

DASHBOARD = (sys.executable, "-m", "cnnsearch.dashboard")
CANARY = b"not for a browser"
METHODS = ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get", "X" * 99)
HOSTS = ("evil.example", "127.0.0.1.evil.example", "evil.example:8080", "", "[::1]", "localhost.", "0", "a" * 9_000)
ORIGINS = ("http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1", "http://localhost")
STEPS = ("../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..%252f", "%252e%252e%252f", "....//", "..%5c", "%00", "%2f", "%")
TOO_LONG = (b"GET /%s HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: %s\r\n\r\n")


class Served(NamedTuple):
    """A dashboard in a process of its own."""

    port: int
    pid: int

    def answer(self, method: str, path: str, **headers: str) -> tuple[int, bytes]:
        """Ask it, and give the status and what came with it."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers)
            for name, value in {"Content-Type": "application/json", "Content-Length": "2", **headers}.items():
                connection.putheader(name, value)
            connection.endheaders(b"{}")
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()


def routes() -> list[str]:
    """Give a path for each of the app's own routes."""
    app: Any = import_module("optuna_dashboard._app")
    rules = {route.rule for route in app.create_app(optuna.storages.InMemoryStorage()).routes}
    filled = {re.sub(r"<\w+(:[^>]*)?>", "0", rule).partition("<")[0] for rule in rules}
    return sorted(filled | {"/static/bundle.js"})


@contextmanager
def served() -> Generator[tuple[Served, Path]]:
    """Serve a made run by the command; what it was is what it is afterwards."""
    with folder() as where:
        write_run(where / "x")
        (where / "canary").write_bytes(CANARY)
        (where / "x" / "canary").write_bytes(CANARY)
        before = content(where)
        broken = "CNNSEARCH_BROKEN" in os.environ
        command = (sys.executable, str(HERE / "dashboard_without_a_guard.py")) if broken else DASHBOARD
        process = start(where, "x", "--port", "0", "--no-browser", command=command)
        try:
            assert process.stdout
            address = re.match(r"http://127\.0\.0\.1:(\d+)/ shows x", process.stdout.readline())
            assert address, "it does not say where it serves"
            yield Served(int(address[1]), process.pid), where
        finally:
            process.send_signal(signal.SIGINT)
            status, _, err = end_of(process)
        assert (status, err) == (0, ""), f"exit status {status}: {err[-300:]}"
        assert content(where) == before, "a request changed a file"


def content(where: Path) -> dict[str, bytes]:
    kept = (path for path in where.rglob("*") if path.is_file() and path.name != "lock")
    return {str(path.relative_to(where)): path.read_bytes() for path in kept}


def strangers() -> Iterator[tuple[str, dict[str, str], int]]:
    """Give method and headers of requests that no route may answer, and the status that they get."""
    yield from ((method, {}, 405) for method in METHODS)
    yield from (("GET", {"Host": host}, 403) for host in HOSTS)
    yield from (("GET", {"Origin": origin}, 403) for origin in ORIGINS)
    yield from (("POST", {"Host": host, "Origin": origin}, 405) for host, origin in zip(HOSTS, ORIGINS, strict=False))


@goal("S3", "a run's dashboard and whoever asks what is not theirs", 2000)
def requests(count: int) -> str:
    """Ask from elsewhere, then every route as a stranger, then at random for files outside; nothing may change."""
    dice = random.Random(SEED)
    with served() as (dashboard, _):
        reached = [address for address in addresses() if listens(address, dashboard.port)]
        assert not reached, f"it can be reached at {reached}"
        places = {line.laddr.ip for line in psutil.Process(dashboard.pid).net_connections() if line.status == "LISTEN"}
        assert places == {"127.0.0.1"}, f"it listens at {places}"
        asked = 0
        for path, (method, headers, expected) in product(routes(), strangers()):
            status, _ = dashboard.answer(method, path, **headers)
            assert status == expected, f"{method} {path} {headers}: {status}"
            asked += 1
        for _ in range(count):
            path = dice.choice(("/static/", "/artifacts/0/0/", "/csv/", "/dashboard/", "/api/studies/", "/"))
            path += dice.choice(STEPS) * dice.randint(1, 8) + dice.choice(("canary", "x/canary", "x/plan.json"))
            status, body = dashboard.answer("GET", path)
            assert 400 <= status < 500 or path.startswith("/dashboard/"), f"{path}: {status}"
            assert CANARY not in body, f"{path} leads to a file outside"
        for request in TOO_LONG:
            assert re.match(rb"HTTP/1.\d 4\d\d ", raw(dashboard.port, request % (b"a" * 70_000))), "a long line"
    routed = f"{asked} requests to {len(routes())} routes refused"
    return f"{routed}, {count} odd paths lead nowhere; no file changed, {len(addresses())} other addresses are deaf"


def raw(port: int, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as line:
        line.sendall(request)
        return line.recv(1000)


def addresses() -> list[str]:
    """Give every address of this machine but the one that is served."""
    every = chain.from_iterable(psutil.net_if_addrs().values())
    found = {each.address for each in every if each.family == socket.AF_INET}
    return sorted((found | {"127.0.0.2"}) - {"127.0.0.1"})


def listens(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except OSError:
        return False
    return True
