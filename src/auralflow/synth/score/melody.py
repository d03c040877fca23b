"""What the voice sings: phrases of syllables over the chords."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from auralflow.synth.score.composition import Score

__all__ = ["Syllable", "draw_text", "sung_melody"]

# Two bars of a phrase as (beat, length); every phrase leaves time to breathe.
RHYTHMS = (
    ((0, 1), (1, 1), (2, 0.5), (2.5, 1.5), (4, 1), (5, 0.5), (5.5, 1.5)),
    ((0.5, 0.5), (1, 0.5), (1.5, 0.5), (2, 1.5), (4.5, 0.5), (5, 0.5), (5.5, 2)),
    ((0, 2), (2, 2), (4, 3)),
    ((1, 0.5), (1.5, 0.5), (2, 0.5), (2.5, 0.5), (3, 1), (4, 0.5), (4.5, 0.5), (5, 2)),
    ((0, 0.5), (0.5, 0.5), (1, 0.5), (1.5, 0.5), (2, 0.5), (2.5, 0.5), (3, 1), (4, 2.5)),
    ((0, 1.5), (1.5, 0.5), (2, 1.5), (3.5, 0.5), (4, 2.5)),
    ((2, 0.5), (2.5, 0.5), (3, 0.5), (3.5, 0.5), (4, 3)),
    ((0, 3), (3, 0.5), (3.5, 0.5), (4, 3.5)),
)
SUNG_VOWELS = ("a", "e", "i", "o", "u", "ae", "er")
SUNG_CONSONANTS = ("", "", "m", "m", "s", "sh", "f", "h", "t", "k", "p", "d", "b")


@dataclass(frozen=True, slots=True)
class Syllable:
    """One sung note with its text.

    Args:
        start: Seconds at which the vowel begins.
        length: Seconds.
        pitch: MIDI note number.
        velocity: Loudness from 0 to 1.
        consonant: Consonant before the vowel, or empty.
        vowel: Vowel at the beginning.
        target: Vowel at the end; another one makes a diphthong.
        first: Whether a phrase begins here.
    """

    start: float
    length: float
    pitch: int
    velocity: float
    consonant: str
    vowel: str
    target: str
    first: bool = False


def sung_melody(score: Score, floor: int, rng: np.random.Generator) -> list[Syllable]:
    """Write the melody and the syllables of the voice.

    Args:
        score: The plan of the song.
        floor: Lowest MIDI pitch of the singer.
        rng: Source of the randomness.

    Returns:
        The syllables in order of time.

    Example:
        >>> from auralflow.synth.score.composition import compose
        >>> rng = np.random.default_rng(0)
        >>> line = sung_melody(compose(60.0, rng), 48, rng)
        >>> min(syllable.pitch for syllable in line) >= 48
        True
    """
    # A verse and a chorus keep their rhythm and contour; only text, chords and details change.
    motifs = {name: _draw_motif(rng) for name in ("verse", "chorus", "break")}
    motifs["intro"] = motifs["verse"]
    # Motifs count from the lowest note of the singer, not from the tonic, which may lie high in the range.
    lowest = -((score.tonic - floor) % 12 * 7 // 12)
    syllables: list[Syllable] = []
    for section in score.played("vocals"):
        lift = 2 if section.name == "chorus" else 0
        for bar in range(0, section.bars, 2):
            if bar > 0 and rng.random() < 0.1:
                continue
            room = min(2, section.bars - bar) * score.beats_per_bar
            chords = (section.chord(bar), section.chord(bar + 1))
            first_beat = (section.first_bar + bar) * score.beats_per_bar
            for index, (beat, length, step) in enumerate(motifs[section.name]):
                if beat + 0.5 > room:
                    break
                degree = _fit(step + lift + lowest, chords[beat >= score.beats_per_bar], strong=beat % 2 == 0)
                degree = max(degree, lowest)
                # Phrases of shorter bars are cut, and still leave time to breathe.
                end = min(beat + length, room if score.beats_per_bar == 4 else room - 0.4)
                syllables.append(
                    _syllable(score, (first_beat + beat, end - beat), degree, floor, rng, first=index == 0)
                )
    return syllables


def _draw_motif(rng: np.random.Generator) -> list[tuple[float, float, int]]:
    rhythm = RHYTHMS[rng.integers(len(RHYTHMS))]
    return list(_contour(rhythm, rng))


def _contour(
    rhythm: tuple[tuple[float, float], ...], rng: np.random.Generator
) -> Iterator[tuple[float, float, int]]:
    step = int(rng.integers(1, 6))
    for beat, length in rhythm:
        yield beat, length, step
        step = int(
            np.clip(
                step + rng.choice((-3, -2, -1, 0, 1, 2, 3), p=(0.05, 0.15, 0.25, 0.1, 0.25, 0.15, 0.05)), 0, 7
            )
        )


def _fit(step: int, chord: int, *, strong: bool) -> int:
    """Move a step to the nearest chord tone where the beat is strong."""
    if not strong:
        return step
    tones = {(chord + interval) % 7 for interval in (0, 2, 4)}
    return min(
        range(step - 1, step + 2), key=lambda degree: (degree % 7 not in tones, abs(degree - step), degree)
    )


def _syllable(
    score: Score,
    beats: tuple[float, float],
    degree: int,
    floor: int,
    rng: np.random.Generator,
    *,
    first: bool,
) -> Syllable:
    beat, length = beats
    syllable = Syllable(
        start=max(score.seconds(beat) + rng.normal(0.01, 0.012), 0.0),
        length=length * 60 / score.tempo * rng.uniform(0.85, 0.98),
        pitch=score.pitch(degree, floor),
        velocity=rng.uniform(0.7, 1.0),
        consonant="",
        vowel="a",
        target="a",
        first=first,
    )
    return draw_text(syllable, rng)


def draw_text(syllable: Syllable, rng: np.random.Generator) -> Syllable:
    """Give a note a text.

    Args:
        syllable: The note.
        rng: Source of the randomness.

    Returns:
        The note with a consonant and a vowel or diphthong.

    Example:
        >>> silent = Syllable(0.0, 1.0, 60, 1.0, "", "", "")
        >>> draw_text(silent, np.random.default_rng(0)).vowel in SUNG_VOWELS
        True
    """
    vowel = str(rng.choice(SUNG_VOWELS))
    consonant = str(rng.choice(SUNG_CONSONANTS))
    target = str(rng.choice(SUNG_VOWELS)) if rng.random() < 0.25 else vowel
    return replace(syllable, consonant=consonant, vowel=vowel, target=target)
