"""BSS Eval version 4: which part of an error is spatial, which is another source, which is an artifact.

Shape letters: ``S`` source, ``C`` channel, ``N`` sample, ``T`` window, ``K`` pairs of source and channel,
``L`` tap of a filter, ``E`` estimate and channel, ``F`` frequency bin.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from auralflow.errors import UsageError
from auralflow.metrics.ratios import as_pair, is_silent

__all__ = ["BssScores", "bss_eval"]

BLOCK = 1 << 16


class BssScores(NamedTuple):
    """Scores in dB, each ``(S, T)``; NaN for windows in which a signal is silent.

    Attributes:
        sdr: Signal to all distortion; equals `framewise_sdr`.
        isr: Image to spatial distortion: level, panning and colour.
        sir: Signal to interference from the other sources.
        sar: Signal to artifacts, which no source explains.
    """

    sdr: Tensor
    isr: Tensor
    sir: Tensor
    sar: Tensor


def bss_eval(estimates: Tensor, references: Tensor, window: int, *, num_taps: int = 512) -> BssScores:
    """SDR, ISR, SIR and SAR of each window of each source, as museval version 4 computes them.

    The estimate is projected on the sources, filtered by the 512 taps that fit best over the whole track;
    what its own source explains beyond the reference is spatial distortion, what the others explain is
    interference, and the rest is artifacts. Unlike the other metrics it holds whole signals and solves a
    system of ``S * C * num_taps`` equations: it takes seconds for a song.

    Args:
        estimates: Estimated samples ``(S, C, N)``.
        references: True samples, same shape and order of sources.
        window: Length of a window in samples; museval takes one second.
        num_taps: Length of the filters.

    Returns:
        The scores, float64. All are NaN if a reference or an estimate is silent throughout.

    Raises:
        UsageError: If the shapes differ, have other dimensions, or the window is not positive.

    Source:
        Stöter, Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018; Vincent,
        Gribonval and Févotte, "Performance measurement in blind audio source separation", IEEE TASLP, 2006.

    Example:
        >>> references = torch.randn(2, 1, 800, generator=torch.Generator().manual_seed(0))
        >>> scores = bss_eval(references + 0.1 * references.flip(0), references, window=400, num_taps=4)
        >>> bool((scores.sir < 25).all() and (scores.sar > 100).all())
        True
    """
    estimates, references = as_pair(estimates, references, "S, C, N")
    if references.ndim != 3 or window < 1 or num_taps < 1:
        raise UsageError(
            "cannot evaluate these signals",
            found=f"shape {tuple(references.shape)}, window {window}, {num_taps} taps",
            expected="shape (S, C, N), and lengths of one or more",
        )
    sources, _, samples = references.shape
    window = min(window, samples)
    count = samples // window
    silent = [is_silent(audio.sum(dim=1)).any() for audio in (estimates, references)]
    if silent[0] or silent[1]:
        nothing = torch.full((sources, count), torch.nan, dtype=torch.float64, device=references.device)
        return BssScores(nothing, nothing.clone(), nothing.clone(), nothing.clone())
    every, own = _filters(estimates, references, num_taps)
    frames = [
        _window_scores(
            estimates[..., start : start + window], references[..., start : start + window], every, own
        )
        for start in range(0, count * window, window)
    ]
    return BssScores(*torch.stack(frames, dim=-1))


def _filters(estimates: Tensor, references: Tensor, num_taps: int) -> tuple[Tensor, Tensor]:
    """Filters that best map references to estimates: all references, and the own one alone.

    Returns:
        ``(K, L, E)``, and ``(S, C, L, C)``.
    """
    sources, channels, _ = references.shape
    flat = references.flatten(0, 1)
    among = _lagged_products(flat, flat, num_taps)
    toward = _lagged_products(flat, estimates.flatten(0, 1), num_taps)[..., num_taps - 1 :]
    system = _toeplitz(among, num_taps)
    size = channels * num_taps
    # (K, E, L) to (K * L, E)
    right = toward.movedim(1, 2).flatten(0, 1)
    every = _solve(system, right).reshape(-1, num_taps, sources * channels)
    # One system after another: some libraries' batched solvers fail at this size.
    own = [
        _solve(
            system[s * size : (s + 1) * size, s * size : (s + 1) * size],
            right[s * size : (s + 1) * size, s * channels : (s + 1) * channels],
        ).reshape(channels, num_taps, channels)
        for s in range(sources)
    ]
    return every, torch.stack(own)


def _lagged_products(left: Tensor, right: Tensor, num_taps: int) -> Tensor:
    """``p[i, j, L - 1 + lag] = sum_n left[i, n] right[j, n + lag]`` for lags from ``1 - L`` to ``L - 1``.

    Summed over blocks in the frequency domain: spectra of the whole signal would need many times its memory.
    """
    margin = num_taps - 1
    size = 1 << max(1, (min(BLOCK, left.shape[-1]) + 3 * margin - 1).bit_length())
    step = size - 2 * margin
    padded = torch.nn.functional.pad(right, (margin, margin + step))
    total = torch.zeros(
        left.shape[0], right.shape[0], size // 2 + 1, dtype=torch.complex128, device=left.device
    )
    for start in range(0, left.shape[-1], step):
        one = torch.fft.rfft(left[:, start : start + step], n=size)
        other = torch.fft.rfft(padded[:, start : start + step + 2 * margin], n=size)
        total += torch.einsum("if,jf->ijf", one.conj(), other)
    products: Tensor = torch.fft.irfft(total, n=size)
    return products[..., : 2 * margin + 1]


def _toeplitz(products: Tensor, num_taps: int) -> Tensor:
    """The matrix ``(K * L, K * L)`` of the products of all references at all delays."""
    index = torch.arange(num_taps, device=products.device)
    # Delays l and m of references i and j: sum_n x_i[n - l] x_j[n - m], a product at the lag l - m.
    lags = index[:, None] - index[None, :] + num_taps - 1
    count = products.shape[0]
    return products[:, :, lags].movedim(2, 1).reshape(count * num_taps, count * num_taps)


def _solve(system: Tensor, right: Tensor) -> Tensor:
    # As in museval: slight regularisation, and the minimum-norm solution where that is not enough.
    eps = torch.finfo(torch.float64).eps
    regular = system + eps * torch.eye(system.shape[0], dtype=system.dtype, device=system.device)
    solution: Tensor
    solution, info = torch.linalg.solve_ex(regular, right)
    if info.item() or not solution.isfinite().all():
        solution = torch.linalg.lstsq(system.cpu(), right.cpu(), driver="gelsd").solution
    return solution.to(system.device)


def _window_scores(estimates: Tensor, references: Tensor, every: Tensor, own: Tensor) -> Tensor:
    """SDR, ISR, SIR and SAR ``(4, S)`` of a window ``(S, C, n)``."""
    sources, channels, samples = references.shape
    if (is_silent(estimates.sum(dim=1)) | is_silent(references.sum(dim=1))).any():
        return torch.full((4, sources), torch.nan, dtype=torch.float64, device=references.device)
    length = samples + every.shape[1] - 1
    size = _smooth(length)
    spectra = torch.fft.rfft(references.flatten(0, 1), n=size)
    by_all = torch.einsum("kf,kef->ef", spectra, torch.fft.rfft(every, n=size, dim=1).movedim(1, 2))
    by_own = torch.einsum(
        "scf,scdf->sdf",
        spectra.reshape(sources, channels, -1),
        torch.fft.rfft(own, n=size, dim=2).movedim(2, 3),
    )
    everything = torch.fft.irfft(by_all, n=size)[:, :length].reshape(sources, channels, length)
    alone = torch.fft.irfft(by_own, n=size)[..., :length]
    padding = (0, length - samples)
    true, estimate = (torch.nn.functional.pad(audio, padding) for audio in (references, estimates))
    parts = (
        (true, estimate - true),
        (true, alone - true),
        (alone, everything - alone),
        (everything, estimate - everything),
    )
    energies = [[part.square().sum(dim=(1, 2)) for part in ratio] for ratio in parts]
    return torch.stack([10 * torch.log10(signal / noise) for signal, noise in energies])


def _smooth(length: int) -> int:
    """The next length without a prime factor above 5, for a fast transform."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1
