"""How Sphinx builds the site, which needs no network: `uv run sphinx-build -W docs docs/_build/html`."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

from darts import __version__  # noqa: E402

project = "DARTS"
author = "The DARTS developers"
copyright = "the DARTS developers, MIT licence"  # noqa: A001  (the name that Sphinx reads)
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "api_pages",
    "command_pages",
    "formulas",
    "notebook_pages",
    "links",
]
exclude_patterns = ["_build", "_ext", "notebooks/*/**", "notebooks/.ipynb_checkpoints"]
source_suffix = {".md": "markdown", ".ipynb": "markdown"}  # notebooks are made Markdown when they are read
nitpicky = False  # types of other libraries have no pages here
default_role = "literal"  # `x` in a docstring is code

myst_enable_extensions = ["dollarmath", "attrs_inline"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
suppress_warnings = ["myst.header"]  # a page may begin below its title where it is a part of another

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"DARTS {release}"
html_static_path = ["_static"]
html_css_files = ["darts.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": False}
copybutton_exclude = ".linenos, .gp"
