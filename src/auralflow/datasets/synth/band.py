"""Who plays the parts of a song: built-in instruments, recordings or soundfonts, drawn for each song."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from auralflow.datasets.synth.amplifiers import amplify, draw_amplifier
from auralflow.datasets.synth.drums import render_drums
from auralflow.datasets.synth.instruments import play
from auralflow.datasets.synth.parts import Hit, Part
from auralflow.datasets.synth.programs import CLEAN_GUITAR, DISTORTED, HELD, built_in
from auralflow.datasets.synth.samples import SampleBank
from auralflow.datasets.synth.signals import Signal
from auralflow.datasets.synth.soundfonts import KITS, soundfont

__all__ = ["Band"]

Source = Literal["built-in", "recorded", "soundfont"]

SHARES: dict[Source, float] = {"built-in": 0.2, "recorded": 0.4, "soundfont": 0.4}
"""How often a part is played by what, among the sources that there are."""
OWN_FONT = 0.3
"""How often a part has a soundfont other than most of the song."""
AMPLIFIED = 0.7
"""How often a distorted guitar is a clean one through an amplifier, rather than one recorded so."""
QUIET = 1e-6


class Band:
    """The players of one song.

    Args:
        sample_rate: In hertz.
        rng: Source of the randomness: who plays what.
        samples: Recordings, if any.
        soundfonts: Files of soundfonts.
    """

    def __init__(
        self,
        sample_rate: int,
        rng: np.random.Generator,
        *,
        samples: SampleBank | None = None,
        soundfonts: Sequence[Path] = (),
    ) -> None:
        self.sample_rate, self.rng = sample_rate, rng
        self.samples, self.soundfonts = samples, tuple(soundfonts)
        self._font = self._any_font() if soundfonts else None

    def drums(self, hits: Sequence[Hit], samples: int) -> Signal:
        """Play the drums.

        Args:
            hits: The strokes.
            samples: Length N of the song.

        Returns:
            The dry drums [2, N].
        """
        source = self._source(recorded=bool(self.samples and self.samples.pieces))
        kit = int(self.rng.choice(KITS))
        if source == "soundfont":
            return soundfont(self._draw_font(), self.sample_rate).drum(hits, samples, kit)
        recorded = self.samples.pieces if self.samples and source == "recorded" else None
        return render_drums(hits, samples, self.sample_rate, self.rng, recorded=recorded)

    def part(self, part: Part, samples: int, stem: str) -> Signal:
        """Play a part of the bass or the accompaniment.

        Args:
            part: The part.
            samples: Length N of the song.
            stem: ``bass`` or ``other``.

        Returns:
            The dry part [2, N], at an RMS of its level where all of it is counted.
        """
        # Recordings end by themselves, and a pad must not.
        bank = self.samples if part.program not in HELD else None
        source = self._source(recorded=bool(bank and bank.instruments.get(stem)))
        distorted = part.program in DISTORTED
        amplified = distorted and (source != "soundfont" or self.rng.random() < AMPLIFIED)
        if source == "soundfont":
            font = soundfont(self._draw_font(), self.sample_rate)
            sound = font.play(replace(part, program=CLEAN_GUITAR) if amplified else part, samples)
        else:
            recorded = (
                bank.instrument(stem, self.sample_rate, self.rng) if bank and source == "recorded" else None
            )
            sound = play(
                part.notes,
                recorded or built_in(part.program, self.sample_rate, self.rng),
                samples,
                self.sample_rate,
            )
        if amplified:
            sound = self._amplified(sound, heavy=part.program == 30)
        level = float(np.sqrt(np.mean(sound**2)))
        return sound * np.float32(part.level / level) if level > QUIET else sound

    def _amplified(self, sound: Signal, *, heavy: bool) -> Signal:
        power = np.sqrt(np.mean(sound**2, axis=1))
        total = float(np.sqrt(np.sum(power**2)))
        if total < QUIET:
            return sound
        heard = amplify(sound.mean(axis=0), draw_amplifier(self.rng, heavy=heavy), self.sample_rate)
        return np.asarray((power / total)[:, None] * heard, dtype=np.float32)

    def _source(self, *, recorded: bool) -> Source:
        there: list[Source] = ["built-in"]
        there += ["recorded"] if recorded else []
        there += ["soundfont"] if self.soundfonts else []
        shares = np.array([SHARES[source] for source in there])
        return there[int(self.rng.choice(len(there), p=shares / shares.sum()))]

    def _any_font(self) -> Path:
        return self.soundfonts[int(self.rng.integers(len(self.soundfonts)))]

    def _draw_font(self) -> Path:
        return self._any_font() if self._font is None or self.rng.random() < OWN_FONT else self._font
