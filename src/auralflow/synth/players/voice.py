"""A singing voice: glottal source, breath and consonants through moving formants."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auralflow.effects.signals import Signal, add_at
from auralflow.synth.score.melody import Syllable
from auralflow.synth.signals import (
    MAX_HARMONICS,
    Frequencies,
    cycle_table,
    read_cycle,
    shaped_noise,
    smooth_noise,
)

__all__ = ["Timbre", "draw_timbre", "intonation", "sing"]

RESONANCE_STEPS = 128  # an octave
CONTROL_RATE = 100  # frames per second of pitch, loudness and formants

# First five formants in Hz of a man's vowels (after Peterson and Barney, 1952; the upper two are typical).
VOWELS = {
    "a": (730, 1090, 2440, 3400, 4500),
    "e": (530, 1840, 2480, 3500, 4500),
    "i": (300, 2250, 3000, 3600, 4600),
    "o": (500, 880, 2410, 3300, 4400),
    "u": (320, 870, 2240, 3200, 4400),
    "ae": (660, 1720, 2410, 3400, 4500),
    "er": (490, 1350, 1690, 3300, 4400),
    "nasal": (260, 1100, 2200, 3300, 4400),
}
BANDWIDTHS = (80, 100, 140, 200, 280)
FORMANT_GAINS = (22.0, 21.0, 20.0, 16.0, 14.0)  # dB


@dataclass(frozen=True, slots=True)
class _Consonant:
    """Noise of a consonant: band in Hz, seconds of noise, level, seconds of closed mouth before the vowel."""

    low: float
    high: float
    length: float
    level: float
    closure: float


CONSONANTS = {
    "s": _Consonant(5000, 10000, 0.11, 0.30, 0.08),
    "sh": _Consonant(2200, 6000, 0.11, 0.30, 0.08),
    "f": _Consonant(1500, 9000, 0.08, 0.12, 0.06),
    "h": _Consonant(500, 4000, 0.08, 0.15, 0.04),
    "t": _Consonant(3000, 8000, 0.025, 0.40, 0.06),
    "k": _Consonant(1400, 3500, 0.025, 0.40, 0.06),
    "p": _Consonant(300, 1500, 0.015, 0.40, 0.06),
    "d": _Consonant(2500, 6000, 0.012, 0.25, 0.04),
    "b": _Consonant(200, 1000, 0.012, 0.25, 0.04),
}


@dataclass(frozen=True, slots=True)
class Timbre:
    """A singer.

    Args:
        formant_scale: Factor on all formants: 1 for a man, about 1.17 for a woman.
        tilt: Exponent with which the harmonics of the glottis fall.
        breath: Level of the breath noise against the voice.
        vibrato: Depth in semitones.
        vibrato_rate: In Hz.
        glide: Seconds from one pitch to the next.
    """

    formant_scale: float
    tilt: float
    breath: float
    vibrato: float
    vibrato_rate: float
    glide: float


def draw_timbre(rng: np.random.Generator, *, high: bool) -> Timbre:
    """Draw a singer.

    Args:
        rng: Source of the randomness.
        high: True for a woman's or child's vocal tract, False for a man's.

    Returns:
        The singer.

    Example:
        >>> draw_timbre(np.random.default_rng(0), high=True).formant_scale > 1.05
        True
    """
    return Timbre(
        formant_scale=rng.uniform(1.08, 1.32) if high else rng.uniform(0.88, 1.06),
        tilt=rng.uniform(0.8, 1.5),
        breath=rng.uniform(0.02, 0.15),
        vibrato=rng.uniform(0.05, 0.5),
        vibrato_rate=rng.uniform(4.5, 6.5),
        glide=rng.uniform(0.04, 0.14),
    )


def sing(
    syllables: list[Syllable], timbre: Timbre, samples: int, sample_rate: int, rng: np.random.Generator
) -> Signal:
    """Sing a melody.

    Args:
        syllables: The melody with its text, in order of time.
        timbre: The singer.
        samples: Length N of the song.
        sample_rate: Samples per second.
        rng: Source of the randomness.

    Returns:
        The dry voice [N].

    Example:
        >>> line = [Syllable(0.1, 0.5, 60, 0.9, "s", "a", "a", first=True)]
        >>> rng = np.random.default_rng(0)
        >>> sing(line, draw_timbre(rng, high=False), 8000, 8000, rng).shape
        (8000,)
    """
    if not syllables:
        return np.zeros(samples, dtype=np.float32)
    frames = samples * CONTROL_RATE // sample_rate + 8  # the smoothing windows must fit
    level, formants = _articulation(syllables, timbre, frames)
    frequency = intonation(syllables, timbre, frames, rng)
    seconds = np.arange(samples) / sample_rate
    cycles = np.cumsum(np.interp(seconds * CONTROL_RATE, np.arange(frames), frequency)) / sample_rate
    harmonics = np.arange(1, MAX_HARMONICS + 1) ** -timbre.tilt
    source = read_cycle(cycle_table(harmonics, float(frequency.max()), sample_rate), cycles)
    # Breath flows while the glottis is open, so its noise pulses with the voice.
    pulse = read_cycle(cycle_table(np.ones(1), 1.0, sample_rate), cycles)
    source += np.float32(timbre.breath) * (1 + pulse) * rng.standard_normal(samples, dtype=np.float32)
    source *= np.interp(seconds * CONTROL_RATE, np.arange(frames), level).astype(np.float32)
    voice = _through_formants(source, formants, level, sample_rate)
    sounding = voice[np.abs(voice) > 1e-4]  # rests would make the voice louder against its consonants
    if sounding.size:
        voice /= np.float32(np.sqrt(np.mean(sounding**2)))
    _add_consonants(voice, syllables, sample_rate, rng)
    return voice


def intonation(
    syllables: list[Syllable], timbre: Timbre, frames: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Fundamental in Hz for each frame: glides, vibrato that sets in late, drift and jitter."""
    pitch = np.full(frames, float(syllables[0].pitch))
    depth = np.zeros(frames)
    time = np.arange(frames) / CONTROL_RATE
    for syllable in syllables:
        since = time - syllable.start
        pitch[since >= -timbre.glide / 2] = syllable.pitch
        inside = (since >= 0) & (since < syllable.length)
        depth[inside] = np.clip((since[inside] - 0.2) / 0.4, 0, 1)
        # Singers reach for notes from below, and let the ends of some fall.
        scoop = rng.uniform(0, 2.5) if syllable.first or rng.random() < 0.25 else 0.0
        pitch -= scoop * np.clip(1 - since / 0.12, 0, 1) * inside
        fall = rng.uniform(0, 4) if rng.random() < 0.2 else 0.0
        pitch -= fall * np.clip((since - syllable.length) / 0.15 + 1, 0, 1) * inside
    width = max(int(timbre.glide * CONTROL_RATE), 1) + 2
    window = np.hanning(width + 2)[1:-1]
    smooth = np.convolve(np.pad(pitch, (width, width), mode="edge"), window / window.sum(), mode="same")
    rate = timbre.vibrato_rate * (1 + 0.05 * smooth_noise(frames, 60, rng))
    vibrato = timbre.vibrato * depth * np.sin(2 * np.pi * np.cumsum(rate) / CONTROL_RATE)
    drift = 0.15 * smooth_noise(frames, 40, rng) + 0.03 * smooth_noise(frames, 4, rng)
    semitones = smooth[width : width + frames] + vibrato + drift
    return np.asarray(440.0 * 2 ** ((semitones - 69) / 12))


