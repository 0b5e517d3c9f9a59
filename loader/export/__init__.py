"""Exports pending tasks from Redis as JSON lines."""
