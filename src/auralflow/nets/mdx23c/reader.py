"""Reads published checkpoints of MDX23C."""

from typing import Any

from auralflow.config import parse_settings
from auralflow.errors import ModelError
from auralflow.nets.checkpoint import Checkpoint, CheckpointPart, Conversion
from auralflow.nets.mdx23c.config import MDX23CConfig
from auralflow.nets.msst import TrainingFile
from auralflow.nets.renaming import Rules, count_indices, renamed

__all__ = ["READER"]

RULES: Rules = (
    (r"^first_conv\.", "first."),
    (r"^final_conv\.", "last."),
    (r"^bottleneck_block\.blocks\.", "bottom."),
    (r"^encoder_blocks\.(\d+)\.tfc_tdf\.blocks\.", r"encoder.\1."),
    (r"^encoder_blocks\.(\d+)\.downscale\.conv\.", r"down.\1."),
    (r"^decoder_blocks\.(\d+)\.tfc_tdf\.blocks\.", r"decoder.\1."),
    (r"^decoder_blocks\.(\d+)\.upscale\.conv\.", r"up.\1."),
    (r"\.tfc1\.", ".before."),
    (r"\.tfc2\.", ".after."),
    (r"\.tdf\.", ".across."),
)
FIRST_BLOCK = "encoder_blocks.0.tfc_tdf.blocks.0"
NUM_CHANNELS = 2
EXPECTED = {"norm": "InstanceNorm", "act": "gelu"}


class MDX23CReader:
    """Reads published checkpoints of MDX23C."""

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        """Whether the only file contains a TFC-TDF net, version 3."""
        if len(checkpoint.parts) != 1:
            return False
        names = checkpoint.parts[0].tensors
        return f"{FIRST_BLOCK}.tfc1.2.weight" in names and "final_conv.2.weight" in names

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        """Convert a checkpoint to settings and weights.

        Raises:
            ModelError: If the settings file names an unsupported norm or activation, or the targets are
                unknown.
        """
        part = checkpoint.only
        training = TrainingFile.of(checkpoint)
        for key, expected in EXPECTED.items():
            found = training.section("model").get(key, expected)
            if found != expected:
                raise ModelError(
                    f"cannot import '{part.name}'", found=f"{key} {found}", expected=f"{key} {expected}"
                )
        values = _shapes(part) | training.engine()
        for section, theirs, ours in (
            ("audio", "n_fft", "num_fft"),
            ("audio", "hop_length", "hop_length"),
            ("audio", "dim_f", "num_bins"),
            ("model", "num_subbands", "num_subbands"),
        ):
            number = training.whole(section, theirs)
            if number is not None:
                values[ours] = number
        values["targets"] = targets or training.targets
        if not values["targets"]:
            raise ModelError(
                f"the targets of '{part.name}' are unknown",
                found=f"{_num_targets(part, values['num_subbands'])} targets",
                advice="Give the YAML file with --config, or list the targets with --targets, in "
                "the order of its outputs.",
            )
        config = parse_settings(MDX23CConfig, values, source=part.name)
        return Conversion(config, renamed(part.tensors, RULES))


def _num_targets(part: CheckpointPart, num_subbands: int) -> int:
    rows: int = part.tensors["final_conv.2.weight"].shape[0]
    return rows // (2 * NUM_CHANNELS * num_subbands)


def _shapes(part: CheckpointPart) -> dict[str, Any]:
    names = part.tensors
    first = names["first_conv.weight"].shape
    across = names[f"{FIRST_BLOCK}.tdf.2.weight"].shape
    grown = names["encoder_blocks.0.downscale.conv.2.weight"].shape
    num_subbands = max(1, first[1] // (2 * NUM_CHANNELS))
    num_bins = across[1] * num_subbands
    return {
        "num_channels": NUM_CHANNELS,
        "num_subbands": num_subbands,
        "num_bins": num_bins,
        "num_fft": 2 * num_bins,
        "num_scales": count_indices(names, r"encoder_blocks\.(\d+)"),
        "num_blocks": count_indices(names, r"encoder_blocks\.0\.tfc_tdf\.blocks\.(\d+)"),
        "num_hidden_channels": first[0],
        "growth": grown[0] - grown[1],
        "bottleneck": across[1] // across[0],
    }


READER = MDX23CReader()
