"""Servers: which one a key lives on, how to ask it, and waiting out its faults."""
