"""Queues, looked at again and again: how many tasks are in which state, and how long tasks wait. It only reads."""
