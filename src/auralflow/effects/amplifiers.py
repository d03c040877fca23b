"""Guitar amplifiers: preamplifier, valve and loudspeaker."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.signal import butter, resample_poly

from auralflow.effects.dynamics import active_rms
from auralflow.effects.equalizers import filtered, peak
from auralflow.effects.signals import Signal

__all__ = ["Amplifier", "AmplifierKind", "amplify", "draw_amplifier"]

AmplifierKind = Literal["heavy", "light", "bass"]

# Gain in dB, low cut in hertz, gain of the mids in dB, cut-off of the loudspeaker in hertz. Common knowledge:
# a 12-inch loudspeaker of a guitar ends between 4 and 6.5 kHz, those of basses lower; metal is scooped.
RANGES: dict[AmplifierKind, tuple[tuple[float, float], ...]] = {
    "heavy": ((22, 38), (90, 180), (-7, 0), (4000, 6500)),
    "light": ((4, 16), (60, 110), (-2, 3), (4000, 6500)),
    "bass": ((6, 24), (40, 60), (-4, 4), (2000, 4500)),
}
QUIET = 1e-6


@dataclass(frozen=True, slots=True)
class Amplifier:
    """The settings of an amplifier.

    Args:
        gain: Drive in dB above a level at which the valve begins to clip.
        tight: Corner frequency in hertz of the high-pass before the valve.
        bias: Asymmetry of the valve, which creates even harmonics.
        scoop: Gain in dB at 500 Hz.
        presence: Gain in dB at 2.5 kHz, where guitar loudspeakers are loudest.
        cone: Cut-off frequency in hertz of the loudspeaker.
    """

    gain: float
    tight: float
    bias: float
    scoop: float
    presence: float
    cone: float


def draw_amplifier(kind: AmplifierKind, rng: np.random.Generator) -> Amplifier:
    """Draw an amplifier.

    Args:
        kind: ``heavy`` distorts as in metal, ``light`` breaks up, ``bass`` growls.
        rng: Random number generator.

    Returns:
        The amplifier.

    Example:
        >>> draw_amplifier("heavy", np.random.default_rng(0)).gain > 20
        True
    """
    gain, tight, scoop, cone = RANGES[kind]
    return Amplifier(
        gain=rng.uniform(*gain),
        tight=rng.uniform(*tight),
        bias=rng.uniform(0.05, 0.3),
        scoop=rng.uniform(*scoop),
        presence=rng.uniform(2, 7),
        cone=rng.uniform(*cone),
    )


def amplify(sound: Signal, amplifier: Amplifier, sample_rate: int) -> Signal:
    """Play a guitar through an amplifier; all strings are clipped together.

    Args:
        sound: The strings [N].
        amplifier: The settings.
        sample_rate: Sample rate in hertz.

    Returns:
        Signal of a microphone in front of the loudspeaker [N], with an active RMS of one.

    Example:
        >>> tone = np.sin(np.arange(8000) * 0.1).astype(np.float32)
        >>> amplify(tone, draw_amplifier("heavy", np.random.default_rng(0)), 8000).shape
        (8000,)
    """
    nyquist = 0.45 * sample_rate
    tight = filtered(
        butter(2, min(amplifier.tight, 0.3 * nyquist), "highpass", fs=sample_rate, output="sos"), sound
    )
    loud = active_rms(tight[None], sample_rate)
    if loud < QUIET:
        return np.zeros_like(sound)
    driven = tight * np.float32(10 ** (amplifier.gain / 20) * 0.3 / loud)
    # Oversample by 2, so that most of the valve's harmonics do not alias.
    bias = np.float32(amplifier.bias)
    valve = np.tanh(resample_poly(driven, 2, 1) + bias) - np.tanh(bias)
    clipped = np.asarray(resample_poly(valve, 1, 2), dtype=np.float32)[: len(sound)]
    cabinet = [
        butter(2, 0.8 * amplifier.tight, "highpass", fs=sample_rate, output="sos"),
        peak(min(500.0, 0.5 * nyquist), amplifier.scoop, 0.7, sample_rate),
        peak(min(2500.0, 0.8 * nyquist), amplifier.presence, 1.0, sample_rate),
        butter(4, min(amplifier.cone, nyquist), fs=sample_rate, output="sos"),
    ]
    heard = filtered(np.concatenate(cabinet), clipped)
    return heard / np.float32(active_rms(heard[None], sample_rate) + QUIET)
