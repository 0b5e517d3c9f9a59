"""Queues: their names, and which of them exist."""
