"""A run's record as one offline page; `python -m cnnsearch.report RUN` makes it again."""
