"""Published weights of Spleeter: the TensorFlow bundles of its authors, and files of a PyTorch port.

A bundle contains the variables of all instruments in the order of their creation; the port has a file for
each.
"""

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from auralflow.errors import ModelError
from auralflow.nets.checkpoint import Checkpoint, CheckpointPart, Conversion
from auralflow.nets.spleeter.config import SpleeterConfig

__all__ = ["READER", "SpleeterReader"]

# In the order of the variables in the published files.
TARGETS = {
    2: ("vocals", "accompaniment"),
    4: ("vocals", "drums", "bass", "other"),
    5: ("vocals", "piano", "drums", "bass", "other"),
}
LAYERS = {"conv2d": 7, "conv2d_transpose": 6, "batch_normalization": 12}
"""Number of layers of each kind per instrument."""

NORM_PARTS = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
DENSE_PARTS = {"kernel": "weight", "bias": "bias"}
UNUSED = 5
"""Index of the normalisation after the deepest convolution, whose output is used without it."""


class SpleeterReader:
    """Reads published weights of Spleeter; see `auralflow.nets.checkpoint.CheckpointReader`."""

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        """Whether this is a Spleeter checkpoint, of TensorFlow or the PyTorch port."""
        return bool(checkpoint.parts) and (
            _is_bundle(checkpoint.parts[0]) or all(_is_ported(part) for part in checkpoint.parts)
        )

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        """Convert a recognised checkpoint to settings and weights.

        Args:
            checkpoint: The checkpoint.
            targets: Names of the instruments, in the order of their variables or files. Default: those of the
                published models with 2, 4 and 5 stems.

        Raises:
            ModelError: If the names of the instruments are unknown, or variables are missing.
        """
        if _is_bundle(checkpoint.parts[0]):
            instruments = _from_bundle(checkpoint.only)
        else:
            parts = sorted(checkpoint.parts, key=lambda part: _number(part.name))
            instruments = [_from_port(part) for part in parts]
        count = len(instruments)
        targets = targets or TARGETS.get(count, ())
        if len(targets) != count:
            raise ModelError(
                "the targets of this Spleeter are unknown",
                found=f"{count} instruments" + (f" for {', '.join(targets)}" if targets else ""),
                expected="2, 4 or 5 instruments, or a target for each",
                advice="" if targets else "Name them in the order of the files with --targets.",
            )
        settings = {
            "targets": targets,
            "num_channels": instruments[0]["down.0.weight"].shape[1],
            # As in the published models; it does not follow from the weights.
            "activation": "leaky_relu" if count == 2 else "elu",
            "mask_act_fn": "softmax" if count == 5 else "sigmoid",
        }
        settings.update(_given(checkpoint.settings))
        weights = {
            f"net.instruments.{index}.{name}": tensor
            for index, instrument in enumerate(instruments)
            for name, tensor in instrument.items()
        }
        return Conversion(SpleeterConfig.model_validate(settings), weights)


READER = SpleeterReader()


def _is_bundle(part: CheckpointPart) -> bool:
    shape = part.shape("conv2d/kernel")
    transposed = part.shape("conv2d_transpose/kernel")
    return shape is not None and (shape[:2], shape[3:]) == ((5, 5), (16,)) and transposed == (5, 5, 256, 512)


def _is_ported(part: CheckpointPart) -> bool:
    shape = part.shape("down1_conv.1.weight")
    return shape is not None and shape[0] == 16 and part.shape("up7.0.weight") is not None


def _from_bundle(part: CheckpointPart) -> list[dict[str, Tensor]]:
    """Weights of all instruments of a TensorFlow bundle."""
    heads = [name for name in part.tensors if re.fullmatch(r"conv2d_transpose(_\d+)?/kernel", name)]
    count = len(heads) // LAYERS["conv2d_transpose"]
    return [dict(_instrument(part.tensors, index)) for index in range(count)]


def _instrument(tensors: Mapping[str, Tensor], instrument: int) -> Iterator[tuple[str, Tensor]]:
    for kind, count in LAYERS.items():
        parts = NORM_PARTS if kind == "batch_normalization" else DENSE_PARTS
        for layer in range(count):
            if kind == "batch_normalization" and layer == UNUSED:
                continue
            number = instrument * count + layer
            for theirs, ours in parts.items():
                name = f"{kind}_{number}/{theirs}" if number else f"{kind}/{theirs}"
                if name not in tensors:
                    raise ModelError(
                        "this Spleeter is incomplete",
                        found=f"no variable {name}",
                        expected="all of its layers",
                    )
                tensor = tensors[name]
                # Kernels are [height, width, in, out], or [height, width, out, in] if transposed.
                tensor = tensor.permute(3, 2, 0, 1) if theirs == "kernel" else tensor
                yield f"{_layer(kind, layer)}.{ours}", tensor.float().contiguous()
            if kind == "batch_normalization":
                yield f"{_layer(kind, layer)}.num_batches_tracked", torch.tensor(0)


def _layer(kind: str, layer: int) -> str:
    """Our name of a layer, counted within its kind."""
    if kind == "conv2d":
        return f"down.{layer}" if layer < 6 else "head"
    if kind == "conv2d_transpose":
        return f"up.{layer}"
    return f"down_norm.{layer}" if layer < UNUSED else f"up_norm.{layer - UNUSED - 1}"


def _from_port(part: CheckpointPart) -> dict[str, Tensor]:
    """Weights of one instrument of the PyTorch port, whose layers are numbered from 1."""
    weights = {}
    for name, tensor in part.tensors.items():
        block, _, rest = name.partition(".")
        level = int(re.sub(r"\D", "", block) or 0)
        position, _, kind = rest.partition(".")
        if block == "up7":
            ours = f"head.{kind}"
        elif block.endswith("_conv"):
            ours = f"down.{level - 1}.{kind}"
        elif block.endswith("_act"):
            ours = f"down_norm.{level - 1}.{kind}"
        else:
            ours = f"up.{level - 1}.{kind}" if position == "0" else f"up_norm.{level - 1}.{kind}"
        if not ours.startswith(f"down_norm.{UNUSED}."):
            weights[ours] = tensor
    for name in [name for name in weights if name.endswith(".running_mean")]:
        weights.setdefault(name.replace("running_mean", "num_batches_tracked"), torch.tensor(0))
    return weights


def _number(name: str) -> int:
    digits = re.findall(r"\d+", name)
    return int(digits[-1]) if digits else 0


def _given(settings: Mapping[str, object]) -> dict[str, object]:
    """Settings from the JSON file next to the weights."""
    model = settings.get("model")
    params = model.get("params") if isinstance(model, Mapping) else None
    given: dict[str, object] = {}
    if isinstance(params, Mapping) and "conv_activation" in params:
        given["activation"] = "elu" if params["conv_activation"] == "ELU" else "leaky_relu"
    if isinstance(model, Mapping) and "type" in model:
        given["mask_act_fn"] = "softmax" if model["type"] == "unet.softmax_unet" else "sigmoid"
    names = {
        "instrument_list": "targets",
        "sample_rate": "sample_rate",
        "frame_length": "num_fft",
        "F": "num_bins_read",
        "T": "segment_frames",
        "mask_extension": "mask_extension",
    }
    given.update({ours: settings[theirs] for theirs, ours in names.items() if theirs in settings})
    return given
