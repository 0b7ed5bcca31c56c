"""One device, one job at a time: `python -m cnnsearch.worker`, started by an executor."""
