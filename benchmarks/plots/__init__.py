"""The plots. These modules are imported only when there is something to draw."""
