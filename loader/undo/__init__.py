"""Takes back what a job has loaded and no consumer has taken."""
