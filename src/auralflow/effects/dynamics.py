"""Dynamics: compressors and saturation."""

from dataclasses import dataclass

import numpy as np

from auralflow.effects.signals import Signal

__all__ = ["Compressor", "active_rms", "compress", "gain_curve", "master", "saturate"]

BLOCK_SECONDS = 0.0015
QUIET = 1e-6


def active_rms(stem: Signal, sample_rate: int) -> float:
    """RMS over the frames of 0.1 s in which a stem is not silent.

    Args:
        stem: Audio [C, N].
        sample_rate: Sample rate in hertz.

    Returns:
        RMS over all frames within 40 dB of the loudest one; 0 for silence.

    Example:
        >>> half = np.zeros((1, 8000), dtype=np.float32)
        >>> half[:, :4000] = 0.5
        >>> round(active_rms(half, 8000), 3)
        0.5
    """
    frame = max(sample_rate // 10, 1)
    channels, samples = stem.shape
    whole = samples // frame * frame
    pieces = stem[:, :whole].reshape(channels, -1, frame)
    rest = stem[:, whole:]
    powers = [np.einsum("cfn,cfn->f", pieces, pieces), [np.sum(rest**2)] if whole < samples else []]
    frames = np.concatenate(powers) / (channels * frame)
    loudest = frames.max(initial=0.0)
    return float(np.sqrt(frames[frames >= loudest * 1e-4].mean())) if loudest > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Compressor:
    """The settings of a compressor.

    Args:
        threshold: Threshold in dB relative to the active RMS of the stem.
        ratio: Decibels of input per decibel of output above the threshold.
        attack: Attack time in seconds.
        release: Release time in seconds.
        knee: Width of the knee in dB.
    """

    threshold: float
    ratio: float
    attack: float
    release: float
    knee: float = 6.0


def compress(stem: Signal, compressor: Compressor, sample_rate: int) -> Signal:
    """Compress a stem, with the same gain for all channels.

    Args:
        stem: Audio [C, N].
        compressor: The settings.
        sample_rate: Sample rate in hertz.

    Returns:
        Audio [C, N], with the same active RMS.

    Source:
        D. Giannoulis, M. Massberg and J. D. Reiss, "Digital Dynamic Range Compressor Design", 2012:
        feed-forward, with a smooth decoupled detector on the gain in dB.

    Example:
        >>> loud = np.full((2, 8000), 0.5, dtype=np.float32)
        >>> quiet = loud / 10
        >>> both = compress(np.concatenate([loud, quiet], axis=1), Compressor(-20.0, 4.0, 0.01, 0.05), 8000)
        >>> bool(1.5 < both[0, 7999] / both[0, -1] < 3)  # 20 dB became 5
        True
    """
    level = active_rms(stem, sample_rate)
    if level < QUIET:
        return stem
    result = stem * gain_curve(stem, compressor, sample_rate)
    return np.asarray(
        result * np.float32(level / max(active_rms(result, sample_rate), QUIET)), dtype=np.float32
    )


def gain_curve(stem: Signal, compressor: Compressor, sample_rate: int) -> Signal:
    """Gain of a compressor for each sample.

    Args:
        stem: Audio [C, N].
        compressor: The settings.
        sample_rate: Sample rate in hertz.

    Returns:
        Gains [N], at most one.

    Example:
        >>> gain_curve(np.zeros((2, 4), dtype=np.float32), Compressor(-20.0, 4.0, 0.01, 0.05), 8000).tolist()
        [1.0, 1.0, 1.0, 1.0]
    """
    level = max(active_rms(stem, sample_rate), QUIET)
    block = max(round(BLOCK_SECONDS * sample_rate), 1)
    samples = stem.shape[-1]
    starts = np.arange(0, samples, block)
    peaks = np.maximum.reduceat(np.abs(stem).max(axis=0), starts)
    over = 20 * np.log10(peaks / level + 1e-6) - compressor.threshold
    half = compressor.knee / 2
    bent = np.where(over > half, over, np.clip(over + half, 0, None) ** 2 / (2 * compressor.knee))
    wanted = bent * (1 - 1 / compressor.ratio)
    rate = block / sample_rate
    rise, fall = np.exp(-rate / compressor.attack), np.exp(-rate / compressor.release)
    reduction, held, smooth = np.empty(len(wanted)), 0.0, 0.0
    for index, value in enumerate(wanted.tolist()):
        held = max(value, fall * held + (1 - fall) * value)
        smooth = rise * smooth + (1 - rise) * held
        reduction[index] = smooth
    curve = np.interp(np.arange(samples), starts + block / 2, 10 ** (-reduction / 20))
    return np.asarray(curve, dtype=np.float32)


def master(stems: Signal, compressor: Compressor, sample_rate: int) -> Signal:
    """Compress a mix with one gain for all stems, computed from their sum.

    Args:
        stems: Audio [S, C, N] that sums to the mix.
        compressor: The settings.
        sample_rate: Sample rate in hertz.

    Returns:
        Audio [S, C, N].

    Example:
        >>> stems = np.ones((2, 1, 9), dtype=np.float32)
        >>> mastered = master(stems, Compressor(-20.0, 4.0, 0.01, 0.05), 8000)
        >>> bool(np.array_equal(mastered[0], mastered[1]))
        True
    """
    return np.asarray(stems * gain_curve(stems.sum(axis=0), compressor, sample_rate), dtype=np.float32)


def saturate(stem: Signal, drive: float, sample_rate: int) -> Signal:
    """Round off peaks, as tape and valves do.

    Args:
        stem: Audio [C, N].
        drive: Active RMS before the curve; 0.1 is nearly clean, 0.5 audibly driven.
        sample_rate: Sample rate in hertz.

    Returns:
        Audio [C, N] with an active RMS of at most ``drive``.

    Example:
        >>> loud = np.full((1, 10), 9.0, dtype=np.float32)
        >>> bool(saturate(loud, 0.5, 10).max() < 0.5)
        True
    """
    level = active_rms(stem, sample_rate)
    return np.tanh(stem * np.float32(drive / level)) if level > QUIET else stem
