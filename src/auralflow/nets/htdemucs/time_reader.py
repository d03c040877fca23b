"""Reads published checkpoints of time-domain Demucs."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from auralflow.config import parse_settings
from auralflow.errors import ModelError
from auralflow.nets.checkpoint import CheckpointPart, Conversion
from auralflow.nets.htdemucs.config import DEMUCS_TARGETS, DemucsConfig
from auralflow.nets.renaming import Rules, count_indices, renamed

__all__ = ["convert_time_demucs", "is_time_demucs"]

ONLY = {"rewrite": True, "glu": True, "kernel_size": 8, "stride": 4, "growth": 2, "norm_groups": 4}
"""Arguments for which only this value is supported."""
BRANCHES = {0: "none", 1: "encoder", 2: "decoder", 3: "both"}
NAMES = {
    "samplerate": "sample_rate",
    "segment": "sample_length",
    "resample": "doubled",
    "normalize": "levelled",
    "norm_starts": "norm_from",
    "dconv_lstm": "recurrent_from",
    "dconv_attn": "attentive_from",
}
"""Their names and ours for settings that cannot be inferred from tensors."""
LAST = 8
"""Stands for "never": no net has that many layers."""


def is_time_demucs(part: CheckpointPart) -> bool:
    """Whether the tensors belong to a Demucs without a spectrogram."""
    first, last = part.shape("encoder.0.0.weight"), part.shape("decoder.0.0.weight")
    return first is not None and last is not None and len(first) == 3 and first[2] == 8 and len(last) == 3


def convert_time_demucs(part: CheckpointPart, targets: tuple[str, ...] = ()) -> Conversion:
    """Convert a checkpoint to settings and weights.

    Raises:
        ModelError: If it uses unsupported arguments.
    """
    given: Mapping[str, Any] = dict(part.kwargs)
    for key, only in ONLY.items():
        if given.get(key, only) != only:
            raise ModelError(
                f"cannot import '{part.name}'", found=f"{key} {given[key]!r}", expected=f"{key} {only!r}"
            )
    in_encoder = "encoder.0.3.layers.0.0.weight" in part.tensors
    in_decoder = "decoder.0.3.layers.0.0.weight" in part.tensors
    values = _shapes(part, in_encoder=in_encoder, in_decoder=in_decoder)
    sources = given.get("sources", part.args[0] if part.args else None)
    if sources:
        values["targets"] = tuple(sources)
    values |= {ours: given[theirs] for theirs, ours in NAMES.items() if theirs in given}
    if isinstance(values.get("sample_length"), Fraction):
        values["sample_length"] = float(values["sample_length"])
    for name in ("norm_from", "recurrent_from", "attentive_from"):
        if isinstance(values.get(name), int):
            values[name] = min(LAST, values[name])
    if "gelu" in given:
        values["activation"] = "gelu" if given["gelu"] else "relu"
    if targets:
        values["targets"] = targets
    rules = _rules(in_encoder=in_encoder, in_decoder=in_decoder)
    return Conversion(parse_settings(DemucsConfig, values, source=part.name), renamed(part.tensors, rules))


def _shapes(part: CheckpointPart, *, in_encoder: bool, in_decoder: bool) -> dict[str, Any]:
    names = part.tensors
    first = names["encoder.0.0.weight"].shape
    depth = count_indices(names, r"encoder\.(\d+)")
    last = names[f"decoder.{depth - 1}.{3 + in_decoder}.weight"].shape
    branches = {(False, False): 0, (True, False): 1, (False, True): 2, (True, True): 3}
    values: dict[str, Any] = {
        "num_channels": first[1],
        "num_hidden_channels": first[0],
        "depth": depth,
        "context": names["decoder.0.0.weight"].shape[2] // 2,
        "branches": BRANCHES[branches[in_encoder, in_decoder]],
        "recurrence_depth": count_indices(names, r"lstm\.lstm\.weight_ih_l(\d+)$"),
        "targets": DEMUCS_TARGETS if last[1] // first[1] == len(DEMUCS_TARGETS) else (),
    }
    if in_encoder:
        branch = names["encoder.0.3.layers.0.0.weight"].shape
        values["branch_compress"] = branch[1] / branch[0]
        values["branch_depth"] = count_indices(names, r"encoder\.0\.3\.layers\.(\d+)")
    return values


def _rules(*, in_encoder: bool, in_decoder: bool) -> Rules:
    """Renaming rules. Layers are numbered in order, so a residual branch shifts those after it by one."""
    rewrite, transposed = 3 + in_encoder, 3 + in_decoder
    return (
        (r"^(encoder\.\d+)\.0\.", r"\1.conv."),
        (r"^(encoder\.\d+)\.1\.", r"\1.norm1."),
        (r"^((?:en|de)coder\.\d+)\.3\.layers\.", r"\1.branch.blocks."),
        (rf"^(encoder\.\d+)\.{rewrite}\.", r"\1.rewrite."),
        (rf"^(encoder\.\d+)\.{rewrite + 1}\.", r"\1.norm2."),
        (r"^(decoder\.\d+)\.0\.", r"\1.rewrite."),
        (r"^(decoder\.\d+)\.1\.", r"\1.norm1."),
        (rf"^(decoder\.\d+)\.{transposed}\.", r"\1.conv_tr."),
        (rf"^(decoder\.\d+)\.{transposed + 1}\.", r"\1.after.0."),
        (r"^lstm\.", "recurrence."),
    )
