"""Records made from a template: record k depends on the template, the seed and k alone."""
