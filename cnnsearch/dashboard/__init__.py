"""A run's record as a live optuna-dashboard that can only be looked at; `python -m cnnsearch.dashboard RUN`."""
