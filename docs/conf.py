"""How Sphinx builds the documentation: ``make docs``."""

import importlib
import inspect
import re
import sys
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

import auralflow

HERE = Path(__file__).parent
API = HERE / "reference" / "api"
NOT_DOCUMENTED = {"__version__", "Separator"}  # the latter stands in separation

project = "auralflow"
author = "The auralflow developers"
copyright = author  # noqa: A001 - Sphinx wants this name
version = release = auralflow.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "*.py"]
nitpicky = False
default_role = "py:obj"

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "groupwise"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [("Shape", "notes_style"), ("Source", "notes_style")]

html_theme = "furo"
html_title = f"auralflow {version}"
html_theme_options = {"navigation_with_keys": True}
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["auralflow.css"]
copybutton_exclude = ".linenos, .gp, .go"
# Nothing is asked of the network: formulas are MathML, which browsers draw themselves.
html_math_renderer = "mathml"


def inline_math(self: object, node: nodes.math) -> None:
    """Write a formula in the text as MathML."""
    self.body.append(convert(node.astext()))  # type: ignore[attr-defined]
    raise nodes.SkipNode


def block_math(self: object, node: nodes.math_block) -> None:
    """Write a formula of its own as MathML."""
    self.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')  # type: ignore[attr-defined]
    raise nodes.SkipNode


def write_api_pages(app: Sphinx) -> None:
    """Write a page for each public module, which autodoc fills with the names in its ``__all__``."""
    API.mkdir(parents=True, exist_ok=True)
    for name in sorted(set(auralflow.__all__) - NOT_DOCUMENTED):
        text = f"# auralflow.{name}\n\n" + api_part(f"auralflow.{name}")
        if name == "datasets":
            text += api_part("auralflow.synth")
        page = API / f"{name}.md"
        # An unchanged page keeps its time, so that Sphinx does not read it again.
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def api_part(name: str) -> str:
    """The directives for a module: classes and functions are found, constants and types must be named."""
    module = importlib.import_module(name)
    plain = [
        word
        for word in module.__all__
        if not callable(getattr(module, word)) or is_alias(getattr(module, word))
    ]
    hidden = f"   :exclude-members: {', '.join(plain)}\n" if plain else ""
    entry = "\n.. py:data:: {word}\n   :module: {name}\n\n   {text}\n"
    data = "".join(entry.format(word=word, name=name, text=described(name, word)) for word in plain)
    return f"```{{eval-rst}}\n.. automodule:: {name}\n   :members:\n{hidden}{data}```\n\n"


def described(package: str, word: str) -> str:
    """The docstring below a constant, where it is defined; for a type without one, what it stands for."""
    for name in sorted(sys.modules):
        if name == package or name.startswith(f"{package}."):
            documented = ModuleAnalyzer.for_module(name).find_attr_docs()
            if text := " ".join(documented.get(("", word), [])).strip():
                return text
    return f"``{getattr(sys.modules[package], word)}``".replace("typing.", "")


def is_alias(item: object) -> bool:
    """Whether something is another name of a type."""
    return not (inspect.isclass(item) or inspect.isroutine(item))


def short_signature(
    app: Sphinx, what: str, name: str, item: object, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """Leave the dozens of fields out of the signature of settings: another page has them as a table."""
    if inspect.isclass(item) and issubclass(item, BaseModel):
        return "(**settings)", ""
    return None


def name_files_outside(app: Sphinx, page: str, source: list[str]) -> None:
    """Name a file of the repository where a page links to one: it is not part of the site."""
    if "/" not in page:
        source[0] = re.sub(r"\[([^\]]+)\]\(\.\./([^)]+)\)", r"\1 (`\2` in the repository)", source[0])


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    importlib.import_module("auralflow.models")
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.connect("builder-inited", write_api_pages)
    app.connect("source-read", name_files_outside)
    app.connect("autodoc-process-signature", short_signature)
