"""Tasks from one queue to another: other layout, other server, other name."""
