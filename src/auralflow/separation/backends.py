"""What runs the net: PyTorch, or ONNX Runtime on the CPU.

A backend is a function from magnitudes ``[B, C, F, T]`` to masks ``[B, S, C, F, T]``.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from torch import Tensor

from auralflow.errors import UsageError
from auralflow.models import SpectrogramMaskModel

__all__ = ["Backend", "onnx_backend", "torch_backend"]

Backend = Callable[[Tensor], Tensor]


def torch_backend(
    model: SpectrogramMaskModel, precision: Literal["float32", "bfloat16"] = "float32"
) -> Backend:
    """Run the net of a model where its weights are.

    Args:
        model: The model.
        precision: What its products are computed in. The masks are float32 either way; in bfloat16, with its
            8 significant bits, they are a few thousandths off.

    Example:
        >>> from auralflow.config import ModelConfig
        >>> backend = torch_backend(SpectrogramMaskModel(ModelConfig(num_hidden_channels=1)).eval())
        >>> list(backend(torch.rand(1, 1, 513, 40)).shape)
        [1, 1, 1, 513, 40]
    """
    mixed = precision == "bfloat16"

    def run(magnitudes: Tensor) -> Tensor:
        with torch.autocast(magnitudes.device.type, torch.bfloat16, enabled=mixed):
            return model.net(magnitudes).mask.float()  # type: ignore[no-any-return]

    return run


def onnx_backend(model: SpectrogramMaskModel, num_frames: int) -> Backend:
    """Run the net of a model with ONNX Runtime.

    Args:
        model: A model on the CPU.
        num_frames: Frames ``T`` of every magnitude spectrogram.

    Raises:
        UsageError: If ONNX Runtime is not installed or the model is on another device.
    """
    from auralflow.models.export import export_onnx, require_onnx  # noqa: PLC0415 - an extra

    runtime = require_onnx("onnxruntime")
    if model.device.type != "cpu":
        raise UsageError(
            "--backend onnx runs on the CPU only",
            found=f"--device {model.device}",
            advice="Use --device cpu.",
        )
    options = runtime.SessionOptions()
    # As many threads as PyTorch would use; the two never compute at the same time.
    options.intra_op_num_threads = torch.get_num_threads()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        export_onnx(model, path, num_frames=num_frames)
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(magnitudes: Tensor) -> Tensor:
        (mask,) = session.run(["mask"], {"magnitudes": magnitudes.numpy()})
        return torch.from_numpy(mask)

    return run
