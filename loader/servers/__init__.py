"""Servers: which server holds a key, clients for it, and retries after its faults."""
