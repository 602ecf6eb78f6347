"""The site: Sphinx with MyST and Furo; `python -m sphinx -W docs build/site` makes it, and runs the book's code.

What is derived from the package and the tree is in docs/extension: the reference, pages of files that
are linked to, the notebooks, the formulas.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
os.environ["PYTHONWARNINGS"] = "ignore:IProgress"  # of tqdm, in a notebook without widgets

project = "dbn_bptt"
author = "the dbn_bptt authors"
copyright = "the dbn_bptt authors, MIT licence"
extensions = [
    "myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon",
    "extension.formulas", "extension.reference", "extension.files", "extension.notebooks",
]  # fmt: skip
exclude_patterns = ["pictures", "extension", "generated/notebooks"]
source_suffix = {".md": "myst-nb", ".rst": "restructuredtext"}

# pages
html_theme = "furo"
html_title = "dbn_bptt"
html_static_path, html_favicon = ["_static"], "_static/favicon.svg"
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
pygments_style, pygments_dark_style = "friendly", "github-dark"

# Markdown
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence", "attrs_inline"]
myst_heading_anchors = 3
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "build" / "executed")
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

# docstrings
default_role = "code"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = napoleon_use_param = False
napoleon_preprocess_types = False
