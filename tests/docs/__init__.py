"""The pages of the site: their commands are run, and their links lead somewhere."""
