"""The song generator: songs of four stems, from scratch or from compositions, recorded notes and voices."""

from auralflow.synth.folders import SynthReport, write_dataset
from auralflow.synth.song import Material, generate_song

__all__ = ["Material", "SynthReport", "generate_song", "write_dataset"]
