"""Sinks: deliver batches, exactly once."""
