"""The compressions of input: one module for each, and one line in ``registry``."""
