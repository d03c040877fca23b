"""A net as an ONNX file, for ONNX Runtime and for other programs."""

import importlib
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from auralflow.errors import UsageError
from auralflow.models.folding import fold_batch_norm
from auralflow.models.separator import SpectrogramMaskModel
from auralflow.storage import atomic_path

__all__ = ["export_onnx", "require_onnx"]


def require_onnx(name: str) -> ModuleType:
    """Import a package of the extra ``onnx``.

    Raises:
        UsageError: If it is not installed.

    Example:
        >>> require_onnx("no_such_package")
        Traceback (most recent call last):
        auralflow.errors.UsageError: no_such_package is not installed. Run: pip install auralflow[onnx]
    """
    try:
        return importlib.import_module(name)
    except ImportError:
        raise UsageError(f"{name} is not installed", advice="Run: pip install auralflow[onnx]") from None


def export_onnx(model: SpectrogramMaskModel, path: Path, *, num_frames: int | None = None) -> None:
    """Write the graph from magnitudes to masks as an ONNX file.

    The input ``magnitudes`` is ``[B, C, F, T]`` and the output ``mask`` ``[B, S, C, F, T]``; the number of
    rows ``B`` is free. The settings of the model are in the file's metadata, under ``auralflow``.

    Args:
        model: The model, in evaluation mode.
        path: The file to be made or replaced.
        num_frames: Frames ``T``. Default: those of the model's own chunk.

    Raises:
        UsageError: If the extra ``onnx`` is not installed.
    """
    onnx = require_onnx("onnx")
    require_onnx("onnxscript")
    config = model.config
    frames = num_frames or model.stft.num_frames(config.chunk_samples)
    graph = _MaskGraph(fold_batch_norm(model).cpu())
    example = torch.rand(2, config.num_channels, config.num_bins, frames)
    with atomic_path(path) as part:
        with _quiet():
            torch.onnx.export(
                graph,
                (example,),
                part,
                dynamo=True,
                input_names=["magnitudes"],
                output_names=["mask"],
                dynamic_shapes=({0: torch.export.Dim("rows", min=1)},),
                external_data=False,
                verbose=False,
            )
        proto = onnx.load(str(part))
        onnx.helper.set_model_props(proto, {"auralflow": json.dumps(config.model_dump(mode="json"))})
        onnx.save(proto, str(part))


class _MaskGraph(nn.Module):
    """The net with its mask as the only output."""

    def __init__(self, model: SpectrogramMaskModel) -> None:
        super().__init__()
        self.net = model.net

    def forward(self, magnitudes: Tensor) -> Tensor:
        """From magnitudes to masks."""
        return self.net(magnitudes).mask  # type: ignore[no-any-return]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's remarks about its own inner workings from the user."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
