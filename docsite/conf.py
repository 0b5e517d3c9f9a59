"""Sphinx's configuration. It is copied beside the pages, see ``docsite.assemble``."""

import loader

project = "runqy-loader"
author = "The runqy-loader authors"
copyright = f"2026, {author}"  # noqa: A001 - Sphinx's name
version = release = loader.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
root_doc = "docs/index"
myst_heading_anchors = 4
smartquotes = False
# Decisions, benchmarks and the like are reached by links; the contents name what users look for.
suppress_warnings = ["toc.not_included"]
highlight_language = "none"

html_theme = "furo"
html_title = f"runqy-loader {version}"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_static_path = ["docs/_static"]
html_css_files = ["site.css"]
copybutton_exclude = ".linenos, .gp, .go"
html_theme_options = {"navigation_with_keys": True}

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_inherit_docstrings = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