def _articulation(
    syllables: list[Syllable], timbre: Timbre, frames: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Loudness [T] and formants [T, 5] for each frame."""
    level = np.zeros(frames)
    formants = np.tile(np.array(VOWELS["a"], dtype=np.float64), (frames, 1))
    for syllable in syllables:
        first = max(int(syllable.start * CONTROL_RATE), 0)
        last = min(int((syllable.start + syllable.length) * CONTROL_RATE) + 1, frames)
        if first >= last:
            continue
        progress = np.linspace(0, 1, last - first)
        level[first:last] = syllable.velocity * (1 - 0.35 * progress)
        moved = np.clip((progress - 0.5) * 2, 0, 1)[:, None]  # the second half of a diphthong
        vowel, target = (np.array(VOWELS[name]) for name in (syllable.vowel, syllable.target))
        formants[first:] = target
        formants[first:last] = vowel + (target - vowel) * moved
        consonant = CONSONANTS.get(syllable.consonant)
        if consonant is not None:
            closed = max(first - int(consonant.closure * CONTROL_RATE), 0)
            level[closed : first + 1] = 0.0
        elif syllable.consonant == "m":
            hummed = slice(max(first - 7, 0), first + 1)
            level[hummed] = 0.35 * syllable.velocity
            formants[hummed] = VOWELS["nasal"]
    window = np.hanning(7)[1:-1] / np.hanning(7).sum()
    level = np.convolve(level, window, mode="same")
    for index in range(formants.shape[1]):
        padded = np.pad(formants[:, index], 4, mode="edge")
        formants[:, index] = np.convolve(padded, np.hanning(11)[1:-1] / np.hanning(11).sum(), mode="valid")
    return level, formants * timbre.formant_scale


def _through_formants(
    source: Signal, formants: NDArray[np.float64], level: NDArray[np.float64], sample_rate: int
) -> Signal:
    """Filter frame by frame: half-overlapping windows whose squares never need to be divided out."""
    hop = sample_rate // CONTROL_RATE
    count = len(source) // hop + 2
    window = np.hanning(2 * hop + 1)[:-1].astype(np.float32)
    padded = np.zeros((count + 1) * hop, dtype=np.float32)
    padded[hop : hop + len(source)] = source
    # Frame t is centred on sample t * hop; silent frames are not worth filtering.
    place = np.minimum(np.arange(count) * hop * CONTROL_RATE / sample_rate, len(level) - 1).astype(int)
    nearby = np.maximum.reduce([np.roll(level, shift) for shift in (-1, 0, 1)])
    active = np.flatnonzero(nearby[place] > 1e-4)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[active * hop] * window
    size = 1 << int(2 * hop + 0.02 * sample_rate).bit_length()
    # Held vowels share one response: resonances are quantised to half a percent, which is inaudible.
    steps = np.round(RESONANCE_STEPS * np.log2(formants[place[active]])).astype(np.int32)
    vowels, spoken = np.unique(steps, axis=0, return_inverse=True)
    response = _formant_response(2 ** (vowels / RESONANCE_STEPS), np.fft.rfftfreq(size, 1 / sample_rate))
    spectra = np.fft.rfft(pieces, size, axis=-1)
    spectra *= response[spoken]
    filtered = np.fft.irfft(spectra, size, axis=-1)
    result = np.zeros((count + 1) * hop + size, dtype=np.float32)
    for index, piece in zip(active, filtered, strict=True):
        result[index * hop : index * hop + size] += piece
    return result[hop : hop + len(source)]


def _formant_response(formants: NDArray[np.float64], frequencies: Frequencies) -> NDArray[np.complex64]:
    """Minimum-phase response [T, F]: one peak for each formant, and a high-pass below the voice."""
    frequency = (frequencies / 1000).astype(np.float32)  # kHz keep the squares well inside float32
    response = np.ones((len(formants), len(frequency)), dtype=np.complex64)
    for index, (bandwidth, gain) in enumerate(zip(BANDWIDTHS, FORMANT_GAINS, strict=True)):
        centre = (formants[:, index : index + 1] / 1000).astype(np.float32)
        distance = centre**2 - frequency**2
        width = np.float32(bandwidth / 1000) * frequency
        response *= (distance + 1j * np.float32(10 ** (gain / 20)) * width) / (distance + 1j * width + 1e-9)
    corner = 1 + (frequency / np.float32(4.0)) ** 2  # the glottis loses its highs faster above 4 kHz
    response *= frequency / (frequency + np.float32(0.08)) / corner
    return response


def _add_consonants(
    voice: Signal, syllables: list[Syllable], sample_rate: int, rng: np.random.Generator
) -> None:
    """Add the noises of consonants, and a breath before each phrase."""
    noises: dict[str, Signal] = {}
    for syllable in syllables:
        consonant = CONSONANTS.get(syllable.consonant)
        if consonant is not None:
            if syllable.consonant not in noises:
                noises[syllable.consonant] = _noise(consonant, sample_rate, rng)
            start = syllable.start - min(consonant.length, consonant.closure)
            gain = np.float32(1.6 * consonant.level * syllable.velocity * rng.uniform(0.6, 1.2))
            add_at(voice, round(start * sample_rate), gain * noises[syllable.consonant])
        if syllable.first:
            inhaled = _noise(_Consonant(600, 5000, rng.uniform(0.2, 0.4), 1.0, 0), sample_rate, rng)
            start = syllable.start - 0.1 - len(inhaled) / sample_rate
            add_at(voice, round(start * sample_rate), np.float32(rng.uniform(0.0, 0.06)) * inhaled)


def _noise(consonant: _Consonant, sample_rate: int, rng: np.random.Generator) -> Signal:
    low = min(consonant.low, 0.3 * sample_rate)

    def gain(frequency: Frequencies) -> Frequencies:
        rise = (low / (frequency + 1)) ** 6
        return 1 / np.sqrt((1 + rise) * (1 + (frequency / consonant.high) ** 4))

    samples = max(int(consonant.length * sample_rate), 16)
    # Bursts begin at once and fall, long noises swell.
    shape = np.linspace(1, 0, samples) if consonant.length < 0.05 else np.hanning(samples + 2)[1:-1] ** 0.5
    return shaped_noise(samples, sample_rate, rng, gain) * shape.astype(np.float32)
