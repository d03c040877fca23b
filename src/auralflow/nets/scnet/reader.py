"""Reads published checkpoints of SCNet."""

from typing import Any

from auralflow.config import parse_settings
from auralflow.errors import ModelError
from auralflow.nets.checkpoint import Checkpoint, CheckpointPart, Conversion
from auralflow.nets.msst import TrainingFile
from auralflow.nets.renaming import Rules, count_indices, renamed
from auralflow.nets.scnet.config import MAP_TARGETS, SCNetConfig

__all__ = ["READER"]

RULES: Rules = (
    (r"\.SDlayer\.convs\.", ".compressions."),
    (r"\.conv_modules\.(\d+)\.layers\.", r".convolutions.\1.blocks."),
    (r"\.globalconv\.", ".mix."),
    (r"^separation_net\.dp_modules\.", "core."),
    (r"\.(norm|lstm|linear)_layers\.", r".\1s."),
    (r"^(decoder\.\d+)\.0\.conv\.", r"\1.fuse."),
    (r"^(decoder\.\d+)\.1\.convtrs\.", r"\1.expansions."),
)
FIRST = "encoder.0.SDlayer.convs.0.weight"
BAND_SHARES = {(64, 6): (0.225, 0.372, 0.403), (64, 8): (0.23, 0.37, 0.40), (32, 6): (0.175, 0.392, 0.433)}
"""Band shares of the published models by channels of the first stage and number of dual-path layers; no
tensor's shape depends on them."""


class SCNetReader:
    """Reads published checkpoints of SCNet."""

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        """Whether the only file contains an SCNet; the variant with masks is not supported."""
        if len(checkpoint.parts) != 1:
            return False
        names = checkpoint.parts[0].tensors
        return FIRST in names and not any("mask_layer" in name or "pos_embed" in name for name in names)

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        """Convert a checkpoint to settings and weights.

        Raises:
            ModelError: If the targets or the widths of the bands are unknown; a settings file states both.
        """
        part = checkpoint.only
        training = TrainingFile.of(checkpoint)
        values = _shapes(part) | _settings(training) | training.engine()
        stages = count_indices(part.tensors, r"decoder\.(\d+)")
        outputs = part.tensors[f"decoder.{stages - 1}.1.convtrs.0.bias"].shape[0]
        count = outputs // (2 * values["num_channels"])
        values["targets"] = targets or training.targets or (MAP_TARGETS if count == len(MAP_TARGETS) else ())
        if not values["targets"]:
            raise ModelError(
                f"the targets of '{part.name}' are unknown",
                found=f"{count} targets",
                advice="Name them with --targets, in the order of its outputs.",
            )
        if "band_shares" not in values:
            raise ModelError(
                f"the widths of the bands of '{part.name}' are unknown",
                found="no settings file",
                expected="band_SR",
                advice="Give the YAML file of the model with --config.",
            )
        config = parse_settings(SCNetConfig, values, source=part.name)
        return Conversion(config, renamed(part.tensors, RULES))


def _shapes(part: CheckpointPart) -> dict[str, Any]:
    names = part.tensors
    stages = count_indices(names, r"encoder\.(\d+)")
    first = names[FIRST].shape
    layers = count_indices(names, r"separation_net\.dp_modules\.(\d+)")
    values: dict[str, Any] = {
        "num_channels": max(1, first[1] // 2),
        "stage_channels": tuple(names[f"encoder.{i}.SDlayer.convs.0.weight"].shape[0] for i in range(stages)),
        "band_kernels": tuple(names[f"encoder.0.SDlayer.convs.{j}.weight"].shape[2] for j in range(3)),
        "conv_depths": tuple(
            count_indices(names, rf"encoder\.0\.conv_modules\.{j}\.layers\.(\d+)") for j in range(3)
        ),
        "num_dual_paths": layers,
    }
    # An uncompressed band has kernel 3; in the others the kernel equals the stride.
    values["band_strides"] = tuple(1 if kernel == 3 else kernel for kernel in values["band_kernels"])
    hidden = names.get("encoder.0.conv_modules.0.layers.0.3.weight")
    if hidden is not None:
        values["compress"] = first[0] // hidden.shape[0]
        values["conv_kernel"] = hidden.shape[2]
    recurrent = names.get("separation_net.dp_modules.0.lstm_layers.0.weight_hh_l0")
    if recurrent is not None:
        values["expand"] = recurrent.shape[1] // values["stage_channels"][-1]
    shares = BAND_SHARES.get((first[0], layers))
    if shares:
        values["band_shares"] = shares
    return values


def _settings(training: TrainingFile) -> dict[str, Any]:
    model = training.section("model")
    keys = {
        "band_SR": "band_shares",
        "band_stride": "band_strides",
        "band_kernel": "band_kernels",
        "conv_depths": "conv_depths",
        "compress": "compress",
        "conv_kernel": "conv_kernel",
        "expand": "expand",
        "num_dplayer": "num_dual_paths",
        "nfft": "num_fft",
        "hop_size": "hop_length",
    }
    values = {ours: model[theirs] for theirs, ours in keys.items() if theirs in model}
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


READER = SCNetReader()
