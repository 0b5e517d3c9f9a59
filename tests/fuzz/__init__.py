"""Fuzzing: parsers and encoders run on inputs that atheris makes up, each beside an independent oracle.

A target is a module in ``targets``. ``python -m tests.fuzz`` runs one or all of them; docs/testing.md says more.
"""
