"""The song generator: whole songs of four stems, out of nothing or out of compositions, notes and voices."""

from auralflow.synth.folders import SynthReport, write_dataset
from auralflow.synth.song import Material, generate_song

__all__ = ["Material", "SynthReport", "generate_song", "write_dataset"]
