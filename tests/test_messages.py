import pytest
from pydantic import ValidationError

from cnnsearch.messages import (
    Died,
    Done,
    Epoch,
    Failed,
    Go,
    Job,
    News,
    Order,
    Ready,
    Stop,
    read_news,
    read_order,
    to_line,
)
from cnnsearch.network import Network
from cnnsearch.recipe import Recipe

NETWORK = Network.model_validate(
    {
        "input": {"channels": 1, "height": 8, "width": 8},
        "blocks": [
            {"conv": {"out_channels": 4, "kernel_size": [3, 1], "padding": "same"}, "maxpool": {"kernel_size": 2}},
            {"kind": "residual", "conv": {"out_channels": 4, "kernel_size": 3, "padding": 1}, "relu": None},
        ],
        "head": {"hidden": [8]},
        "classes": 10,
    }
)
JOB = Job(trial=3, network=NETWORK, recipe=Recipe(learning_rate=0.1 + 0.2), seed=2**62, rungs=(1, 3), weights="ä b.st")


@pytest.mark.parametrize("order", [JOB, Go(trial=3), Stop(trial=3)], ids=lambda order: order.kind)
def test_an_order_comes_back_as_it_was(order: Order) -> None:
    assert read_order(to_line(order)) == order


@pytest.mark.parametrize(
    "news",
    [
        Ready(),
        Epoch(trial=3, epoch=1, loss=0.1 + 0.2, validation_accuracy=1.0, validation_loss=0.0, seconds=1.5),
        Done(trial=3, stopped=True),
        Failed(trial=3, reason="bug", message="two\nlines"),
    ],
    ids=lambda news: news.kind,
)
def test_news_come_back_as_they_were_on_one_line(news: News) -> None:
    line = to_line(news)
    assert read_news(line) == news
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")


def test_a_job_s_network_is_the_same_computation_on_the_other_side() -> None:
    other = read_order(to_line(JOB))
    assert isinstance(other, Job)
    assert other.network.fingerprint == NETWORK.fingerprint
    assert other.network.cost == NETWORK.cost


@pytest.mark.parametrize(
    "line",
    [b"", b"hello\n", b'{"kind": "go"}\n', b'{"kind": "go", "trial": "3"}\n', b'{"kind": "go", "trial": 3, "x": 1}\n'],
)
def test_what_is_no_order_is_refused(line: bytes) -> None:
    with pytest.raises(ValidationError):
        read_order(line)


def test_a_worker_cannot_say_that_it_died() -> None:
    line = Died(trial=3, exit=-9, message="").model_dump_json().encode()
    with pytest.raises(ValidationError, match="Input tag 'died' found using 'kind' does not match"):
        read_news(line)
