"""Shows the content of a server: queues, jobs and tasks. It only reads."""
