"""Steps that are replayed, on a CPU: a tape of operators stands for a CUDA graph, and is as deaf to Python as that."""

import math
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnnsearch import replay
from cnnsearch.augment import augment
from cnnsearch.data import DataSet, load
from cnnsearch.module import build
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe
from cnnsearch.replay import PLAIN_STEPS, CudaGraphs, NotRecordedError, Recorder, Repeated, Work
from cnnsearch.train import learning_rates, mixed_precision, normalised, train

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
READ = torch.ops.aten._local_scalar_dense.default  # noqa: SLF001 (what .item() and `if tensor:` come to)
NETWORK = Network.model_validate(
    {
        "input": {"channels": 1, "height": 8, "width": 8},
        "blocks": [
            {"conv": {"out_channels": 8, "kernel_size": 3, "padding": 1}, "maxpool": {"kernel_size": 2}},
            {"kind": "residual", "conv": {"out_channels": 8, "kernel_size": 3, "padding": 1}},
        ],
        "head": {"pool": "average", "hidden": [16], "dropout": 0.25},
        "classes": 10,
    }
)
RECIPES = [
    Recipe(epochs=2, batch_size=64),
    Recipe(epochs=2, batch_size=64, augmentation=None),
    Recipe(epochs=2, batch_size=64, optimizer="sgd", learning_rate=0.1, schedule="cosine"),
    Recipe(epochs=2, batch_size=64, optimizer="sgd", learning_rate=0.1, momentum=0),
]


class Operators(TorchDispatchMode):
    """Hears of every operator, with what it was given and what it made."""

    def __init__(self, hear: Callable[[Any, tuple[Any, ...], dict[str, Any], list[Tensor]], None]) -> None:
        super().__init__()
        self.hear = hear

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        _ = types
        made = func(*args, **(kwargs or {}))
        self.hear(func, args, kwargs or {}, tensors(made))
        return made


def tensors(made: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(made) if isinstance(leaf, Tensor)]


class Tape(Recorder):
    """Keeps the operators of some work, and runs them again on the same tensors; Python has no part in that."""

    made: int = 0
    played: int = 0

    def __init__(self, device: torch.device) -> None:
        assert device == CPU
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], list[Tensor]]] = []

    def beside(self) -> AbstractContextManager[None]:
        return nullcontext()

    def record(self, work: Work, generator: torch.Generator) -> Work:
        """Do the work as well: a CPU records nothing that it does not do, so the first replay is this."""
        _ = generator
        Tape.made += 1
        with Operators(self.keep):
            work()
        done = iter([True])
        return lambda: None if next(done, False) else self.play()

    def keep(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], made: list[Tensor]) -> None:  # noqa: ANN401
        if func is READ:
            raise NotRecordedError("a value was read while a step was recorded")
        self.calls.append((func, args, kwargs, made))

    @torch.no_grad()
    def play(self) -> None:
        Tape.played += 1
        for func, args, kwargs, made in self.calls:
            for old, new in zip(made, tensors(func(*args, **kwargs)), strict=True):
                old.copy_(new)


@pytest.fixture
def tape(monkeypatch: pytest.MonkeyPatch) -> type[Tape]:
    monkeypatch.setitem(replay.RECORDERS, "cpu", Tape)
    monkeypatch.setattr(Tape, "made", 0)
    monkeypatch.setattr(Tape, "played", 0)
    return Tape


@pytest.fixture(autouse=True)
def layers_of_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute with torch's layers, as a GPU does; those of our own for CPUs differ from them in the last digits."""
    monkeypatch.setattr("cnnsearch.train.fused", lambda module: module)


def module(network: Network = NETWORK, device: torch.device = CPU) -> nn.Module:
    torch.manual_seed(0)
    return build(network).to(device)


def weights(trained: nn.Module) -> bytes:
    return b"".join(value.cpu().numpy().tobytes() for value in trained.state_dict().values())


def trained(data: DataSet, recipe: Recipe, seed: int = 3) -> bytes:
    made = module()
    list(train(made, data, recipe, seed))
    return weights(made)


