"""The unet family with its own checkpoint reader, and a second family that claims every file."""

import dataclasses

from auralflow.errors import ModelError
from auralflow.nets.checkpoint import Checkpoint, Conversion
from auralflow.nets.families import parse_model_config
from auralflow.nets.unet import FAMILY as UNET

PREFIX = "toy."


class Reader:
    """Its own weights under another name; the channels follow from a shape or from the settings."""

    def recognizes(self, checkpoint: Checkpoint) -> bool:
        return all(name.startswith(PREFIX) for part in checkpoint.parts for name in part.tensors)

    def convert(self, checkpoint: Checkpoint, targets: tuple[str, ...] = ()) -> Conversion:
        weights = {
            name.removeprefix(PREFIX): tensor
            for part in checkpoint.parts
            for name, tensor in part.tensors.items()
        }
        values = {"net": "SpectrogramNetSimple", **TINY, **checkpoint.settings}
        if not (targets or "targets" in values):
            raise ModelError("the files say nowhere what they estimate", advice="Say it with --targets.")
        values |= {"targets": targets} if targets else {}
        return Conversion(parse_model_config(values), weights)


class Greedy(Reader):
    def recognizes(self, checkpoint: Checkpoint) -> bool:
        return True


TINY = {"num_hidden_channels": 2, "num_fft": 64, "window_size": 64, "hop_length": 32, "sample_length": 0.1}
READER, GREEDY = Reader(), Greedy()
TOY = dataclasses.replace(UNET, reader="toy_family:READER")
OTHER = dataclasses.replace(UNET, name="greedy", reader="toy_family:GREEDY")
