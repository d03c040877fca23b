"""Reads the YAML or JSON file of a checkpoint: plain data of bounded size, and no code."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from auralflow.errors import ModelError, NotFoundError
from auralflow.models.reading.plain import plain

__all__ = ["SETTINGS_ENDINGS", "read_settings_file"]

SETTINGS_ENDINGS = (".yaml", ".yml", ".json")
MAX_SIZE = 1 << 20
MAX_NODES = 100_000
MAX_DEPTH = 64


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """PyYAML's safe loader plus tuples, which training programs write, with bounds on depth and aliases."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node, unless it is nested too deeply, which would take PyYAML very long."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.YAMLError("excessive nesting")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def get_single_data(self) -> Any:
        """Construct the document, after checking that its size with all aliases expanded is small."""
        node = self.get_single_node()
        if node is None:
            return None
        if _expanded_size(node, {}, set()) > MAX_NODES:
            raise yaml.YAMLError("aliases that expand excessively")
        return self.construct_document(node)


def _tuple(loader: yaml.SafeLoader, node: yaml.Node) -> tuple[Any, ...]:
    if not isinstance(node, yaml.SequenceNode):
        raise yaml.YAMLError("a tuple that is not a sequence")
    return tuple(loader.construct_sequence(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:python/tuple", _tuple)


def _expanded_size(node: yaml.Node, known: dict[int, int], open_nodes: set[int]) -> int:
    """Number of nodes with every alias expanded; each node is visited once."""
    if id(node) in known:
        return known[id(node)]
    if id(node) in open_nodes:
        raise yaml.YAMLError("an alias inside its own anchor")
    open_nodes.add(id(node))
    if isinstance(node, yaml.MappingNode):
        children = [part for pair in node.value for part in pair]
    else:
        children = node.value if isinstance(node, yaml.SequenceNode) else []
    size = 1 + sum(_expanded_size(child, known, open_nodes) for child in children)
    open_nodes.discard(id(node))
    known[id(node)] = size
    return size


def read_settings_file(path: Path) -> dict[str, Any]:
    """Read the settings published with a checkpoint.

    Args:
        path: A ``.yaml``, ``.yml`` or ``.json`` file.

    Returns:
        Its content: numbers, strings, and lists, tuples and mappings of them.

    Raises:
        NotFoundError: If the file does not exist.
        ModelError: If it does not contain plain settings.
    """
    if not path.is_file():
        raise NotFoundError(f"no such file: '{path}'")
    try:
        return _read(path)
    except (yaml.YAMLError, OSError, ValueError, RecursionError, AttributeError, TypeError) as error:
        reason = "excessive nesting" if isinstance(error, RecursionError) else str(error).partition("\n")[0]
        raise ModelError(
            f"cannot use the settings '{path}'", found=reason, expected="plain settings in YAML or JSON"
        ) from None


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_SIZE:
        raise ValueError(f"{path.stat().st_size} bytes")
    text = path.read_text(encoding="utf-8-sig")
    # The loader is safe: it only creates plain data and tuples.
    content = json.loads(text) if path.suffix.lower() == ".json" else yaml.load(text, _Loader)  # noqa: S506
    if not isinstance(content, Mapping):
        raise TypeError(f"a {type(content).__name__} instead of names and values")
    return dict(plain(content))
