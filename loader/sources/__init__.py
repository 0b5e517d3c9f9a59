"""Sources: URIs in, numbered batches of raw records out."""
