"""Who plays the parts of a song: built-in instruments, recordings or soundfonts, drawn for each song."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from auralflow.effects.amplifiers import AmplifierKind, amplify, draw_amplifier
from auralflow.effects.dynamics import active_rms
from auralflow.effects.signals import Signal
from auralflow.effects.stereo import widen
from auralflow.synth.players.drums import render_drums
from auralflow.synth.players.instruments import play
from auralflow.synth.players.programs import CLEAN_GUITAR, DISTORTED, HELD, built_in
from auralflow.synth.players.samples import SampleBank
from auralflow.synth.players.soundfonts import KITS, soundfont
from auralflow.synth.score.composition import Note
from auralflow.synth.score.parts import Hit, Part

__all__ = ["Band"]

Source = Literal["built-in", "recorded", "soundfont"]
Player = Callable[[Part, int], Signal]

SHARES: dict[Source, float] = {"built-in": 0.2, "recorded": 0.4, "soundfont": 0.4}
"""How often a part is played by what, among the sources that there are."""
OWN_FONT = 0.3
"""How often a part has a soundfont other than most of the song."""
AMPLIFIED = 0.7
"""How often a distorted guitar is a clean one through an amplifier, rather than one recorded so."""
DOUBLE_TRACKED = 0.6
AMPLIFIED_BASS = 0.5
WIDENED = 0.35
HEAVY = 30
CHOIRS = {52, 53, 54, 85, 91}
"""Programs that sound like voices: in the accompaniment they would be mistaken for vocals."""
STRINGS = 50
STRING_BASSES = range(33, 38)
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
            hits: The drum hits.
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
            The dry part [2, N], at an RMS of its level where it sounds.
        """
        if part.program in CHOIRS:
            part = replace(part, program=STRINGS)
        # Recordings end by themselves, and a pad must not.
        bank = self.samples if part.program not in HELD else None
        source = self._source(recorded=bool(bank and bank.instruments.get(stem)))
        amplified = part.program in DISTORTED and (source != "soundfont" or self.rng.random() < AMPLIFIED)
        player = self._player(source, CLEAN_GUITAR if amplified else part.program, stem)
        if amplified:
            sound = self._guitars(part, player, samples)
        else:
            sound = player(part, samples)
            if part.program in STRING_BASSES and self.rng.random() < AMPLIFIED_BASS:
                sound = self._growl(sound)
            elif stem == "other" and self.rng.random() < WIDENED:
                sound = widen(sound, float(self.rng.uniform(0.2, 0.8)), self.sample_rate, self.rng)
        level = active_rms(sound, self.sample_rate)
        return sound * np.float32(part.level / level) if level > QUIET else sound

    def _player(self, source: Source, program: int, stem: str) -> Player:
        if source == "soundfont":
            font = soundfont(self._draw_font(), self.sample_rate)
            return lambda part, samples: font.play(replace(part, program=program), samples)
        recorded = None
        if source == "recorded" and self.samples:
            recorded = self.samples.instrument(stem, self.sample_rate, self.rng)
        instrument = recorded or built_in(program, self.sample_rate, self.rng)
        return lambda part, samples: play(part.notes, instrument, samples, self.sample_rate)

    def _guitars(self, part: Part, player: Player, samples: int) -> Signal:
        """A guitar through an amplifier; one in the middle may be played twice, once for each side."""
        kind: AmplifierKind = "heavy" if part.program == HEAVY else "light"
        pan = float(np.median([note.pan for note in part.notes])) if part.notes else 0.0
        doubled = abs(pan) < 0.4 and self.rng.random() < DOUBLE_TRACKED
        width = self.rng.uniform(0.5, 1.0)
        sound = np.zeros((2, samples), dtype=np.float32)
        for side in (-width, width) if doubled else (pan,):
            take = replace(part, notes=tuple(self._again(part.notes))) if doubled else part
            strings = player(take, samples).mean(axis=0)
            heard = amplify(strings, draw_amplifier(kind, self.rng), self.sample_rate)
            angle = (1 + side) * np.pi / 4
            sound += np.array([[np.cos(angle)], [np.sin(angle)]], dtype=np.float32) * heard
        return sound

    def _again(self, notes: Sequence[Note]) -> Iterator[Note]:
        for note in notes:
            late, loud = self.rng.normal(0, 0.006), self.rng.uniform(0.9, 1.1)
            yield replace(note, start=max(note.start + late, 0.0), velocity=min(note.velocity * loud, 1.0))

    def _growl(self, sound: Signal) -> Signal:
        """The direct sound of a bass, and what its amplifier makes of it."""
        line = sound.mean(axis=0)
        heard = amplify(line, draw_amplifier("bass", self.rng), self.sample_rate)
        share = np.float32(10 ** (self.rng.uniform(-20, -8) / 20) * active_rms(line[None], self.sample_rate))
        return np.asarray(sound + share * heard, dtype=np.float32)

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
