"""Layouts: pure functions that turn records into the commands for one kind of worker."""
