"""A block whose module does what a user's code may do; registered where `register_blocks_that_fail` is imported."""

import faulthandler
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import ClassVar, Literal

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


def recurse() -> None:
    recurse()


def ask_torch_for_too_much() -> None:
    torch.empty(2**50)


def ask_python_for_too_much() -> None:
    bytearray(2**60)


def chat() -> None:
    print('{"kind": "done", "trial": 0, "stopped": false}')  # noqa: T201
    subprocess.run([sys.executable, "-c", "print('nonsense')"], check=True)


def crash() -> None:
    faulthandler._sigsegv()  # noqa: SLF001


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def nothing() -> None:
    pass


ACTS: dict[str, Callable[[], None]] = {
    act.__name__: act
    for act in (bug, leave, recurse, ask_torch_for_too_much, ask_python_for_too_much, chat, crash, be_killed, nothing)
}


class ActingModule(nn.Module):
    def __init__(self, act: str, factor: float) -> None:
        super().__init__()
        self.act, self.factor = act, factor

    def forward(self, maps_NCHW: Tensor) -> Tensor:
        ACTS[self.act]()
        return maps_NCHW * self.factor


class ActingLayer(Layer):
    torch_class: ClassVar[str] = "blocks_that_fail:ActingModule"

    act: str
    factor: float


class Acting(Block):
    kind: Literal["acting"] = "acting"
    act: str = "nothing"
    factor: float = 1.0

    def flow(self, shape: Shape) -> Flow:
        _ = shape
        return (Step("acting", ActingLayer(act=self.act, factor=self.factor)),)
