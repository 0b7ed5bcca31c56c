"""A block whose module does what a user's code may do; registered where `register_blocks_that_fail` is imported."""

import faulthandler
import math
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Literal

import psutil
import torch
from torch import Tensor, nn

from cnnsearch.blocks import Block
from cnnsearch.flow import Flow, Step
from cnnsearch.layers import Layer
from cnnsearch.shapes import Shape


def bug() -> None:
    raise KeyError("channels")


def leave() -> None:
    sys.exit(3)


def leave_at_once() -> None:
    os._exit(3)


def recurse() -> None:
    recurse()


def overflow_the_stack() -> None:
    """Recurse in C, where Python does not count along."""
    deep = iter([1])
    for _ in range(1_000_000):
        deep = filter(None, deep)
    next(deep)


def ask_torch_for_too_much() -> None:
    torch.empty(2**50)


def ask_python_for_too_much() -> None:
    bytearray(2**60)


def take_ten_gigabytes() -> None:
    """Take them where only one is to be had, so that nothing else on the machine is short of memory."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + 2**30, before[1]))
    try:
        torch.ones(10 * 2**30, dtype=torch.uint8)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def write_a_million_lines() -> None:
    for thousand in range(1_000):
        print(f"a line of the thousand {thousand}\n" * 1_000)  # noqa: T201


def start_processes() -> None:
    for _ in range(32):
        subprocess.Popen(["sleep", "1000000"])  # noqa: S607


def chat() -> None:
    print('{"kind": "done", "trial": 0, "stopped": false}')  # noqa: T201
    subprocess.run([sys.executable, "-c", "print('nonsense')"], check=True)


def crash() -> None:
    faulthandler._sigsegv()  # noqa: SLF001


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hang() -> None:
    threading.Event().wait()


def nothing() -> None:
    pass


ACTS: dict[str, Callable[[], None]] = {
    act.__name__: act
    for act in (
        bug,
        leave,
        leave_at_once,
        recurse,
        overflow_the_stack,
        ask_torch_for_too_much,
        ask_python_for_too_much,
        take_ten_gigabytes,
        write_a_million_lines,
        start_processes,
        chat,
        crash,
        be_killed,
        hang,
        nothing,
    )
}


FACTORS = {"give_nan": math.nan, "give_inf": math.inf}


class ActingModule(nn.Module):
    """Acts once, at its first batch in training; where `finals_only` says so, only once a run's finals have begun."""

    def __init__(self, act: str, factor: float, finals_only: bool) -> None:  # noqa: FBT001 (a layer's field)
        super().__init__()
        acts = not finals_only or any(Path().glob("runs/*/finals"))
        self.act = ACTS.get(act, nothing) if acts else nothing
        self.factor = FACTORS.get(act, factor) if acts else factor

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        if self.training:
            act, self.act = self.act, nothing
            act()
        return maps_NCHW * self.factor


class ActingLayer(Layer):
    torch_class: ClassVar[str] = "blocks_that_fail:ActingModule"

    act: str
    factor: float
    finals_only: bool


class Acting(Block):
    kind: Literal["acting"] = "acting"
    act: str = "nothing"
    factor: float = 1.0
    finals_only: bool = False

    def flow(self, shape: Shape) -> Flow:
        _ = shape
        layer = ActingLayer(act=self.act, factor=self.factor, finals_only=self.finals_only)
        return (Step("acting", layer),)
