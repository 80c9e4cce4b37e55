"""Sphinx builds the documents' site: ``make docs``.

The sources are the Markdown files of the repository. Two pages get more while they are read: the
index its table of contents, and the API page the docstrings of the names in the reference.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import django
from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from finta_keys import __version__  # noqa: E402  # after the setup

project = "Finta keys"
author = "the Finta developers"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
root_doc = "docs/index"
include_patterns = ["*.md", "docs/*.md", "docs/*/*.md", "docs/api.rst"]
exclude_patterns = [".*", "accounts_app", "build", "config", "dist", "finta_keys", "screenshots", "templates", "tests"]
myst_enable_extensions = ["html_image"]
myst_heading_anchors = 4
autodoc_typehints = "none"  # they make signatures long
html_theme = "furo"
html_title = f"Finta keys {release}"
html_favicon = "../../finta_keys/static/finta_keys/favicon.svg"
html_show_sphinx = html_copy_source = False
html_extra_path = ["index.html"]  # leads to the index of the documents


def setup(app: Sphinx) -> None:
    app.connect("source-read", add_contents)
    for name in ("caddyfile", "mermaid"):  # shown as text: a drawn diagram needs a script from elsewhere
        app.add_lexer(name, TextLexer)


def add_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Add the table of contents to the index, and the docstrings to the API page."""
    if name == root_doc:
        source[0] += contents(source[0])
    elif name == "docs/api":
        source[0] += "\n".join(entries((ROOT / "docs/reference.md").read_text()))


def contents(index: str) -> str:
    """Return a table of contents with the documents that each section of the index links to."""
    parts, listed = [], set()
    for section in re.split(r"^## ", f"Start\n{index}", flags=re.MULTILINE):
        caption, text = section.split("\n", 1)
        paths = [path for path in re.findall(r"\]\(([\w./-]+)\.md\)", text) if path not in listed]
        listed.update(paths)
        paths += ["api"] if caption == "Reference" else []
        parts.append("\n".join([f"\n```{{toctree}}\n:hidden:\n:caption: {caption}\n", *paths, "```\n"]))
    return "".join(parts)


def entries(reference: str) -> list[str]:
    """Return a directive for each public name with a docstring, in the order of the reference."""
    lines = []
    for path in re.findall(r"^### `(finta_keys\.[\w.]+)", reference, re.MULTILINE):
        module, _, names = path.removeprefix("finta_keys.").partition(".")
        value: Any = import_module(f"finta_keys.{module}")
        for attribute in filter(None, names.split(".")):
            value = getattr(value, attribute)
        if inspect.isclass(value):
            kind = "autoclass"
        elif inspect.isroutine(value):
            kind = "autofunction"
        else:
            kind = "automodule"
        lines.append(f"\n.. {kind}:: {path}\n")
    return lines
