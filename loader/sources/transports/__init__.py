"""Where bytes come from, as they are stored: a file, standard input."""
