"""Hypothesis finds the same examples each time (see amount.py for more); torch takes one thread; GPU tests need one."""

import os

import pytest
from amount import MORE
from hypothesis import HealthCheck, settings

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a test's tensors are too small to be shared between threads

settings.register_profile(
    "cnnsearch",
    derandomize=MORE == 1,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
settings.load_profile("cnnsearch")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
