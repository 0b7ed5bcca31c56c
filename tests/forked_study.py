"""`study_without_training.py` again and again: what it imports is imported once, and each line of stdin forks a study.

A line is JSON: the `folder` to be in, the `plan` there, the files `out` and `err` for what is said, and the
`environment` to add. When the study is over, a line with its exit status is printed.
"""

import json
import os
import runpy
import sys
from importlib import import_module

import optuna
import study_without_training  # noqa: F401 (it puts the trainer, and what is broken, in its place)

# What a study imports, and Optuna makes, on its way.
for name in ("cnnsearch.study.ending", "cnnsearch.study.flags", "cnnsearch.study.loop", "cnnsearch.check.reading"):
    import_module(name)
optuna.logging.set_verbosity(optuna.logging.WARNING)
optuna.create_study(storage="sqlite://")

for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child:
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()
        continue
    for number, file in enumerate((os.devnull, order["out"], order["err"])):
        os.dup2(os.open(file, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    os.chdir(order["folder"])
    os.environ.update(order["environment"], DISK_PID=str(os.getpid()))
    sys.argv[1:] = [order["plan"]]
    try:
        runpy.run_module("cnnsearch.study", run_name="__main__")
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(int(end.code or 0))  # to take the interpreter down in order takes longer than the study
