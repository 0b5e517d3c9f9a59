"""Files that a run writes: what their names mean, a check that they can be written, and gzip."""
