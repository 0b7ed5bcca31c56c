"""`python -m cnnsearch.study` with workers that only pretend to train: fast enough to be killed many times."""

import runpy
import sys
from functools import partial
from pathlib import Path

from cnnsearch.executors.local import LocalExecutor
from cnnsearch.study import conduct

TRAINER = Path(__file__).with_name("fake_trainer.py")

conduct.LocalExecutor = partial(LocalExecutor, command=(sys.executable, "-P", str(TRAINER)))
conduct._write_page = lambda *_: None  # noqa: SLF001 (it takes longer than all the rest)
runpy.run_module("cnnsearch.study", run_name="__main__")
