"""Results: waits for the results of tasks, for one id or for millions."""
