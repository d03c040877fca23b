"""The built-in song generator: whole songs of four stems, for trying and training without data."""

from auralflow.datasets.synth.folders import write_dataset
from auralflow.datasets.synth.song import generate_song

__all__ = ["generate_song", "write_dataset"]
