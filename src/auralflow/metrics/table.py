"""All metrics of an evaluation: a new one is a line here, plus a function where one line is not enough.

Its name, meaning, computation and the option that asks for it are stated here and nowhere else: results,
tables, reports, options and documentation take them from here. Does not load torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from auralflow.metrics.bss import BssScores
    from auralflow.metrics.streaming import RatioSums

__all__ = ["METRICS", "OPTIONS", "FrameMetric", "Metric", "Option", "SumMetric", "TrackMetric"]


@dataclass(frozen=True)
class Option:
    """An option that asks for metrics that take longer and hold a whole track in memory."""

    name: str
    description: str


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What all metrics have in common.

    Attributes:
        name: In files and in Python.
        title: In tables.
        definition: What it means; stored with every report.
        source: Where it comes from.
        unit: Of its values.
        lower_is_better: Whether lower scores are better.
        option: The option that asks for it; None: always computed.
        shown: Whether the terminal shows it; files hold all.
        pictured: Whether the report has box plots of it.
        paired: Whether the difference of two systems says something that no other metric's does.
    """

    name: str
    title: str
    definition: str
    source: str
    unit: str = "dB"
    lower_is_better: bool = False
    option: Option | None = None
    shown: bool = False
    pictured: bool = False
    paired: bool = True

    @property
    def heading(self) -> str:
        """Title and unit.

        Example:
            >>> METRICS["log_spectral_distance"].heading
            'Log-spectral distance, dB (low is good)'
        """
        return f"{self.title}, {self.unit}" + " (low is good)" * self.lower_is_better

    @property
    def signed(self) -> bool:
        """Whether values are levels, with a sign and a tenth of a decibel."""
        return self.unit == "dB" and not self.lower_is_better


@dataclass(frozen=True, kw_only=True)
class SumMetric(Metric):
    """A metric that follows from sums over blocks.

    Attributes:
        function: Maps the sums of the estimates, and of the mixture in their place, to one value a row.
    """

    function: Callable[[RatioSums, RatioSums], Tensor]


@dataclass(frozen=True, kw_only=True)
class FrameMetric(Metric):
    """The median of the scores of one-second windows.

    Attributes:
        column: Name of the scores by window.
        from_sums: Maps sums over blocks and the rows of a run to scores ``[R, T]``.
        from_audio: Maps estimates and references ``[R, K, N]`` and the window's length to scores by column.
    """

    column: str
    from_sums: Callable[[RatioSums, list[int]], Tensor] | None = None
    from_audio: Callable[[Tensor, Tensor, int], BssScores] | None = None


@dataclass(frozen=True, kw_only=True)
class TrackMetric(Metric):
    """A metric of whole signals.

    Attributes:
        function: Maps estimate and reference ``[K, N]`` and the sample rate to a scalar.
        targets: The targets for which it makes sense; empty: all.
    """

    function: Callable[[Tensor, Tensor, int], Tensor]
    targets: tuple[str, ...] = ()


def _improvement(estimate: RatioSums, mixture: RatioSums) -> Tensor:
    gain = estimate.si_sdr() - mixture.si_sdr()
    # Where the mixture is the reference itself there is nothing to improve.
    return gain.masked_fill(mixture.exact(), float("nan"))


def _bss_eval(estimates: Tensor, truths: Tensor, window: int) -> BssScores:
    from auralflow.metrics.bss import bss_eval

    return bss_eval(estimates, truths, window)


def _log_spectral_distance(estimate: Tensor, truth: Tensor, _: int) -> Tensor:
    from auralflow.metrics.spectral import log_spectral_distance

    return log_spectral_distance(estimate, truth).nanmean()


def _stoi(estimate: Tensor, truth: Tensor, sample_rate: int) -> Tensor:
    from auralflow.metrics.speech import stoi

    return stoi(estimate.mean(dim=0), truth.mean(dim=0), sample_rate)


