"""Reads published weights of Open-Unmix: one PyTorch file for each target."""

import math
import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from auralflow.config import SOURCES
from auralflow.errors import ModelError
from auralflow.nets.checkpoint import Checkpoint, CheckpointPart, Conversion
from auralflow.nets.openunmix.config import OpenUnmixConfig

__all__ = ["READER", "OpenUnmixReader"]

SPEECH_RATE = 16000
"""Sample rate of the published speech enhancers, which have a shorter transform."""

SPEECH_FFT = 1024
_OWN = re.compile(r"(input|output)_(mean|scale)|(fc|bn)[123]\..+|lstm\..+")


class OpenUnmixReader:
    """Reads published weights of Open-Unmix; see `auralflow.nets.checkpoint.CheckpointReader`."""

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        """Whether every file contains the net of one target."""
        needed = ("input_mean", "output_scale", "fc1.weight", "fc3.weight", "lstm.weight_ih_l0")
        return bool(checkpoint.parts) and all(
            part.shape(name) is not None for part in checkpoint.parts for name in needed
        )

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        """Convert a recognised checkpoint to settings and weights.

        Args:
            checkpoint: The checkpoint.
            targets: Targets of the files, in order. Default: the beginnings of their names.

        Raises:
            ModelError: If the files do not belong to one model, or the number of targets is wrong.
        """
        parts = checkpoint.parts
        if targets and len(targets) != len(parts):
            raise ModelError(
                "the targets do not match the files",
                found=f"{len(parts)} files for {', '.join(targets)}",
                expected="one target per file, in the same order",
            )
        named = list(zip(targets or [_target(part.name) for part in parts], parts, strict=True))
        if not targets:
            # The order of the published models, whatever the order of the files.
            named.sort(key=lambda pair: SOURCES.index(pair[0]) if pair[0] in SOURCES else len(SOURCES))
        settings = _settings(parts[0], checkpoint.settings)
        for part in parts[1:]:
            if (other := _settings(part, checkpoint.settings)) != settings:
                unlike = next(name for name in settings if settings[name] != other[name])
                raise ModelError(
                    "these files do not belong to one model",
                    found=f"{part.name} with {unlike} {other[unlike]}",
                    expected=f"{settings[unlike]}, as in {parts[0].name}",
                )
        config = OpenUnmixConfig.model_validate(settings | {"targets": tuple(name for name, _ in named)})
        weights: dict[str, Tensor] = {}
        for index, (_, part) in enumerate(named):
            # There may also be windows of transforms and the sample rate.
            for name, tensor in part.tensors.items():
                if _OWN.fullmatch(name):
                    weights[f"net.targets.{index}.{name}"] = tensor
        return Conversion(config, weights)


READER = OpenUnmixReader()


def _target(name: str) -> str:
    """The target in a file name, such as ``vocals`` in ``vocals-b62c91ce``."""
    return re.split(r"[-_.]", name, maxsplit=1)[0]


def _settings(part: CheckpointPart, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from the shapes, and from JSON files published with the weights."""
    hidden_size, num_features = _shape(part, "fc1.weight")
    (num_bins,) = _shape(part, "output_scale")
    (num_bins_read,) = _shape(part, "input_mean")
    layers = [name for name in part.tensors if re.fullmatch(r"lstm\.weight_ih_l\d+", name)]
    num_fft = 2 * (num_bins - 1)
    written = _written(part, given)
    rate = int(written.get("sample_rate", SPEECH_RATE if num_fft == SPEECH_FFT else 44100))
    hop = num_fft // 2 if num_fft == SPEECH_FFT else num_fft // 4
    return {
        "num_channels": max(1, num_features // max(1, num_bins_read)),
        "sample_rate": rate,
        "hidden_size": hidden_size,
        "num_layers": len(layers),
        "unidirectional": "lstm.weight_ih_l0_reverse" not in part.tensors,
        # The lowest frequency that includes the last bin of the input.
        "bandwidth": max(1, math.ceil((num_bins_read - 1) * rate / num_fft)),
        "num_fft": num_fft,
        "hop_length": int(written.get("nhop", hop)),
    }


def _written(part: CheckpointPart, given: Mapping[str, Any]) -> dict[str, Any]:
    """The sample rate stored in the weights, and values in ``separator.json`` and ``<target>.json``."""
    written: dict[str, Any] = {}
    if part.shape("sample_rate") in ((), (1,)):
        written["sample_rate"] = part.tensors["sample_rate"].item()
    files = [given, *(value for value in given.values() if isinstance(value, Mapping))]
    for file in files:
        args = file.get("args")
        for values in (args if isinstance(args, Mapping) else {}, file):
            written |= {name: values[name] for name in ("sample_rate", "nhop") if name in values}
    return written


def _shape(part: CheckpointPart, name: str) -> tuple[int, ...]:
    return part.shape(name) or ()
