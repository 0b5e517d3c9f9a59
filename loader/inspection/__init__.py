"""What is in a server: queues, jobs, tasks. Only reads."""
