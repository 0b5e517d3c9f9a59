"""Jobs: the loaded batches, the process that loads, and the report."""
