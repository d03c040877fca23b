"""Energy ratios of audio that arrives block by block, in constant memory.

Shape letters: ``S`` source, ``C`` channel, ``N`` sample, ``T`` window.
"""

import torch
from torch import Tensor

from auralflow.errors import UsageError
from auralflow.metrics.frames import loudest_sum, part_length
from auralflow.metrics.ratios import SDR_DELTA, check_shapes

__all__ = ["RatioSums"]

EPS = torch.finfo(torch.float64).eps


def _peak(audio: Tensor) -> Tensor:
    """Positive where a source ``(S, C, n)`` is not silent; a few samples nearly always decide it."""
    sparse = audio[..., ::61].abs().amax(dim=(-2, -1)).double()
    return sparse if (sparse > 0).all() else audio.abs().amax(dim=(-2, -1)).double()


class RatioSums:
    """Sums from which SI-SDR, SI-SNR, SNR, SD-SDR, SDR and framewise SDR can be computed.

    Channels are pooled. The sums are of the reference ``s`` and of the error ``d = s - e`` rather than of the
    estimate, so that a good estimate keeps its precision: its error is never the difference of two large
    numbers.

    Args:
        window: Length of a frame of ``framewise_sdr`` in samples.

    Example:
        >>> from auralflow.metrics import pool_channels, si_sdr
        >>> estimate, reference = torch.randn(2, 3, 2, 1000, dtype=torch.float64)
        >>> sums = RatioSums(window=300)
        >>> for own, true in zip(estimate.split(128, dim=-1), reference.split(128, dim=-1)):
        ...     sums.add(own, true)
        >>> torch.allclose(sums.si_sdr(), si_sdr(pool_channels(estimate), pool_channels(reference)))
        True
        >>> sums.framewise_energies()[0].shape
        torch.Size([3, 3])
    """

    def __init__(self, window: int) -> None:
        if window < 1:
            raise UsageError(
                "cannot cut audio into frames", found=f"window {window}", expected="1 sample or more"
            )
        self.window = window
        self._samples = 0
        self._channels = 0
        self._in_frame = 0
        self._totals: Tensor | None = None
        self._frame: Tensor | None = None
        self._frames: list[list[list[float]]] = []

    def add(self, estimate: Tensor, reference: Tensor) -> None:
        """Add the next samples of all sources.

        Args:
            estimate: ``(S, C, n)``.
            reference: Same shape.

        Raises:
            UsageError: If the shapes differ.
        """
        check_shapes(estimate, reference, letters="S, C, N")
        self._channels = reference.shape[-2]
        most = part_length(reference)
        start = 0
        while start < reference.shape[-1]:
            # Split at frame boundaries, so that every sum belongs to one frame.
            stop = start + min(most, self.window - self._in_frame)
            self._add_part(estimate[..., start:stop], reference[..., start:stop])
            start = stop

    def _add_part(self, estimate: Tensor, reference: Tensor) -> None:
        count = reference.shape[-1]
        true = reference.double().flatten(-2)
        error = true - estimate.flatten(-2)
        sums = torch.stack(
            [
                torch.linalg.vector_norm(true, dim=-1).square(),
                torch.linalg.vector_norm(error, dim=-1).square(),
                torch.linalg.vecdot(true, error),
                true.sum(dim=-1),
                error.sum(dim=-1),
                loudest_sum(reference),
                loudest_sum(estimate),
                _peak(reference),
                _peak(estimate),
            ]
        )
        self._totals = sums if self._totals is None else self._totals + sums
        self._frame = sums if self._frame is None else self._frame + sums
        self._samples += count
        self._in_frame += count
        if self._in_frame == self.window:
            # As Python numbers: small tensors kept among large ones that are freed would fragment the heap.
            self._frames.append(self._frame.tolist())
            self._frame, self._in_frame = None, 0

    def _sums(self) -> Tensor:
        if self._totals is None:
            raise UsageError("cannot score a signal", found="no sample", expected="at least one")
        return self._totals

    def silent(self) -> tuple[Tensor, Tensor]:
        """Whether the reference, and the estimate, of each source is silent: two of ``(S,)``."""
        sums = self._sums()
        return sums[7] == 0, sums[8] == 0

    def exact(self) -> Tensor:
        """Whether the estimate of each source is its reference to the last bit, ``(S,)``."""
        return self._sums()[1] == 0

    def _scale_invariant(self, signal: Tensor, distortion: Tensor, common: Tensor, without: Tensor) -> Tensor:
        # With e = s - d the best gain is 1 - <d,s>/<s,s>, and what it leaves is d without its part along s.
        gain = 1 - common / signal
        left = (distortion - common.square() / signal).clamp_min(0)
        wanted = gain.square() * signal
        # Like torchmetrics, the score of a perfect estimate is large and finite.
        floor = EPS * wanted.clamp_min(EPS * signal)
        return (10 * torch.log10((wanted + floor) / (left + floor))).masked_fill(without, torch.nan)

    def si_sdr(self) -> Tensor:
        """`metrics.si_sdr` of each source with its channels pooled, ``(S,)``."""
        signal, distortion, common = self._sums()[:3]
        return self._scale_invariant(signal, distortion, common, torch.logical_or(*self.silent()))

    def si_snr(self) -> Tensor:
        """`metrics.si_snr` of each source with its channels pooled, ``(S,)``."""
        signal, distortion, common, mean, error_mean = self._sums()[:5]
        count = self._samples * self._channels
        centred = signal - mean.square() / count
        # What rounding leaves of a constant is not a signal.
        without = torch.logical_or(*self.silent()) | (centred <= 1e-12 * signal)
        return self._scale_invariant(
            centred, distortion - error_mean.square() / count, common - mean * error_mean / count, without
        )

    def snr(self) -> Tensor:
        """`metrics.snr` of each source with its channels pooled, ``(S,)``."""
        signal, distortion = self._sums()[:2]
        score = 10 * torch.log10(signal / distortion.clamp_min(EPS * signal))
        return score.masked_fill(self.silent()[0], torch.nan)

    def sd_sdr(self) -> Tensor:
        """`metrics.sd_sdr` of each source with its channels pooled, ``(S,)``."""
        signal, distortion, common = self._sums()[:3]
        gain = 1 - common / signal
        score = 10 * torch.log10(gain.square() * signal / distortion.clamp_min(EPS * signal))
        return score.masked_fill(torch.logical_or(*self.silent()), torch.nan)

    def sdr(self) -> Tensor:
        """`metrics.sdr` (uSDR) of each source, ``(S,)``."""
        signal, distortion = self._sums()[:2]
        score = 10 * torch.log10((signal + SDR_DELTA) / (distortion + SDR_DELTA))
        return score.masked_fill(self.silent()[0], torch.nan)

    def framewise_energies(self) -> tuple[Tensor, Tensor, Tensor]:
        """Energy of the reference, energy of the error, and silence by museval's rule, ``(S, T)`` each."""
        # Audio shorter than a window is one frame.
        whole = self._sums()
        frames = self._frames or [whole.tolist()]
        sums = torch.tensor(frames, dtype=torch.float64, device=whole.device).movedim(0, -1)
        return sums[0], sums[1], (sums[5] == 0) | (sums[6] == 0)

    def framewise_sdr(self, rows: list[int] | None = None) -> Tensor:
        """`metrics.framewise_sdr` of some sources as one run: a silent frame of one is NaN for all of them.

        Args:
            rows: Which sources. Default: all.

        Returns:
            Decibels ``(len(rows), T)``.
        """
        signal, distortion, silent = self.framewise_energies()
        chosen = list(range(signal.shape[0])) if rows is None else rows
        score = 10 * torch.log10(signal[chosen] / distortion[chosen])
        return score.masked_fill(silent[chosen].any(dim=0), torch.nan)
