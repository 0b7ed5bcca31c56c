"""How is the work of a step recorded once, and done again without Python?

A small network's step is some hundred kernels of a few microseconds each, and Python takes longer to launch one than a
GPU to run it. A CUDA graph launches them all at once and is recorded in the time of a few steps; torch.compile takes
longer than a trial (12 to 36 s a network). What recorded work has to keep to:

- What it reads and writes keeps its place. What changes from step to step (which images, the learning rate, how far
  images move) is copied into such tensors; a Python number would be recorded as it stood. What it leaves behind must
  not be freed: gradients are made and dropped within the step.
- It reads no value of a tensor, nor makes one whose size depends on values: the program would have to wait, which a
  recording cannot. A batch norm with momentum null does, and a block of one's own may: the first step is listened to,
  and work that reads is never recorded, only slower.
- It draws from torch's own generator or the one that is handed over. A replay goes on from their seed and offset as
  they are then, just as the work itself would, so they may be seeded anew between replays.

The first steps of a training are done as they stand, on the stream that later records: they are real steps, and they
make what libraries and optimizers make at their first use. torch.backends.cudnn.benchmark stays off: it would try every
algorithm at the first step of each network, and might choose another one for the same seed. Recording waits for the
device once a training.

Tested on a CPU only, with a recorder that keeps the operators in a list and runs them again. Never run on a GPU, and
not measured: `examples/benchmarks/gpu.py` does both.
"""

# pyright: reportUnknownMemberType=false
# (torch's own annotations have holes)

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

WAITING = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
INDEXING = {torch.ops.aten.index, torch.ops.aten.index_put, torch.ops.aten.index_put_}
PLAIN_STEPS = 3  # as torch's notes on CUDA graphs advise
Work = Callable[[], None]


class NotRecordedError(RuntimeError):
    """Work could not be recorded; its cause is the first error, and the device is lost to this process."""


class Recorder(ABC):
    """How work on one kind of device is recorded."""

    @abstractmethod
    def beside(self) -> AbstractContextManager[None]:
        """Let what follows run where it can be recorded: after all that came before, before all that comes later."""

    @abstractmethod
    def record(self, work: Work, generator: torch.Generator) -> Work:
        """Record work without doing it, and return what does it; raise NotRecordedError where that cannot be."""


class CudaGraphs(Recorder):
    """Records work as a CUDA graph, on a stream of its own; the graph's memory goes when nobody holds its replay."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)

    @contextmanager
    def beside(self) -> Generator[None]:
        """Make the stream the current one."""
        outer = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            yield
        outer.wait_stream(self._stream)

    def record(self, work: Work, generator: torch.Generator) -> Work:
        """Capture the work; torch's own generator takes part in every graph unasked."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(generator)
        try:
            with torch.cuda.graph(graph, stream=self._stream):
                work()
        except RuntimeError as error:
            first = error.__context__ or error  # the end of a failed capture fails too, and hides why
            law = "in training a block may not copy from the CPU's memory or wait for the device"
            raise NotRecordedError(f"the step cannot be a CUDA graph ({first}); {law}") from first
        return graph.replay


RECORDERS: dict[str, Callable[[torch.device], Recorder]] = {"cuda": CudaGraphs}
"""By the type of device; on a CPU nothing is won by recording."""


class _Listening(TorchDispatchMode):
    """Hears whether work waits for the values of tensors."""

    waits = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        # Whether an index waits depends on its kind: a mask does, numbers do not.
        indexing = func.overloadpacket in INDEXING
        waits = _masked(args[1]) if indexing else not WAITING.isdisjoint(func.tags)
        self.waits = self.waits or waits
        return func(*args, **(kwargs or {}))


def _masked(indices: list[torch.Tensor | None]) -> bool:
    return any(index is not None and index.dtype in {torch.bool, torch.uint8} for index in indices)


class Repeated:
    """Work that is done often: a few times as it stands, then recorded, then replayed; on a CPU always as it stands."""

    def __init__(self, work: Work, generator: torch.Generator) -> None:
        """Repeat work on the device of the generator it draws from."""
        self._work, self._generator = work, generator
        recorder = RECORDERS.get(generator.device.type)
        self._recorder = recorder(generator.device) if recorder else None
        self._done = 0
        self._again = None if recorder else work

    def beside(self) -> AbstractContextManager[None]:
        """Let what follows run where the work is recorded; every call belongs in here."""
        return self._recorder.beside() if self._recorder else nullcontext()

    def __call__(self) -> None:
        """Do the work once."""
        if self._again is None and self._done < PLAIN_STEPS:
            self._do_plainly()
            return
        if self._again is None:
            assert self._recorder
            self._again = self._recorder.record(self._work, self._generator)
        self._again()

    def _do_plainly(self) -> None:
        with _Listening() if self._done == 0 else nullcontext() as heard:
            self._work()
        self._done += 1
        if heard and heard.waits:
            self._again = self._work
