"""Jobs: which batches are in, who is loading, and what came of it."""
