"""Compressions that input may have: one module each, and one line in ``registry``."""
