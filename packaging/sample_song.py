"""Generates the sample song of the web page with `auralflow.synth`.

It contains no recordings, and is dedicated to the public domain (CC0 1.0).
"""

from pathlib import Path

import numpy as np

from auralflow.app.page import SAMPLE
from auralflow.audio import AudioWriter
from auralflow.synth import generate_song

RATE = 44100
SEED = 7
START, SECONDS, FADE = 8.0, 20.0, 0.5
TAGS = {"title": "Sample song", "artist": "auralflow", "license": "CC0 1.0"}


def main() -> None:
    """Write the song."""
    whole = sum(generate_song(SEED, seconds=START + SECONDS, sample_rate=RATE).values())
    part = whole[:, round(START * RATE) :]
    ramp = np.linspace(0, 1, round(FADE * RATE))
    part[:, : len(ramp)] *= ramp
    part[:, -len(ramp) :] *= ramp[::-1]
    part *= 0.9 / np.abs(part).max()
    with AudioWriter(Path(str(SAMPLE)), RATE, len(part), "VORBIS", "OGG", tags=TAGS) as writer:
        writer.write(part.astype(np.float32))


if __name__ == "__main__":
    main()
