"""What the content of an input looks like, and whether its format takes that."""
