"""Queues: their names, and which exist."""
