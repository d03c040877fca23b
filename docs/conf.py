"""How Sphinx builds the documentation: ``make docs``."""

import importlib
import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

from docutils import nodes
from latex2mathml.converter import convert
from pydantic import BaseModel
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

import auralflow

HERE = Path(__file__).parent
API = HERE / "reference" / "api"
NOT_DOCUMENTED = {"__version__", "Separator"}  # the latter is documented in separation
FIRST = {
    "app": ("serve", "Studio", "Jobs"),
    "audio": ("read_audio", "write_audio", "stream_audio"),
    "config": ("EngineConfig", "SeparateConfig", "TrainConfig", "EvaluateConfig", "ModelConfig"),
    "datasets": ("index_split", "training_tracks", "TrainingChunks", "ValidationChunks"),
    "diagnosis": ("diagnose",),
    "errors": ("AuralflowError",),
    "evaluation": ("compare", "evaluate", "ModelSystem", "Comparison", "save_report"),
    "losses": ("Criterion", "create_criterion"),
    "metrics": ("si_sdr", "sdr", "framewise_sdr"),
    "models": ("load", "create_model", "create_model_folder", "import_model"),
    "nets": ("SeparationModel", "Estimate"),
    "separation": ("Separator", "separate_file", "separate_files"),
    "synth": ("write_dataset", "generate_song"),
    "trainer": ("Trainer", "train", "Callback"),
    "transforms": ("STFT", "stft", "istft", "overlap_add"),
    "visualizer": ("spectrogram", "waveform", "save_figure"),
}
"""The names that most users of a module need: its page begins with them."""

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
# The site loads nothing from the network: formulas are MathML, which browsers render natively.
html_math_renderer = "mathml"


def inline_math(self: object, node: nodes.math) -> None:
    """Write an inline formula as MathML."""
    self.body.append(convert(node.astext()))  # type: ignore[attr-defined]
    raise nodes.SkipNode


def block_math(self: object, node: nodes.math_block) -> None:
    """Write a displayed formula as MathML."""
    self.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>')  # type: ignore[attr-defined]
    raise nodes.SkipNode


def write_api_pages(app: Sphinx) -> None:
    """Write a page of autodoc directives for each public module."""
    API.mkdir(parents=True, exist_ok=True)
    for name in sorted(set(auralflow.__all__) - NOT_DOCUMENTED):
        text = f"# auralflow.{name}\n\n" + api_part(f"auralflow.{name}")
        page = API / f"{name}.md"
        # An unchanged page keeps its modification time, so that Sphinx does not read it again.
        if not page.exists() or page.read_text() != text:
            page.write_text(text)


def api_part(name: str) -> str:
    """The directives for a module: docstring, main names, the others by kind, constants."""
    module = importlib.import_module(name)
    main = FIRST[name.rpartition(".")[2]]
    plain = [
        word
        for word in module.__all__
        if not callable(getattr(module, word)) or is_alias(getattr(module, word))
    ]
    others = sorted(
        set(module.__all__) - set(plain) - set(main), key=lambda word: (directive(module, word), word)
    )
    parts = []
    for word in [*main, *others]:
        kind = directive(module, word)
        members = "" if kind == "function" else "   :members:\n"
        parts.append(f".. auto{kind}:: {name}.{word}\n{members}")
    data = [f".. py:data:: {word}\n   :module: {name}\n\n   {described(name, word)}\n" for word in plain]
    text = "\n".join([f".. automodule:: {name}\n", *parts, *data])
    return f"```{{eval-rst}}\n{text}```\n\n"


def directive(module: ModuleType, word: str) -> str:
    """The kind of a public name, as autodoc's directives are called: classes, exceptions, then functions."""
    item = getattr(module, word)
    if inspect.isclass(item):
        return "exception" if issubclass(item, BaseException) else "class"
    return "function"


def described(package: str, word: str) -> str:
    """The docstring below a constant, where it is defined; for a type alias without one, its definition."""
    for name in sorted(sys.modules):
        if name == package or name.startswith(f"{package}."):
            documented = ModuleAnalyzer.for_module(name).find_attr_docs()
            if text := " ".join(documented.get(("", word), [])).strip():
                return text
    return f"``{getattr(sys.modules[package], word)}``".replace("typing.", "")


def is_alias(item: object) -> bool:
    """Whether an object is a type alias."""
    return not (inspect.isclass(item) or inspect.isroutine(item))


def short_signature(
    app: Sphinx, what: str, name: str, item: object, options: object, signature: str, returns: str
) -> tuple[str, str] | None:
    """Omit the dozens of fields from the signatures of settings; another page lists them in tables."""
    if inspect.isclass(item) and issubclass(item, BaseModel):
        return "(**settings)", ""
    return None


def name_files_outside(app: Sphinx, page: str, source: list[str]) -> None:
    """Replace links to files outside the site by their path in the repository."""
    if "/" not in page:
        source[0] = re.sub(r"\[([^\]]+)\]\(\.\./([^)]+)\)", r"\1 (`\2` in the repository)", source[0])


def setup(app: Sphinx) -> None:
    """Connect the functions above."""
    importlib.import_module("auralflow.models")
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    app.connect("builder-inited", write_api_pages)
    app.connect("source-read", name_files_outside)
    app.connect("autodoc-process-signature", short_signature)
