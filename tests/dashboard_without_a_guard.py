"""`python -m cnnsearch.dashboard` without the guard that CNNSEARCH_BROKEN names, so that its lack is seen."""

import os
import runpy
from wsgiref.simple_server import WSGIServer, make_server

from cnnsearch.dashboard import serve
from cnnsearch.dashboard.serve import Wsgi


def everywhere(_: str, port: int, app: Wsgi, **classes: type) -> WSGIServer:
    """Listen at all addresses."""
    return make_server("0.0.0.0", port, app, **classes)  # noqa: S104 (what must be noticed)


def unfiltered(app: Wsgi) -> Wsgi:
    """Let everything pass."""
    return app


match os.environ["CNNSEARCH_BROKEN"]:
    case "filter":
        serve.looking_only = unfiltered
    case _:
        serve.make_server = everywhere
runpy.run_module("cnnsearch.dashboard", run_name="__main__")
