"""States of tasks, as hashes have them in field ``state`` (asynq 0.26, ``internal/base``)."""

PENDING = "pending"
ACTIVE = "active"
STORED = "stored"
"""The state of a task whose hash holds none: of the documented layout."""
