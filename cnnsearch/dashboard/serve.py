"""How is a run served to a browser, and to nobody else?"""

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import Any, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from cnnsearch.dashboard.copy import Networks, copied
from cnnsearch.errors import RunError
from cnnsearch.history import Run, read
from cnnsearch.lock import is_owned
from cnnsearch.record import EPOCHS, RECORD

HOST = "127.0.0.1"
REFRESH = 3.0  # seconds between two looks at the record
LOOK = 0.5  # seconds between two looks for a Ctrl-C

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name it has in Python's class)
        """Say nothing: a browser asks every few seconds."""


class Dashboard:
    """Serves a run on this machine only, until the `with` ends; `url` says where.

    Raises RunError when the record cannot be read, optuna-dashboard is not installed, or the port is taken.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self._folder = folder
        self._seen = _signs(folder)
        self._app = _app(read(folder))
        self._server = _listen(port, self._serve)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)]
        self._threads.append(threading.Thread(target=self._follow, daemon=True))

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        return f"http://{HOST}:{self._server.server_port}/"

    def refresh(self) -> bool:
        """Copy the record again when it has grown; tell whether it had."""
        signs = _signs(self._folder)
        if signs == self._seen:
            return False
        self._app, self._seen = _app(read(self._folder)), signs
        return True

    def wait(self) -> None:
        """Serve until the program is interrupted."""
        while not self._ended.wait(LOOK):  # a Ctrl-C that comes just before a wait begins does not end it
            pass

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join()

    def _serve(self, request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        return looking_only(self._app)(request, start)

    def _follow(self) -> None:
        pause = REFRESH
        while not self._ended.wait(pause):
            began = time.monotonic()
            with suppress(RunError, OSError):  # read while it was being moved or restored: the last copy stays
                self.refresh()
            pause = max(REFRESH, 10 * (time.monotonic() - began))  # a large run's trainings want the processor too


def looking_only(app: Wsgi) -> Wsgi:
    """Let GET and HEAD pass to an app, under this machine's own name only; refuse everything else.

    A request under another name is a page elsewhere that has pointed its own name here (DNS rebinding).
    """

    def filtered(request: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if request["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            start("405 Method Not Allowed", [("Allow", "GET, HEAD"), ("Content-Type", "text/plain")])
            return [b"a run's dashboard is for looking only\n"]
        host: str = request.get("HTTP_HOST", HOST)
        if host.partition(":")[0] not in {HOST, "localhost"}:
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"ask under the name 127.0.0.1 or localhost\n"]
        if request.get("HTTP_ORIGIN", f"http://{host}") != f"http://{host}":
            start("403 Forbidden", [("Content-Type", "text/plain")])
            return [b"a page elsewhere has no business here\n"]
        return app(request, start)

    return filtered


def _app(run: Run) -> Wsgi:
    if find_spec("optuna_dashboard") is None:
        raise RunError("optuna-dashboard is not installed: pip install -e '.[dashboard]'")
    dashboard: Any = import_module("optuna_dashboard")  # it carries no types
    return dashboard.wsgi(copied(run), artifact_store=Networks(run))


def _listen(port: int, app: Wsgi) -> WSGIServer:
    try:
        return make_server(HOST, port, app, server_class=_Server, handler_class=_Silent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunError(f"port {port} of {HOST} cannot be had ({reason}); take another with --port") from None


def _signs(folder: Path) -> tuple[int, ...]:
    """Tell how far the record has come (its files only ever grow), and whether its coordinator lives."""
    paths = (folder / RECORD, folder / EPOCHS)
    return (*(path.stat().st_size if path.exists() else 0 for path in paths), is_owned(folder))
