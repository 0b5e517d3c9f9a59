"""Plots that a person reads at a glance. Imported only where there is something to draw."""
