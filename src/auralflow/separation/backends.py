"""Backends that run the net: PyTorch, or ONNX Runtime on the CPU.

A backend maps chunks of audio ``[B, C, N]`` to an `Estimate`.
"""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from auralflow.errors import UsageError
from auralflow.nets.door import Estimate, SeparationModel

__all__ = ["Backend", "onnx_backend", "torch_backend"]

Backend = Callable[[Tensor], Estimate]


def torch_backend(model: SeparationModel, precision: str = "float32") -> Backend:
    """Run a model with PyTorch, on the device of its weights.

    Args:
        model: The model.
        precision: Number format of matrix products and convolutions. The result is float32 either way; with
            the 8 significant bits of bfloat16, masks are off by a few thousandths.

    Returns:
        The backend.

    Example:
        >>> from auralflow.nets.families import create_model
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> backend = torch_backend(create_model(SpectrogramNetConfig(num_hidden_channels=1)).eval())
        >>> list(backend(torch.rand(1, 1, 132300)).audio.shape)
        [1, 1, 1, 132300]
    """
    mixed = precision == "bfloat16"

    def run(mixture: Tensor) -> Estimate:
        with torch.autocast(mixture.device.type, torch.bfloat16, enabled=mixed):
            return model(mixture)  # type: ignore[no-any-return]

    return run


def onnx_backend(model: SeparationModel, num_samples: int) -> Backend:
    """Run a model with ONNX Runtime, except for the parts that ONNX cannot express.

    Args:
        model: A model on the CPU.
        num_samples: Length ``N`` of every chunk in samples.

    Returns:
        The backend.

    Raises:
        UsageError: If ONNX Runtime is not installed, the model is on another device, or ONNX cannot express
            any part of it.
    """
    from auralflow.models.export import export_onnx, require_onnx  # noqa: PLC0415 - an extra

    runtime = require_onnx("onnxruntime")
    if model.device.type != "cpu":
        raise UsageError(
            "--backend onnx only runs on the CPU",
            found=f"--device {model.device}",
            advice="Use --device cpu.",
        )
    options = runtime.SessionOptions()
    # The same number of threads as PyTorch; the two never compute at the same time.
    options.intra_op_num_threads = torch.get_num_threads()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        graph = export_onnx(model, path, num_samples=num_samples)
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def net(*inputs: Tensor) -> tuple[Tensor, ...]:
        given = {name: tensor.numpy() for name, tensor in zip(graph.inputs, inputs, strict=True)}
        return tuple(map(torch.from_numpy, session.run(list(graph.outputs), given)))

    return lambda mixture: graph.use(mixture, net)
