"""The baselines that are no networks."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cnnsearch.data import DataSet
from cnnsearch.evaluate import simple
from cnnsearch.evaluate.conduct import evaluate
from cnnsearch.parts import BASELINES

pytestmark = pytest.mark.usefixtures("trained_here")


@given(st.integers(1, 40), st.sampled_from([1, 3]), st.integers(8, 40), st.integers(8, 40), st.integers(0, 99_999))
def test_however_large_images_are_logistic_regression_sees_no_more_of_them_than_it_may(
    images: int, channels: int, height: int, width: int, most: int
) -> None:
    most += 4 * images * channels  # of one average each
    images_NCHW = torch.randint(0, 256, (images, channels, height, width), dtype=torch.uint8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simple, "MOST_BYTES", most)
        patch.setattr(simple, "BATCH", 7)
        side = simple._side(images_NCHW.shape)  # noqa: SLF001
        seen_NP = simple._seen(images_NCHW, side)  # noqa: SLF001
    assert seen_NP.nbytes <= most
    corner_NC = images_NCHW[:, :, :side, :side].float().mean(dim=(2, 3)) / 255
    assert torch.allclose(seen_NP.view(images, channels, -1)[..., 0], corner_NC, atol=1e-5)
    assert side == 1 or images_NCHW.numel() * 4 > most, "nothing is averaged where there is room"


def test_logistic_regression_on_averages_still_reads(digits: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, learned = simple.fit(BASELINES["logistic"], digits)
    monkeypatch.setattr(simple, "MOST_BYTES", 4 * 1_197 * 16)
    averaged, fewer = simple.fit(BASELINES["logistic"], digits)
    images_NCHW, labels_N = digits.validation
    right = [(classify(images_NCHW) == labels_N).float().mean().item() for classify in (whole, averaged)]
    assert (learned, fewer) == (650, 170)
    assert right[0] >= right[1] > 0.85


def test_a_baseline_that_is_no_network_is_fitted_once(judged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for the validation images and again for the test images; after a kill again, for want of weights."""
    fitted: list[str] = []
    fit = simple.fit

    def counted(name: str, data: DataSet) -> tuple[simple.Classify, int]:
        fitted.append(name)
        return fit(name, data)

    monkeypatch.setattr(simple, "fit", counted)
    names = [BASELINES["majority"], BASELINES["logistic"]]
    lines = (judged / "record.jsonl").read_bytes().splitlines(keepends=True)
    untested = [line for line in lines if b'"test' not in line]
    networks = [line for line in untested if not any(f'"entrant":"{name}"'.encode() in line for name in names)]
    assert len(networks) == len(untested) - 2
    for kept in (networks, untested):
        (judged / "record.jsonl").write_bytes(b"".join(kept))
        found = evaluate(judged, quiet=True)
        assert sorted(fitted) == sorted(names)
        assert {*names} < {tested.entrant for tested in found.tested}
        fitted.clear()
