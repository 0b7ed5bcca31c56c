"""Imported by a plan: its workers write a checkpoint after every epoch, as those of longer epochs do."""

from cnnsearch import checkpoint

checkpoint.SECONDS = 0.0
