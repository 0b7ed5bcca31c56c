"""Writes a trained network as files that work without this library, each checked from outside."""
