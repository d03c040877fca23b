"""Exports nets to ONNX, for ONNX Runtime and other programs."""

import importlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch

from auralflow.errors import UsageError
from auralflow.nets.door import Graph, SeparationModel
from auralflow.storage import atomic_path

__all__ = ["export_onnx", "require_onnx"]


def require_onnx(name: str) -> ModuleType:
    """Import a package of the extra ``onnx``.

    Args:
        name: Name of the package.

    Returns:
        The module.

    Raises:
        UsageError: If it is not installed.

    Example:
        >>> require_onnx("no_such_package")
        Traceback (most recent call last):
        auralflow.errors.UsageError: no_such_package is not installed. Run: pip install "auralflow[onnx]"
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(f"{name} is not installed", advice='Run: pip install "auralflow[onnx]"') from None


def export_onnx(model: SeparationModel, path: str | Path, *, num_samples: int | None = None) -> Graph:
    """Export the part of a model that ONNX can express: for a net that estimates masks, magnitudes to masks.

    The first axis of every input is dynamic. The file's metadata contain the settings of the model under
    ``auralflow``.

    Args:
        model: The model, in evaluation mode.
        path: The file to write or replace.
        num_samples: Length of a chunk in samples. Default: the model's.

    Returns:
        The exported graph, which can turn its outputs into an estimate.

    Raises:
        UsageError: If the extra ``onnx`` is not installed, or ONNX cannot express any part of the model.
    """
    path = Path(path)
    onnx = require_onnx("onnx")
    require_onnx("onnxscript")
    graph = model.for_inference().cpu().export_graph(num_samples=num_samples)
    if graph is None:
        raise UsageError(
            f"{model.config.net} cannot be exported",
            found="a net that ONNX cannot express",
            advice="Use it with --backend torch.",
        )
    with atomic_path(path) as part:
        with _quiet():
            torch.onnx.export(
                graph.module.eval(),
                graph.example,
                part,
                dynamo=True,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                dynamic_shapes=tuple({0: torch.export.Dim("rows", min=1)} for _ in graph.inputs),
                external_data=False,
                verbose=False,
            )
        proto = onnx.load(str(part))
        onnx.helper.set_model_props(proto, {"auralflow": json.dumps(model.config.model_dump(mode="json"))})
        onnx.save(proto, str(part))
    return graph


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's messages about its internals."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
