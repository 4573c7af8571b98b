"""How Sphinx builds the site. ``scripts/site.py`` prepares the pages: see there."""

from __future__ import annotations

import evoked

project = "evoked"
author = "The evoked developers"
copyright = "The evoked developers, Apache-2.0"
version = release = evoked.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "site_names"]
root_doc = "index"
exclude_patterns = ["files/**"]

# A reference that leads nowhere is a warning, and a warning ends the build. What others document
# (numpy, pandas, Python) is no link, since nothing is fetched: see scripts/site_names.py.
nitpicky = True
nitpick_ignore = [
    ("py:class", "types.Annotated"),  # how Sphinx writes typing.Annotated
    ("py:class", "Posts"),  # a DataFrame or evoked.posts.columns.Columns, for type checkers alone
]

myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 4

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 80
autodoc_default_options = {"show-inheritance": False}
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

html_theme = "pydata_sphinx_theme"
html_title = "evoked"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_context = {"default_mode": "auto"}  # light or dark, as the reader's machine is
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "evoked"},
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "navbar_align": "left",
    "show_toc_level": 2,
    "navigation_with_keys": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
