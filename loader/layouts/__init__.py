"""Layouts: pure functions from records to the commands that a kind of worker expects."""
