"""``load --explain``: what a load would write, and where. Nothing is written."""
