"""Drums: grooves of several styles, and a kit that is synthesised for every song."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from auralflow.effects.signals import Signal, add_at
from auralflow.synth.players.samples import load
from auralflow.synth.score.composition import Metre, Score, Section
from auralflow.synth.score.parts import Hit
from auralflow.synth.signals import Frequencies, exponential_decay, shaped_noise

__all__ = ["KEYS", "drum_hits", "render_drums"]

TAKES = 3

# One bar in sixteenths: x is a hit, - a ghost note, o an open hat. Order: kick, snare, hat.
GROOVES = (
    ("x.....x.x.......", "....x.......x...", "x.x.x.x.x.x.x.x."),
    ("x.......x.x.....", "....x.......x...", "x.x.x.x.x.x.x.o."),
    ("x...x...x...x...", "....x.......x...", "..o...o...o...o."),
    ("x...x...x...x...", "....x.......x...", "xxxxxxxxxxxxxxxx"),
    ("x..x......x.....", "....x.......x..-", "x.x.x.x.x.xxx.x."),
    ("x.x...x...x..x..", "....x..-.-..x..-", "xxxxxxxxxxxxxxxx"),
    ("x.......-.x.....", "........x.......", "x...x...x...x..."),
    ("x.x...x.x.x...x.", "....x.......x...", "x.x.x.x.x.x.x.x."),
    ("x.x.......xx....", "....x..-.-..x..-", "x.x.x.x.x.x.x.x."),
    ("x......x..x.....", "........x.......", "x.xxx.x.x.x.xxx."),
    ("x...............", "........x.......", "x.x.x.x.x.x.x.x."),
    ("x.....x...x.....", "..x..x....x..x..", "x..xx..xx..xx..x"),
)
THREES: dict[Metre, tuple[tuple[str, str, str], ...]] = {
    "3/4": (
        ("x...........", "....x...x...", "x.x.x.x.x.x."),
        ("x.....x.....", "....x...x...", "x...x...x..."),
        ("x.........x.", "........x...", "x.x.x.x.x.x."),
    ),
    "6/8": (
        ("x...........", "......x.....", "x.x.x.x.x.x."),
        ("x...x.....x.", "......x.....", "x.x.x.x.x.x."),
        ("x.....-.x...", "......x....-", "x...x.x...x."),
        ("x.........x.", "......x.....", "x.xxx.x.xxx."),
    ),
}
FILLS = ("snare", "tom_high", "tom_high", "tom_mid", "tom_mid", "tom_low", "tom_low", "tom_low")
PANS = {
    "hat": 0.3,
    "open_hat": 0.3,
    "ride": -0.4,
    "crash": -0.3,
    "tom_high": 0.25,
    "tom_low": -0.35,
    "shaker": -0.3,
}
LEVELS = {"kick": 0.85, "snare": 1.1, "clap": 0.6, "hat": 0.26, "open_hat": 0.26, "ride": 0.22, "crash": 0.4}
OTHER_LEVELS = {"tom_high": 0.7, "tom_mid": 0.75, "tom_low": 0.8, "shaker": 0.12, "rim": 0.4}
# fmt: off
KEYS = {
    "kick": 36, "snare": 38, "clap": 39, "hat": 42, "open_hat": 46, "ride": 51, "crash": 49, "tom_high": 50,
    "tom_mid": 47, "tom_low": 43, "shaker": 70, "rim": 37,
}
# fmt: on
"""General MIDI's number of each piece."""


def drum_hits(score: Score, rng: np.random.Generator) -> list[Hit]:
    """Play the drum part of a song.

    Args:
        score: The plan of the song.
        rng: Source of the randomness.

    Returns:
        The drum hits, humanised, in no particular order.

    Example:
        >>> from auralflow.synth.score.composition import compose
        >>> rng = np.random.default_rng(0)
        >>> {"kick", "snare"} <= {hit.piece for hit in drum_hits(compose(60.0, rng), rng)}
        True
    """
    known = GROOVES if score.metre == "4/4" else THREES[score.metre]
    grooves = {name: known[rng.integers(len(known))] for name in ("verse", "break")}
    grooves["intro"] = grooves["verse"]
    grooves["chorus"] = grooves["verse"] if rng.random() < 0.6 else known[rng.integers(len(known))]
    backbeat = ("snare", "snare", "clap")[rng.integers(3)]
    cymbal = ("hat", "ride", "open_hat")[rng.integers(3)]
    shaker = rng.random() < 0.3
    tightness = rng.uniform(0.001, 0.008)
    hits = []
    for section in score.played("drums"):
        kick, snare, hat = grooves[section.name]
        pieces = {"kick": kick, backbeat: snare, cymbal if section.name == "chorus" else "hat": hat}
        if shaker and section.name == "chorus":
            pieces["shaker"] = "x" * len(hat)
        for beat, piece, velocity in _section_hits(section, pieces, score.beats_per_bar, rng):
            late = rng.normal(0, tightness)
            hits.append(Hit(max(score.seconds(beat) + late, 0.0), piece, velocity))
    return hits


