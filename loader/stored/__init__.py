"""Tasks that are in Redis already: reading them back, in either layout, without disturbing who works on them."""
