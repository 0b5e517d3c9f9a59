"""Builds the documentation site and the man pages: the pages of this repository, and a reference made from the code."""
