"""Results: waits for what workers make of tasks, one id or millions."""
