"""Searches: asks Optuna for candidates, has them trained, and keeps what happened."""
