"""Published weights of Open-Unmix: one file of PyTorch for each target."""

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
"""Sample rate of the published speech enhancers, whose transform is shorter than that of the others."""

SPEECH_FFT = 1024
_OWN = re.compile(r"(input|output)_(mean|scale)|(fc|bn)[123]\..+|lstm\..+")


class OpenUnmixReader:
    """Reads published weights of Open-Unmix, see `auralflow.nets.checkpoint.CheckpointReader`."""

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        """Whether every file holds the net of one target."""
        needed = ("input_mean", "output_scale", "fc1.weight", "fc3.weight", "lstm.weight_ih_l0")
        return bool(checkpoint.parts) and all(
            part.shape(name) is not None for part in checkpoint.parts for name in needed
        )

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        """Make settings and weights of a checkpoint that was recognised.

        Args:
            checkpoint: The checkpoint.
            targets: What the files estimate, in their order. Default: what their names begin with.

        Raises:
            ModelError: If the files are not of one model, or their names do not say what they estimate.
        """
        parts = checkpoint.parts
        if targets and len(targets) != len(parts):
            raise ModelError(
                "cannot tell what these files estimate",
                found=f"{len(parts)} files for {', '.join(targets)}",
                expected="a target for each file, in their order",
            )
        named = list(zip(targets or [_target(part.name) for part in parts], parts, strict=True))
        if not targets:
            # As the published models list them, whatever the order of the files.
            named.sort(key=lambda pair: SOURCES.index(pair[0]) if pair[0] in SOURCES else len(SOURCES))
        settings = _settings(parts[0], checkpoint.settings)
        for part in parts[1:]:
            if (other := _settings(part, checkpoint.settings)) != settings:
                unlike = next(name for name in settings if settings[name] != other[name])
                raise ModelError(
                    "these files are not of one model",
                    found=f"{part.name} with {unlike} {other[unlike]}",
                    expected=f"{settings[unlike]}, as {parts[0].name} has",
                )
        config = OpenUnmixConfig.model_validate(settings | {"targets": tuple(name for name, _ in named)})
        weights: dict[str, Tensor] = {}
        for index, (_, part) in enumerate(named):
            # Beside the net's own there may be windows of transforms and the sample rate.
            for name, tensor in part.tensors.items():
                if _OWN.fullmatch(name):
                    weights[f"net.targets.{index}.{name}"] = tensor
        return Conversion(config, weights)


READER = OpenUnmixReader()


def _target(name: str) -> str:
    """``vocals`` of ``vocals-b62c91ce``."""
    return re.split(r"[-_.]", name, maxsplit=1)[0]


def _settings(part: CheckpointPart, given: Mapping[str, Any]) -> dict[str, Any]:
    """What the shapes say, and the JSON files beside the weights."""
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
        # The least frequency that reaches the last bin which is read.
        "bandwidth": max(1, math.ceil((num_bins_read - 1) * rate / num_fft)),
        "num_fft": num_fft,
        "hop_length": int(written.get("nhop", hop)),
    }


def _written(part: CheckpointPart, given: Mapping[str, Any]) -> dict[str, Any]:
    """The sample rate that the weights hold, and what ``separator.json`` and ``<target>.json`` say."""
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