MUSEVAL = "Stöter, Liutkus and Ito, 'The 2018 Signal Separation Evaluation Campaign', LVA/ICA 2018; museval 4"
HALF_BAKED = "Le Roux et al., 'SDR - half-baked or well done?', ICASSP 2019"
BSS_EVAL = Option("bss_eval", "ISR, SIR and SAR of museval; slow, holds a track in memory.")

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        SumMetric(
            name="si_sdr",
            title="SI-SDR",
            definition="scale-invariant SDR in dB over the whole track, one scale for all channels",
            source=HALF_BAKED,
            function=lambda estimate, _: estimate.si_sdr(),
            shown=True,
            pictured=True,
        ),
        SumMetric(
            name="si_sdr_improvement",
            title="SI-SDR improvement over the mixture",
            definition="SI-SDR of the estimate minus SI-SDR of the mixture, in dB",
            source=HALF_BAKED,
            function=_improvement,
            shown=True,
            # The mixture is the same for both: the difference of the improvements is that of the scores.
            paired=False,
        ),
        SumMetric(
            name="sdr",
            title="SDR (uSDR)",
            definition="10 log10(|s|^2 / |s - e|^2) in dB over the whole track and all channels (uSDR)",
            source="Mitsufuji et al., 'Music Demixing Challenge 2021', Frontiers in Signal Processing 2022",
            function=lambda estimate, _: estimate.sdr(),
            shown=True,
        ),
        SumMetric(
            name="si_snr",
            title="SI-SNR",
            definition="SI-SDR after subtracting the mean over time and channels from both signals, in dB",
            source="Luo and Mesgarani, 'TasNet', ICASSP 2018",
            function=lambda estimate, _: estimate.si_snr(),
        ),
        SumMetric(
            name="snr",
            title="SNR",
            definition="like sdr, without the 1e-7 that uSDR adds to both energies",
            source=HALF_BAKED,
            function=lambda estimate, _: estimate.snr(),
        ),
        SumMetric(
            name="sd_sdr",
            title="SD-SDR",
            definition="scale-dependent SDR in dB: a wrong level counts as an error",
            source=HALF_BAKED,
            function=lambda estimate, _: estimate.sd_sdr(),
        ),
        FrameMetric(
            name="framewise_sdr",
            title="SDR of museval (median of 1-s frames)",
            definition="museval v4 SDR: median over 1-s frames in which no source is silent, in dB",
            source=MUSEVAL,
            column="sdr",
            from_sums=lambda estimate, rows: estimate.framewise_sdr(rows),
            shown=True,
            pictured=True,
        ),
        FrameMetric(
            name="isr",
            title="ISR",
            definition="museval v4 image to spatial distortion ratio, median over frames, in dB; on request",
            source=MUSEVAL,
            column="isr",
            from_audio=_bss_eval,
            option=BSS_EVAL,
            shown=True,
        ),
        FrameMetric(
            name="sir",
            title="SIR",
            definition="museval v4 signal to interference ratio, median over frames, in dB; on request",
            source=MUSEVAL,
            column="sir",
            from_audio=_bss_eval,
            option=BSS_EVAL,
            shown=True,
        ),
        FrameMetric(
            name="sar",
            title="SAR",
            definition="museval v4 signal to artifacts ratio, median over frames, in dB; on request",
            source=MUSEVAL,
            column="sar",
            from_audio=_bss_eval,
            option=BSS_EVAL,
            shown=True,
        ),
        TrackMetric(
            name="log_spectral_distance",
            title="Log-spectral distance",
            definition="mean over frames of the RMS difference of levels, dB, low is good; on request",
            source="Gray and Markel, 'Distance measures for speech processing', IEEE TASSP 1976",
            lower_is_better=True,
            function=_log_spectral_distance,
            option=Option("log_spectral_distance", "Distance between spectra."),
            shown=True,
        ),
        TrackMetric(
            name="stoi",
            title="STOI",
            definition="short-time objective intelligibility of the vocals, 0 to 1; on request",
            source="Taal et al., 'An Algorithm for Intelligibility Prediction', IEEE TASLP 2011",
            unit="0 to 1",
            function=_stoi,
            targets=("vocals",),
            option=Option("stoi", "Intelligibility of the vocals; needs the extra 'metrics'."),
            shown=True,
        ),
    )
}
"""All metrics by name, in the order of files and tables."""

OPTIONS: dict[str, Option] = {
    metric.option.name: metric.option for metric in METRICS.values() if metric.option
}
"""The options that ask for metrics, by name."""
