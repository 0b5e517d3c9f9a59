"""Reads stored tasks back from Redis, in either layout, without disturbing the workers."""
