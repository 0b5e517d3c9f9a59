"""Jobs of other task queues that keep them in Redis: Celery, BullMQ, Sidekiq and so on. They are only read."""
