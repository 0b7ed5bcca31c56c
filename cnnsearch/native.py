"""How does our C++ get compiled and loaded? Once a machine, by its own compiler; without one only speed is lost.

`norm.cpp` is compiled for this very CPU by the first workers, which takes them some seconds, and kept in the
platform's cache folder. A library shipped ready-made would have to be built for every system, and for the oldest CPU of
each.
"""

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path

import torch
from platformdirs import user_cache_path

from cnnsearch.files import whole

SOURCE = Path(__file__).with_name("norm.cpp")
# No -ffast-math: a loss that is not a number has to stay one.
FLAGS = "-std=c++17 -O3 -march=native -ffp-contract=fast -fno-math-errno -fno-trapping-math -fPIC -shared".split()  # noqa: SIM905 (read as it is typed)
SECONDS = 120.0


@cache
def library() -> ctypes.CDLL | None:
    """Load the compiled functions, compiling them where this machine has not yet; None where it has no compiler.

    `CNNSEARCH_NATIVE=0` asks for None. What the compiler had to say goes to standard error.
    """
    if os.environ.get("CNNSEARCH_NATIVE") == "0":
        return None
    wanted = os.environ.get("CXX", "c++")
    compiler = shutil.which(wanted)
    if compiler is None:
        print(f"training without compiled layers: no C++ compiler {wanted!r} here", file=sys.stderr)  # noqa: T201
        return None
    try:
        return _load(compiler)
    except subprocess.CalledProcessError as error:
        print(f"training without compiled layers: {compiler} says\n{error.stderr}", file=sys.stderr)  # noqa: T201 (standard error is the log)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"training without compiled layers: {error}", file=sys.stderr)  # noqa: T201
    return None


def _cache() -> Path:
    """Give the folder where compiled code is kept: nobody else may write there, so without a home there is none."""
    try:
        return user_cache_path("cnnsearch")
    except RuntimeError:
        return Path(os.devnull)


def _load(compiler: str) -> ctypes.CDLL:
    path = _cache() / "native" / f"{_identity(compiler)}.so"
    with suppress(OSError):  # it is not there, or a power cut has left a part of it
        return ctypes.CDLL(str(path))
    kept = _is_made(path.parent)
    with tempfile.TemporaryDirectory(dir=path.parent if kept else None) as scratch:
        made = Path(scratch) / path.name
        command = (compiler, *FLAGS, str(SOURCE), "-o", str(made))
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)  # noqa: S603 (no shell)
        if not kept:
            return ctypes.CDLL(str(made))  # it stays loaded when the file is gone
        with whole(path) as draft:  # in one step: several workers may be at it
            made.replace(draft)
    return ctypes.CDLL(str(path))


def _is_made(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # a home that cannot be written: compiled for this process alone
        return False
    return os.access(folder, os.W_OK)


def _identity(compiler: str) -> str:
    """Name what decides the machine code: a home may be shared by machines of different kinds."""
    decides = (SOURCE.read_bytes(), FLAGS, compiler, sys.platform, os.uname().machine, torch.cpu.get_capabilities())
    return sha256(repr(decides).encode()).hexdigest()[:16]
