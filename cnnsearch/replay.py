"""How is the work of a step recorded once, and done again without Python?

A small network's step is some hundred kernels of a few microseconds each, and Python takes longer to launch one than a
GPU to run it. A CUDA graph launches them all at once and is recorded in the time of a few steps; torch.compile takes
longer than a trial (12 to 36 s a network). What recorded work has to keep to:

- What it reads and writes keeps its place. What changes from step to step (which images, the learning rate) is copied
  into such tensors; a Python number would be recorded as it stood. What it leaves behind must not be freed: gradients
  are made and dropped within the step.
- It reads no value of a tensor: the program would have to wait, which a recording cannot.
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

import torch

PLAIN_STEPS = 3  # as torch's notes on CUDA graphs advise
Work = Callable[[], None]


class NotRecordedError(RuntimeError):
    """Work does what no recording can; its cause is the first error, and the device is lost to this process."""


class Recorder(ABC):
    """How work on one kind of device is recorded."""

    @abstractmethod
    def beside(self) -> AbstractContextManager[None]:
        """Let what follows run where it can be recorded: after all that came before, before all that comes later."""

    @abstractmethod
    def record(self, work: Work, generator: torch.Generator) -> Work:
        """Record work without doing it, and return what does it; raise NotRecordedError where that cannot be."""


class Plainly(Recorder):
    """Does the work itself again: on a CPU nothing is won by recording."""

    def beside(self) -> AbstractContextManager[None]:
        """Change nothing."""
        return nullcontext()

    def record(self, work: Work, generator: torch.Generator) -> Work:
        """Return the work itself."""
        _ = generator
        return work


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
            law = "in training a block may not read a tensor's value (.item(), `if tensor:`, a mask as index)"
            raise NotRecordedError(f"the step cannot be a CUDA graph ({first}); {law}") from first
        return graph.replay


RECORDERS: dict[str, Callable[[torch.device], Recorder]] = {"cuda": CudaGraphs}
"""By the type of device; on all others work is done plainly."""


class Repeated:
    """Work that is done often: a few times as it stands, then recorded, then replayed."""

    def __init__(self, work: Work, generator: torch.Generator) -> None:
        """Repeat work on the device of the generator it draws from."""
        self._work, self._generator = work, generator
        recorder = RECORDERS.get(generator.device.type)
        self._recorder = recorder(generator.device) if recorder else Plainly()
        self._plain_left = PLAIN_STEPS
        self._replay: Work | None = None

    def beside(self) -> AbstractContextManager[None]:
        """Let what follows run where the work is recorded; every call belongs in here."""
        return self._recorder.beside()

    def __call__(self) -> None:
        """Do the work once."""
        if self._plain_left:
            self._plain_left -= 1
            self._work()
            return
        self._replay = self._replay or self._recorder.record(self._work, self._generator)
        self._replay()
