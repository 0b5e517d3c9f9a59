"""Pending tasks out of Redis, as JSON lines."""
