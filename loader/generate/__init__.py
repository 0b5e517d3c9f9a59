"""Generated records into a file, and templates learnt from a sample."""
