"""A run's record as one offline page; `python -m cnnsearch.report RUN` makes it again."""

from cnnsearch.report.write import write_report as write_report

__all__ = ["write_report"]
