"""The origins of bytes: a file, standard input."""
