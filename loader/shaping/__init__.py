"""Chooses records, and makes payloads of them by expressions of JMESPath. Most loads import only ``settle``."""
