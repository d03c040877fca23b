"""Reads published checkpoints of BS-RoFormer and Mel-Band RoFormer.

These are the nets of lucidrains' package up to version 0.4, which the community trains. Its later versions
have other architectures and tensors.
"""

import re
from typing import Any

from auralflow.config import parse_settings
from auralflow.errors import ModelError
from auralflow.nets.checkpoint import Checkpoint, CheckpointPart, Conversion
from auralflow.nets.msst import TrainingFile
from auralflow.nets.renaming import Rules, count_indices, renamed
from auralflow.nets.roformer.config import BSRoformerConfig, MelBandRoformerConfig

__all__ = ["READER"]

RULES: Rules = (
    (r"^layers\.(\d+)\.0\.norm\.", r"over_time.\1.norm."),
    (r"^layers\.(\d+)\.1\.norm\.", r"over_bands.\1.norm."),
    (r"^layers\.(\d+)\.0\.layers\.(\d+)\.0\.", r"over_time.\1.attention.\2."),
    (r"^layers\.(\d+)\.1\.layers\.(\d+)\.0\.", r"over_bands.\1.attention.\2."),
    (r"^layers\.(\d+)\.0\.layers\.(\d+)\.1\.net\.", r"over_time.\1.feed_forward.\2."),
    (r"^layers\.(\d+)\.1\.layers\.(\d+)\.1\.net\.", r"over_bands.\1.feed_forward.\2."),
    (r"\.to_(qkv|gates)\.", r".\1."),
    (r"\.to_out\.0\.", ".out."),
    (r"\.gamma$", ".gain"),
    (r"^band_split\.to_features\.(\d+)\.0\.", r"band_encoder.norms.\1."),
    (r"^band_split\.to_features\.(\d+)\.1\.", r"band_encoder.linears.\1."),
    (r"^mask_estimators\.(\d+)\.to_freqs\.(\d+)\.0\.", r"decoders.\1.bands.\2."),
    (r"^final_norm\.", "norm."),
)
MASKS = r"mask_estimators\.(\d+)"
ROTARY = re.compile(r"layers\.\d+\.([01])\.layers\.\d+\.0\.rotary_embed\.freqs")
NEWER = ("to_value_residual_mix", "to_pope", "hyper_conn", "num_residual")
UNSUPPORTED = {"stft_normalized": False, "linear_transformer_depth": 0}


DESCRIBED = {
    "dim": "dim",
    "depth": "depth",
    "heads": "heads",
    "dim_head": "dim_head",
    "num_bands": "num_bands",
    "time_transformer_depth": "time_depth",
    "freq_transformer_depth": "freq_depth",
}
"""Keys of a settings file whose values also follow from the weights, with our names for them. If the values
differ, the file belongs to another model."""


class RoformerReader:
    """Reads published checkpoints of the RoFormers."""

    parameters = frozenset({"n_fft", "hop_length"})

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        """Whether the only file contains a RoFormer of the kind that the community trains."""
        if len(checkpoint.parts) != 1:
            return False
        names = checkpoint.parts[0].tensors
        return (
            "band_split.to_features.0.1.weight" in names
            and "mask_estimators.0.to_freqs.0.0.0.weight" in names
            and not any(sign in name for name in names for sign in NEWER)
        )

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        """Convert a checkpoint to settings and weights.

        Raises:
            ModelError: If the hop length, on which no tensor depends, or the targets are unknown, or the
                settings file belongs to another model.
        """
        part = checkpoint.only
        training = TrainingFile.of(checkpoint)
        model = training.section("model")
        for key, expected in UNSUPPORTED.items():
            if model.get(key, expected) != expected:
                raise ModelError(
                    f"cannot import '{part.name}'", found=f"{key} {model[key]}", expected=f"{key} {expected}"
                )
        shapes = _shapes(part)
        _check_described(training, shapes)
        hop = (
            checkpoint.given.get("hop_length")
            or training.whole("model", "stft_hop_length")
            or training.whole("audio", "hop_length")
        )
        if hop is None:
            raise ModelError(
                f"the hop length of '{part.name}' is unknown",
                found="no settings file",
                expected="--hop-length, which is 441 or 512 in all known models",
                advice="Or give the YAML file of the model with --config.",
            )
        values = shapes | training.engine() | {"hop_length": hop}
        num_fft = (
            checkpoint.given.get("n_fft")
            or training.whole("model", "stft_n_fft")
            or training.whole("audio", "n_fft", _num_fft(shapes))
        )
        values["num_fft"] = num_fft
        values["window_size"] = training.whole("model", "stft_win_length", num_fft)
        # The default of the package since 2025-09, and of other programs from the start.
        values["zero_dc"] = bool(model.get("zero_dc", True))
        values["summed_blocks"] = bool(model.get("skip_connection", False))
        values["targets"] = targets or training.targets
        if not values["targets"]:
            raise ModelError(
                f"the targets of '{part.name}' are unknown",
                found=f"{count_indices(part.tensors, MASKS)} targets",
                advice="Name them with --targets, in the order of its outputs, such as --targets vocals.",
            )
        kind = BSRoformerConfig if "final_norm.gamma" in part.tensors else MelBandRoformerConfig
        del values["is_split"]
        if kind is MelBandRoformerConfig:
            del values["band_sizes"]
        else:
            del values["num_bands"]
        return Conversion(parse_settings(kind, values, source=part.name), _weights(part))