def _section_hits(
    section: Section, pieces: dict[str, str], beats_per_bar: int, rng: np.random.Generator
) -> Iterator[tuple[float, str, float]]:
    fill = int(rng.choice((0, 4, 8), p=(0.3, 0.45, 0.25))) if section.bars > 1 else 0
    if section.name != "intro" and rng.random() < 0.8:
        yield section.first_bar * beats_per_bar, "crash", 0.9
    steps = 4 * beats_per_bar
    for bar in range(section.bars):
        start = (section.first_bar + bar) * beats_per_bar
        last = steps - fill if bar == section.bars - 1 else steps
        for piece, pattern in pieces.items():
            for step, mark in enumerate(pattern[:last]):
                if mark == "." and (piece != "kick" or step % 2 or rng.random() > 0.04):
                    continue
                accent = 0.95 if step % 4 == 0 or piece in {"kick", "snare", "clap"} else 0.65
                velocity = (0.25 if mark == "-" else accent) * rng.uniform(0.8, 1.05)
                yield start + step / 4, "open_hat" if mark == "o" else piece, velocity
        for step in range(last, steps):
            if rng.random() < 0.85:
                piece = FILLS[int((step - last) / max(fill, 1) * len(FILLS))]
                yield start + step / 4, piece, rng.uniform(0.6, 1.0)


def render_drums(
    hits: Sequence[Hit],
    samples: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    recorded: Mapping[str, Sequence[Path]] | None = None,
) -> Signal:
    """Build a kit and play the hits on it.

    Args:
        hits: The drum hits.
        samples: Length N of the song.
        sample_rate: Samples per second.
        rng: Source of the randomness; every generator state gives another kit.
        recorded: Recordings by piece, to be played in the place of synthesised sounds.

    Returns:
        The dry drums [2, N].

    Example:
        >>> render_drums([Hit(0.0, "kick", 1.0)], 4000, 8000, np.random.default_rng(0)).shape
        (2, 4000)
    """
    kit = _Kit(sample_rate, rng)
    takes: dict[str, list[Signal]] = {}
    levels = {piece: level * rng.uniform(0.75, 1.3) for piece, level in (LEVELS | OTHER_LEVELS).items()}
    side = rng.choice((-1.0, 1.0))  # seen from the drummer or from the audience
    drums = np.zeros((2, samples), dtype=np.float32)
    for hit in hits:
        if hit.piece not in takes:
            files = (recorded or {}).get(hit.piece, ())
            takes[hit.piece] = [
                load(files[int(rng.integers(len(files)))], sample_rate) if files else kit.play(hit.piece)
                for _ in range(TAKES)
            ]
        angle = (1 + side * PANS.get(hit.piece, 0.0)) * np.pi / 4
        place = np.array([[np.cos(angle)], [np.sin(angle)]], dtype=np.float32)
        gain = np.float32(levels[hit.piece] * hit.velocity**1.5)
        add_at(drums, round(hit.start * sample_rate), place * gain * takes[hit.piece][rng.integers(TAKES)])
    return drums


