"""Reads published checkpoints of Demucs."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from torch import Tensor

from auralflow.config import parse_settings
from auralflow.errors import ModelError
from auralflow.nets.checkpoint import Checkpoint, CheckpointPart, Conversion
from auralflow.nets.htdemucs.config import DEMUCS_TARGETS, HDemucsConfig, HTDemucsConfig
from auralflow.nets.htdemucs.time_reader import convert_time_demucs, is_time_demucs
from auralflow.nets.renaming import Rules, count_indices, renamed

__all__ = ["READER"]

RULES: Rules = (
    (r"^tencoder\.", "time_encoder."),
    (r"^tdecoder\.", "time_decoder."),
    (r"\.dconv\.layers\.", ".branch.blocks."),
    (r"^freq_emb\.embedding\.", "row_embedding."),
    (r"^channel_upsampler_t\.", "widen_time."),
    (r"^channel_upsampler\.", "widen."),
    (r"^channel_downsampler_t\.", "narrow_time."),
    (r"^channel_downsampler\.", "narrow."),
    (r"^crosstransformer\.norm_in_t\.", "transformer.norm_in_time."),
    (r"^crosstransformer\.layers_t\.", "transformer.layers_time."),
    (r"^crosstransformer\.", "transformer."),
    (r"\.(self|cross)_attn\.in_proj_", ".attention.in_proj."),
    (r"\.(self|cross)_attn\.", ".attention."),
    (r"\.gamma_(\d)\.", r".gain\1."),
    # Layers with an odd index use cross-attention, and have a norm for the other sequence.
    (r"^(transformer\.layers(?:_time)?\.\d+)\.norm1\.", r"\1.norm_query."),
    (r"^(transformer\.layers(?:_time)?\.\d*[13579])\.norm2\.", r"\1.norm_other."),
    (r"^(transformer\.layers(?:_time)?\.\d*[13579])\.norm3\.", r"\1.norm_feed."),
    (r"^(transformer\.layers(?:_time)?\.\d*[02468])\.norm2\.", r"\1.norm_feed."),
)
SIX_TARGETS = (*DEMUCS_TARGETS, "guitar", "piano")
ONLY = {
    "cac": True,
    "hybrid": True,
    "rewrite": True,
    "context": 1,
    "context_enc": 0,
    "kernel_size": 8,
    "stride": 4,
    "time_stride": 2,
    "growth": 2,
    "norm_groups": 4,
    "nfft": 4096,
    "freq_emb": 0.2,
    "emb_scale": 10,
    "multi_freqs": (None, [], ()),
    "wiener_iters": 0,
    "t_emb": "sin",
    "t_cross_first": False,
    "t_sparse_self_attn": False,
    "t_sparse_cross_attn": False,
    "channels_time": None,
    "hybrid_old": (False, True),
}
"""Arguments for which only this value, or one of these values, is supported."""
BRANCHES = {1: "encoder", 3: "both"}


class DemucsReader:
    """Reads published checkpoints of Demucs."""

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        """Whether the only file contains a Demucs."""
        if len(checkpoint.parts) != 1:
            return False
        names = checkpoint.parts[0].tensors
        return is_time_demucs(checkpoint.only) or (
            "tencoder.0.conv.weight" in names and "freq_emb.embedding.weight" in names
        )

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        """Convert a checkpoint to settings and weights.

        Raises:
            ModelError: If it uses unsupported arguments.
        """
        part = checkpoint.only
        if is_time_demucs(part):
            return convert_time_demucs(part, targets)
        kind = HTDemucsConfig if "crosstransformer.norm_in.weight" in part.tensors else HDemucsConfig
        values = _shapes(part) | _arguments(part)
        if targets:
            values["targets"] = targets
        if kind is HDemucsConfig:
            values = {key: value for key, value in values.items() if not key.startswith("transformer")}
        return Conversion(parse_settings(kind, values, source=part.name), renamed(part.tensors, RULES))


def _shapes(part: CheckpointPart) -> dict[str, Any]:
    names = part.tensors
    first = names["tencoder.0.conv.weight"].shape
    depth = count_indices(names, r"encoder\.(\d+)")
    branch = names.get("encoder.0.dconv.layers.0.0.weight")
    decoders = count_indices(names, r"tdecoder\.(\d+)")
    count = names[f"tdecoder.{decoders - 1}.conv_tr.weight"].shape[1] // first[1]
    defaults = {len(DEMUCS_TARGETS): DEMUCS_TARGETS, len(SIX_TARGETS): SIX_TARGETS}
    values: dict[str, Any] = {
        "num_channels": first[1],
        "num_hidden_channels": first[0],
        "depth": depth,
        "branches": "both" if any(re.match(r"decoder\.\d+\.dconv", name) for name in names) else "encoder",
        "branch_depth": count_indices(names, r"encoder\.0\.dconv\.layers\.(\d+)"),
        "targets": defaults.get(count, ()),
    }
    if branch is not None:
        values["branch_compress"] = branch.shape[1] / branch.shape[0]
    width = names.get("crosstransformer.norm_in.weight")
    if width is not None:
        deepest = first[0] * 2 ** (depth - 1)
        values["transformer_depth"] = count_indices(names, r"crosstransformer\.layers\.(\d+)")
        values["transformer_channels"] = 0 if width.shape[0] == deepest else width.shape[0]
        hidden: Tensor = names["crosstransformer.layers.0.linear1.weight"]
        values["transformer_hidden_scale"] = hidden.shape[0] / hidden.shape[1]
    return values


def _arguments(part: CheckpointPart) -> dict[str, Any]:
    """Settings from the arguments of the stored class."""
    given: Mapping[str, Any] = dict(part.kwargs)
    for key, only in ONLY.items():
        accepted = only if isinstance(only, tuple) else (only,)
        if key in given and given[key] not in accepted:
            raise ModelError(
                f"cannot import '{part.name}'", found=f"{key} {given[key]!r}", expected=f"{key} {only!r}"
            )
    values: dict[str, Any] = {}
    sources = given.get("sources", part.args[0] if part.args else None)
    if sources:
        values["targets"] = tuple(sources)
    if "samplerate" in given:
        values["sample_rate"] = given["samplerate"]
    if "segment" in given:
        segment = given["segment"]
        values["sample_length"] = float(segment) if isinstance(segment, Fraction | int | float) else segment
    if given.get("hybrid_old"):
        values["edges"] = "zeros"
    if "dconv_mode" in given:
        values["branches"] = BRANCHES.get(given["dconv_mode"], given["dconv_mode"])
    starts = {given.get(key, 4) for key in ("norm_starts", "dconv_lstm", "dconv_attn")}
    if len(starts) != 1:
        raise ModelError(
            f"cannot import '{part.name}'",
            found=f"norm_starts, dconv_lstm and dconv_attn {sorted(starts)}",
            expected="the same layer for all three",
        )
    values["deep_from"] = min(6, starts.pop())
    if "t_heads" in given:
        values["transformer_heads"] = given["t_heads"]
    return values


READER = DemucsReader()