def _check_described(training: TrainingFile, shapes: dict[str, Any]) -> None:
    for theirs, ours in DESCRIBED.items():
        said = training.whole("model", theirs)
        if said is not None and said != shapes[ours]:
            raise ModelError(
                f"'{training.name}' belongs to another model",
                found=f"{theirs} {said}",
                expected=f"{shapes[ours]}, as in the weights",
                advice="Give the YAML file that was published with these weights.",
            )


def _num_fft(shapes: dict[str, Any]) -> int:
    """Length of the transform: BS-RoFormer's bands divide its bins, Mel-Band RoFormer's bands overlap."""
    return max(64, 2 * (sum(shapes["band_sizes"]) - 1)) if shapes["is_split"] else 2048


def _shapes(part: CheckpointPart) -> dict[str, Any]:
    names = part.tensors
    stereo = names["mask_estimators.0.to_freqs.0.0.0.weight"]
    num_bands = count_indices(names, r"band_split\.to_features\.(\d+)")
    widths = [names[f"band_split.to_features.{band}.1.weight"].shape[1] for band in range(num_bands)]
    # Every known file is stereo: four numbers for a bin.
    channels = 2 if all(width % 4 == 0 for width in widths) else 1
    attention = "layers.0.0.layers.0.0"
    heads = names[f"{attention}.to_gates.weight"].shape[0]
    hidden = count_indices(names, r"mask_estimators\.0\.to_freqs\.0\.0\.(\d+)\.weight") // 2
    return {
        "num_channels": channels,
        "num_bands": num_bands,
        "is_split": "final_norm.gamma" in names,
        "band_sizes": tuple(width // (2 * channels) for width in widths),
        "dim": names["band_split.to_features.0.1.weight"].shape[0],
        "depth": count_indices(names, r"layers\.(\d+)\."),
        "time_depth": count_indices(names, r"layers\.0\.0\.layers\.(\d+)\."),
        "freq_depth": count_indices(names, r"layers\.0\.1\.layers\.(\d+)\."),
        "heads": heads,
        "dim_head": names[f"{attention}.to_qkv.weight"].shape[0] // (3 * heads),
        "mask_depth": hidden,
        "mask_hidden": stereo.shape[0] if hidden else 4,
    }


def _weights(part: CheckpointPart) -> dict[str, Any]:
    # Every layer stores the same frequencies of its axis; we keep them once.
    rotary = {}
    others = {}
    for name, tensor in part.tensors.items():
        match = ROTARY.fullmatch(name)
        if match:
            axis = ("time_rotary", "freq_rotary")[int(match[1])]
            rotary[f"net.{axis}.frequencies"] = tensor
        else:
            others[name] = tensor
    return renamed(others, RULES) | rotary


READER = RoformerReader()