class _Kit:
    """The sounds of one kit; its tuning and decays are drawn once."""

    def __init__(self, sample_rate: int, rng: np.random.Generator) -> None:
        self.sample_rate = sample_rate
        self.rng = rng
        self.kick_pitch = rng.uniform(42, 62)
        self.kick_sweep = rng.uniform(2.0, 7.0)
        self.kick_decay = rng.uniform(0.06, 0.2)
        self.kick_click = rng.uniform(0.1, 0.6)
        self.snare_pitch = rng.uniform(170, 330)
        self.snare_decay = rng.uniform(0.04, 0.14)
        self.snare_tone = rng.uniform(0.3, 1.0)
        self.snare_corner = rng.uniform(1000, 4500)
        self.tom_pitch = rng.uniform(75, 110)
        self.hat_decay = rng.uniform(0.015, 0.05)
        self.cymbal_corner = rng.uniform(3500, 7500)
        self.cymbal_partials = rng.uniform(2200, 11000, 24)
        self.rim_pitch = rng.uniform(400, 1100)

    def play(self, piece: str) -> Signal:
        """One take of a piece, [N], with a peak of one."""
        if piece == "kick":
            sound = self._drum(self.kick_pitch, self.kick_sweep, self.kick_decay, self.kick_click, 2500)
        elif piece == "snare":
            body = self._drum(self.snare_pitch, 0.6, 0.06, 0.2, 6000)
            sound = self._noise(self.snare_decay, 180, self.snare_corner)
            add_at(sound, 0, body[: len(sound)] * np.float32(self.snare_tone))
        elif piece == "clap":
            sound = self._noise(self.snare_decay, 700, 5000)
            for late in (0.011, 0.021):
                add_at(sound, int(late * self.sample_rate), self._noise(0.006, 700, 5000))
        elif piece.startswith("tom"):
            ratio = {"tom_high": 1.9, "tom_mid": 1.4, "tom_low": 1.0}[piece]
            sound = self._drum(self.tom_pitch * ratio, 0.5, 0.16, 0.15, 3000)
        elif piece == "rim":
            sound = self._drum(self.rim_pitch, 0.1, 0.012, 0.5, 5000)
        elif piece == "shaker":
            sound = self._noise(0.03, 5000, 12000)
            sound *= np.minimum(np.arange(len(sound)) / (0.012 * self.sample_rate), 1).astype(np.float32)
        else:
            decay = {"hat": self.hat_decay, "open_hat": 0.18, "ride": 0.35, "crash": 0.6}[piece]
            sound = self._cymbal(decay)
        return sound / np.float32(np.max(np.abs(sound)) + 1e-9)

    def _drum(self, pitch: float, sweep: float, decay: float, click: float, corner: float) -> Signal:
        """A membrane: a sine that falls in pitch, and the noise of the stick."""
        samples = int(6 * decay * self.sample_rate)
        seconds = np.arange(samples) / self.sample_rate
        pitch *= self.rng.uniform(0.98, 1.02)
        phase = pitch * (seconds - sweep * 0.025 * np.expm1(-seconds / 0.025))
        sound: NDArray[np.float64] = np.sin(2 * np.pi * phase) * np.exp(-seconds / decay)
        # A struck membrane also rings in its next mode, 1.59 times the first.
        sound += 0.25 * np.sin(2 * np.pi * 1.59 * phase) * np.exp(-2.5 * seconds / decay)
        drum = sound.astype(np.float32)
        add_at(drum, 0, np.float32(click * 0.5) * self._noise(0.01, 200, corner))
        return drum

    def _noise(self, decay: float, low: float, high: float) -> Signal:
        """A burst of noise between two soft corners in Hz."""
        samples = max(int(7 * decay * self.sample_rate), 32)

        def gain(frequency: Frequencies) -> Frequencies:
            return 1 / np.sqrt((1 + (low / (frequency + 1)) ** 4) * (1 + (frequency / high) ** 4))

        return shaped_noise(samples, self.sample_rate, self.rng, gain) * exponential_decay(
            samples, decay, self.sample_rate
        )

    def _cymbal(self, decay: float) -> Signal:
        """Noise and inharmonic partials above a corner."""
        high = min(13000.0, 0.45 * self.sample_rate)
        sound = self._noise(decay, min(self.cymbal_corner, 0.3 * self.sample_rate), high)
        seconds = (np.arange(len(sound)) / self.sample_rate).astype(np.float32)[:, None]
        partials = self.cymbal_partials[self.cymbal_partials < high].astype(np.float32)
        if len(partials):
            rings = np.sin(
                np.float32(2 * np.pi) * seconds * partials + np.arange(len(partials), dtype=np.float32)
            )
            envelope = exponential_decay(len(sound), decay * 0.8, self.sample_rate)
            sound += np.float32(0.25) * rings.sum(1) / np.float32(len(partials) ** 0.5) * envelope
        return sound
