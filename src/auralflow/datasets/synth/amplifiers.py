"""Guitar amplifiers: preamplifier, valve and loudspeaker."""

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from auralflow.datasets.synth.equalizers import peak
from auralflow.datasets.synth.signals import Signal

__all__ = ["Amplifier", "amplify", "draw_amplifier"]

QUIET = 1e-6


@dataclass(frozen=True, slots=True)
class Amplifier:
    """The settings of an amplifier.

    Args:
        gain: Drive in dB above a level at which the valve begins to clip.
        tight: Corner in hertz below which the strings do not reach the valve.
        bias: Asymmetry of the valve; gives even harmonics.
        scoop: Gain in dB of the middle, 500 Hz.
        presence: Gain in dB at 2.5 kHz, where loudspeakers of guitars are loudest.
        cone: Frequency in hertz above which the loudspeaker gives up.
    """

    gain: float
    tight: float
    bias: float
    scoop: float
    presence: float
    cone: float


def draw_amplifier(rng: np.random.Generator, *, heavy: bool) -> Amplifier:
    """Draw an amplifier.

    Args:
        rng: Source of the randomness.
        heavy: Whether it is to distort like those of metal, rather than only break up.

    Returns:
        The amplifier.

    Source:
        Loudspeaker and drive ranges follow published measurements of guitar amplifiers and 12-inch cabinets
        (D. T. Yeh, "Digital Implementation of Musical Distortion Circuits by Analysis and Simulation", 2009).

    Example:
        >>> draw_amplifier(np.random.default_rng(0), heavy=True).gain > 20
        True
    """
    return Amplifier(
        gain=rng.uniform(22, 38) if heavy else rng.uniform(4, 16),
        tight=rng.uniform(90, 180) if heavy else rng.uniform(60, 110),
        bias=rng.uniform(0.05, 0.3),
        scoop=rng.uniform(-7, 0) if heavy else rng.uniform(-2, 3),
        presence=rng.uniform(2, 7),
        cone=rng.uniform(4000, 6500),
    )


def amplify(sound: Signal, amplifier: Amplifier, sample_rate: int) -> Signal:
    """Play a guitar through an amplifier; all strings clip together.

    Args:
        sound: The strings [N].
        amplifier: The settings.
        sample_rate: In hertz.

    Returns:
        What a microphone before the loudspeaker hears [N], at an RMS of one where it sounds.

    Example:
        >>> tone = np.sin(np.arange(8000) * 0.1).astype(np.float32)
        >>> amplify(tone, draw_amplifier(np.random.default_rng(0), heavy=True), 8000).shape
        (8000,)
    """
    nyquist = 0.45 * sample_rate
    tight = sosfilt(
        butter(2, min(amplifier.tight, 0.3 * nyquist), "highpass", fs=sample_rate, output="sos"), sound
    )
    loud = np.sqrt(np.mean(tight**2))
    if loud < QUIET:
        return np.zeros_like(sound)
    driven = tight * (10 ** (amplifier.gain / 20) * 0.3 / loud)
    # Twice the rate, so that most of what the valve adds above the audible does not fold back.
    doubled = np.repeat(driven, 2)
    half = butter(6, 0.45, output="sos")
    valve = np.tanh(sosfilt(half, doubled) * 1.0 + amplifier.bias) - np.tanh(amplifier.bias)
    clipped = sosfilt(half, valve)[::2]
    cabinet = [
        butter(2, 75, "highpass", fs=sample_rate, output="sos"),
        peak(min(500.0, 0.5 * nyquist), amplifier.scoop, 0.7, sample_rate),
        peak(min(2500.0, 0.8 * nyquist), amplifier.presence, 1.0, sample_rate),
        butter(4, min(amplifier.cone, nyquist), fs=sample_rate, output="sos"),
    ]
    heard = sosfilt(np.concatenate(cabinet), clipped)
    level = np.sqrt(np.mean(heard**2)) + QUIET
    return np.asarray(heard / level, dtype=np.float32)