def textbook(module: nn.Module, data: DataSet, recipe: Recipe, seed: int) -> None:
    """Train as a textbook does: every step written out, its learning rate a Python number, every layer torch's own."""
    images_NCHW, labels_N = data.train
    module.to(memory_format=torch.channels_last)
    groups = [
        {"params": [p for p in module.parameters() if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in module.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    sgd = {"momentum": recipe.momentum, "nesterov": recipe.momentum > 0}
    optimizer = (
        torch.optim.AdamW(groups, lr=1.0, fused=True)
        if recipe.optimizer == "adamw"
        else torch.optim.SGD(groups, lr=1.0, fused=True, **sgd)
    )
    steps = len(labels_N) // recipe.batch_size
    rates = learning_rates(recipe, steps)
    for epoch in range(recipe.epochs):
        mixed = int.from_bytes(sha256(f"{seed} {epoch + 1}".encode()).digest()[:8], "big") >> 1
        generator = torch.Generator().manual_seed(mixed)
        torch.manual_seed(mixed)
        module.train()
        order = torch.randperm(len(labels_N), generator=generator)
        for step in range(steps):
            chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            inputs = normalised(images_NCHW[chosen], data)
            if recipe.augmentation:
                inputs = augment(inputs, recipe.augmentation, generator)
            optimizer.zero_grad()
            with mixed_precision(CPU):
                loss = cross_entropy(module(inputs), labels_N[chosen], label_smoothing=recipe.label_smoothing)
            loss.backward()
            for group in optimizer.param_groups:
                group["lr"] = rates[epoch * steps + step]
            optimizer.step()


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_training_is_what_a_textbook_writes(digits: DataSet, recipe: Recipe) -> None:
    plain = module()
    textbook(plain, digits, recipe, seed=3)
    assert trained(digits, recipe) == weights(plain)


def test_muon_is_replayed_exactly(digits: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe(epochs=2, batch_size=64, optimizer="muon")
    plain = trained(digits, recipe)
    monkeypatch.setitem(replay.RECORDERS, "cpu", Tape)
    monkeypatch.setattr(Tape, "played", 0)
    assert trained(digits, recipe) == plain
    assert Tape.played > 0


@pytest.mark.usefixtures("tape")
@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_replayed_steps_train_exactly_as_steps_that_are_done(digits: DataSet, recipe: Recipe) -> None:
    plain = module()
    textbook(plain, digits, recipe, seed=3)
    assert trained(digits, recipe) == weights(plain)
    steps = 2 * (len(digits.train.labels_N) // 64)
    assert (Tape.made, Tape.played) == (1, steps - PLAIN_STEPS - 1)


@pytest.mark.usefixtures("tape")
def test_the_mean_loss_counts_replayed_steps(digits: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    replayed = [epoch._replace(seconds=0) for epoch in train(module(), digits, RECIPES[0], seed=3)]
    monkeypatch.delitem(replay.RECORDERS, "cpu")
    assert replayed == [epoch._replace(seconds=0) for epoch in train(module(), digits, RECIPES[0], seed=3)]


@pytest.mark.usefixtures("tape")
def test_a_training_of_few_steps_records_nothing(digits: DataSet) -> None:
    few = digits._replace(train=digits.train.take(range(64 * PLAIN_STEPS)))
    list(train(module(), few, Recipe(epochs=1, batch_size=64), seed=3))
    assert (Tape.made, Tape.played) == (0, 0)


class Deciding(nn.Module):
    """Decides by a value, which no recording can."""

    def forward(self, logits_NK: Tensor) -> Tensor:
        return logits_NK if logits_NK.sum() > -math.inf else -logits_NK


class Choosing(nn.Module):
    """Makes a tensor whose size depends on values."""

    def forward(self, logits_NK: Tensor) -> Tensor:
        return logits_NK + 0 * logits_NK[logits_NK > 0].sum()


class Masking(nn.Module):
    """Writes where a mask says so, which torch does by first counting the places."""

    def forward(self, logits_NK: Tensor) -> Tensor:
        kept_NK = logits_NK.clone()
        kept_NK[logits_NK > 0] += 1
        return kept_NK


class Averaging(nn.Module):
    """Divides by a count that it reads, as torch's batch norm does with this momentum."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(10, momentum=None)

    def forward(self, logits_NK: Tensor) -> Tensor:
        return self.norm(logits_NK)


@pytest.mark.usefixtures("tape")
@pytest.mark.parametrize("last", [Deciding, Choosing, Masking, Averaging])
def test_what_waits_for_a_value_is_never_recorded_and_trains(digits: DataSet, last: type[nn.Module]) -> None:
    waiting, plain = (nn.Sequential(module(), last()) for _ in range(2))
    list(train(waiting, digits, RECIPES[0], seed=3))
    textbook(plain, digits, RECIPES[0], seed=3)
    assert weights(waiting) == weights(plain)
    assert (Tape.made, Tape.played) == (0, 0)


def test_no_value_is_read_before_an_epoch_s_steps_are_over(digits: DataSet) -> None:
    heard: list[str] = []
    epochs = train(module(), digits, RECIPES[0], seed=3)
    next(epochs)  # in the first one the optimizer is made, and looks whether its rate is one
    with Operators(lambda func, *_: heard.append("read" if func is READ else func.name())):
        next(epochs)
    steps = [place for place, name in enumerate(heard) if name.startswith("aten::_fused_adamw_")]
    assert len(steps) == 2 * (len(digits.train.labels_N) // 64)  # two groups of parameters
    assert "read" not in heard[: steps[-1]]
    assert heard.count("read") == 3  # the mean loss, and accuracy and loss of the validation


def test_the_tape_refuses_to_read_as_a_cuda_graph_does() -> None:
    with pytest.raises(NotRecordedError, match="a value was read while a step was recorded"):
        Tape(CPU).record(torch.zeros(()).item, torch.Generator())


def test_a_number_of_python_is_recorded_as_it_stood() -> None:
    """The tape is no better than a CUDA graph: what is no tensor does not change any more."""
    number, total = 1.0, torch.zeros(())
    play = Tape(CPU).record(lambda: total.add_(number), torch.Generator())
    for number in (10.0, 100.0, 1000.0):  # noqa: B007
        play()
    assert total.item() == 3.0


def test_on_a_cpu_work_is_done_plainly() -> None:
    done: list[int] = []
    repeated = Repeated(lambda: done.append(len(done)), torch.Generator())
    with repeated.beside():
        for _ in range(PLAIN_STEPS + 2):
            repeated()
    assert done == [0, 1, 2, 3, 4]


class FakeStream:
    """A stream that only notes who waited for whom."""

    def __init__(self, name: object = "recorded") -> None:
        self.name = "outer" if name == "outer" else "recorded"

    def wait_stream(self, other: "FakeStream") -> None:
        CUDA.append(f"{self.name} waits for {other.name}")


class FakeGraph:
    """A CUDA graph that notes what is done with it."""

    def register_generator_state(self, generator: torch.Generator) -> None:
        _ = generator
        CUDA.append("register the generator")

    def replay(self) -> None:
        CUDA.append("replay")


class FakeCapture:
    """As torch's: the end of a capture that failed is another error, which hides the first."""

    def __init__(self, graph: FakeGraph, stream: FakeStream) -> None:
        _ = graph
        self.name = stream.name

    def __enter__(self) -> None:
        CUDA.append(f"capture on {self.name}")

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        CUDA.append("end of capture")
        if error:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")


CUDA: list[str] = []


@pytest.fixture
def fake_cuda(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(torch.cuda, "Stream", FakeStream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: FakeStream("outer"))
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", FakeGraph)
    monkeypatch.setattr(torch.cuda, "graph", FakeCapture)
    monkeypatch.setitem(replay.RECORDERS, "cpu", CudaGraphs)
    CUDA.clear()
    return CUDA


def test_a_cuda_graph_is_captured_once_where_the_plain_steps_ran(fake_cuda: list[str]) -> None:
    repeated = Repeated(lambda: fake_cuda.append("work"), torch.Generator())
    with repeated.beside():
        for _ in range(PLAIN_STEPS + 2):
            repeated()
    capture = ["register the generator", "capture on recorded", "work", "end of capture"]
    assert fake_cuda == [
        "recorded waits for outer", *["work"] * PLAIN_STEPS, *capture, "replay", "replay", "outer waits for recorded",
    ]  # fmt: skip


@pytest.mark.usefixtures("fake_cuda")
@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("unsupported")], ids=str)
def test_a_capture_that_fails_says_what_failed_first(error: RuntimeError) -> None:
    def work() -> None:
        raise error

    with pytest.raises(NotRecordedError) as caught:
        CudaGraphs(CPU).record(work, torch.Generator())
    assert caught.value.__cause__ is error
    assert str(caught.value) == (
        f"the step cannot be a CUDA graph ({error}); in training a block may not copy from the CPU's memory or wait "
        "for the device"
    )


@pytest.mark.gpu
def test_a_gpu_replays_what_it_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    device = torch.device("cuda")
    data = load("digits", Path("unused"), device)
    recipe = Recipe(epochs=4, batch_size=64)
    replayed = list(train(module(device=device), data, recipe, seed=3))
    monkeypatch.delitem(replay.RECORDERS, "cuda")
    done = list(train(module(device=device), data, recipe, seed=3))
    # Not exactly: some of a GPU's sums are added in no fixed order.
    assert [epoch.loss for epoch in replayed] == pytest.approx([epoch.loss for epoch in done], rel=0.02)
    assert replayed[-1].validation_accuracy > 0.9


@pytest.mark.gpu
def test_a_gpu_draws_the_same_in_a_replay_after_seeding() -> None:
    device = torch.device("cuda")
    generator = torch.Generator(device)
    drawn_N, dropped_N = torch.zeros(8, device=device), torch.zeros(1000, device=device)

    def draw() -> None:
        drawn_N.copy_(torch.rand(8, generator=generator, device=device))
        dropped_N.copy_(nn.functional.dropout(torch.ones(1000, device=device)))

    seen: list[list[float]] = []
    repeated = Repeated(draw, generator)
    with repeated.beside():
        for _ in range(PLAIN_STEPS + 3):
            generator.manual_seed(7)
            torch.manual_seed(7)
            repeated()
            seen.append([*drawn_N.tolist(), *dropped_N.tolist()])
    assert seen == [seen[0]] * len(seen)
