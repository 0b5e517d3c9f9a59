"""Compares input with what Redis holds of it."""
