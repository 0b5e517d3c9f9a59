"""Sinks: they deliver batches; the Redis sink exactly once."""
