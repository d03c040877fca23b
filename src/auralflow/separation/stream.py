"""Separates streams of any sample rate, number of channels and length in constant memory.

Shape letters: ``S`` source, ``K`` channel of the audio, ``N`` sample.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Unpack, overload

import numpy as np
import torch
from torch import Tensor

from auralflow.audio import Audio, resample_stream
from auralflow.config import EngineConfig, EngineKeywords, parse_settings, show_settings
from auralflow.errors import CancelledError, UsageError
from auralflow.machine import check_device
from auralflow.models.loading import load
from auralflow.models.lookup import DEFAULT_MODEL
from auralflow.nets.door import SeparationModel
from auralflow.separation.blending import Blend
from auralflow.separation.engine import resolved_window
from auralflow.separation.member import Member
from auralflow.separation.pipeline import take
from auralflow.separation.precision import resolved_precision, samples_depend_on
from auralflow.separation.sources import Source, checked_rate, finite_blocks, open_source
from auralflow.separation.statistics import Levels, measure
from auralflow.separation.two_stems import pair_of

__all__ = ["SeparatedBlock", "Separator"]

logger = logging.getLogger(__name__)


class SeparatedBlock(NamedTuple):
    """A finished block of a song.

    Attributes:
        original: The unchanged input ``[K, n]``.
        targets: The estimates ``[S, K, n]``, float32.
    """

    original: Audio
    targets: Audio


class Separator:
    """Separates audio of any sample rate and number of channels with a model.

    The separator works on an optimised copy and leaves the given model unchanged. It is safe to use from
    several threads.

    Args:
        model: A model, a model folder, or a name, which is downloaded if necessary. Default: the bundled
            model.
        settings: All settings as one object. Default: ``EngineConfig()``. The keyword arguments below
            override those in it.
        targets: Targets to estimate, as in vocals,bass. Default: all.
        two_stems: Estimate this target and everything else, which sum to the original: vocals gives vocals
            and instrumental (a cappella and karaoke), drums gives drums and no_drums.
        overlap: Fraction of a chunk that overlaps the next one. Default: the model's, usually 0.25.
        chunk: Length of a chunk in seconds, for nets that take any length; the overlap in seconds is
            unchanged. Default: the model's.
        window: How the estimates of overlapping chunks are combined: as the model was published and scored,
            or with auralflow's linear cross-fades, which skip chunks that cover nothing new. Default:
            ``'published'``.
        shifts: Number of passes to average, each with shifted chunks. Default: ``1``.
        wiener: Iterations of multichannel Wiener filtering. Default: the model's, usually 0.
        phase: Phase of the targets: the mixture's, or refined with Griffin-Lim. Default: ``'mixture'``.
        consistent: Distribute the residual over the targets, so that they sum to the original. Default:
            ``False``.
        batch_size: Number of chunks per batch. Default: depends on the device.
        device: auto, cpu, cuda, cuda:N or mps. Default: ``'auto'``.
        backend: Library that runs the net; onnx runs on the CPU and needs the extra onnx. Default:
            ``'torch'``.
        precision: Number format that the net computes in; auto picks bfloat16 if a short measurement shows it
            to be faster on this machine and the model is known to lose little quality. Default: ``'auto'``.

    Attributes:
        model: The given model.
        settings: The settings, with defaults resolved.
        overlap: Fraction of a chunk that overlaps the next one.
        members: The members of an ensemble, otherwise the model alone; see `stream_apart`. Each has the
            ``targets`` that it estimates.

    Raises:
        SettingsError: If a setting is unknown or out of range.
        NotFoundError: If the model does not exist, or lacks a requested target.
        ModelError: If the model's files are damaged or cannot be downloaded.
        UsageError: If the settings do not suit the model or the machine.

    Example:
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> from auralflow.nets.families import create_model
        >>> model = create_model(SpectrogramNetConfig(num_hidden_channels=1, sample_rate=16000))
        >>> audio = np.zeros((2, 30000), dtype=np.float32)
        >>> Separator(model, overlap=0.5).separate(audio, sample_rate=22050).shape
        (1, 2, 30000)
    """

    @show_settings(EngineConfig)
    def __init__(
        self,
        model: SeparationModel | str | Path = DEFAULT_MODEL,
        settings: EngineConfig | None = None,
        **changes: Unpack[EngineKeywords],
    ) -> None:
        given = settings.model_dump(include=set(EngineConfig.model_fields)) if settings else {}
        settings = parse_settings(EngineConfig, {**given, **changes})
        model = load(model) if isinstance(model, str | Path) else model
        if not isinstance(model, torch.nn.Module):
            raise UsageError(
                "cannot separate with this",
                found=type(model).__name__,
                expected="a model, a model folder or the name of a model",
            )
        self.model = model.eval()
        self.overlap = model.config.overlap if settings.overlap is None else settings.overlap
        self._warned = False
        device = check_device(settings.device)
        ensemble = model.ensemble
        self._pair = pair_of(settings.two_stems, model.targets) if settings.two_stems else None
        computed = {"targets": (self._pair.estimated,)} if self._pair else {}
        # Resolve defaults, so that the journal treats a default and the same explicit value alike.
        known: dict[str, Any] = {
            "precision": resolved_precision(model, settings, device),
            "window": resolved_window(model, settings),
        }
        self.run: Member | Blend
        if ensemble:
            self.settings = settings.model_copy(update=known)
            self.run = Blend(model, ensemble, self.settings.model_copy(update=computed), device)
        else:
            wiener = model.wiener_iterations if settings.wiener is None else settings.wiener
            self.settings = settings.model_copy(update=known | {"overlap": self.overlap, "wiener": wiener})
            own = self.settings.model_copy(update=computed)
            self.run = Member(model, own, device, model.config.sample_rate)
        self.members = self.run.members
        for member in self.members:
            logger.info(
                "%s for %s on %s with %d threads, chunks of %.2f s, batch size %d, backend %s",
                member.config.net,
                ", ".join(member.targets),
                device,
                torch.get_num_threads(),
                member.engine.chunking.length / member.config.sample_rate,
                member.engine.batch_size,
                self.settings.backend,
            )
            if member.config.sample_rate != model.config.sample_rate:
                logger.warning(
                    "%s works at %d Hz: the song is resampled from %d Hz for it, and its estimates back",
                    member.config.net,
                    member.config.sample_rate,
                    model.config.sample_rate,
                )

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the stems, in the order of the axis ``S``."""
        return self._pair.names if self._pair else self.settings.targets or self.model.targets

    @property
    def identity(self) -> dict[str, Any]:
        """All settings that determine the samples, as JSON values.

        The precision only counts if it changes samples by more than the tolerance. A run that continues on
        another machine therefore neither repeats everything nor mixes two kinds of stems.
        """
        identity = self.settings.identity() | {"targets": list(self.targets)}
        if not samples_depend_on(self.settings.precision, self.model.traits):
            identity["precision"] = "float32"
        return identity

    @property
    def adds_up(self) -> bool:
        """Whether the targets sum to the original."""
        if self._pair:
            return True
        return self.settings.consistent and self.targets == self.run.targets

    @property
    def latency(self) -> float:
        """Maximum time in seconds between reading a sample and finishing it, at the model's sample rate."""
        return self.run.latency

    @overload
    def separate(
        self,
        source: Tensor,
        sample_rate: int | None = ...,
        *,
        on_progress: Callable[[float], None] | None = ...,
        should_stop: Callable[[], bool] | None = ...,
    ) -> Tensor: ...

    @overload
    def separate(
        self,
        source: Path | str | Audio | BinaryIO,
        sample_rate: int | None = ...,
        *,
        on_progress: Callable[[float], None] | None = ...,
        should_stop: Callable[[], bool] | None = ...,
    ) -> Audio: ...

    def separate(
        self,
        source: Source,
        sample_rate: int | None = None,
        *,
        on_progress: Callable[[float], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> Audio | Tensor:
        """Separate an entire signal. The result is kept in memory; use `stream` for very long signals.

        Args:
            source: A path, samples ``[K, N]`` as an array or a tensor, or a binary file object.
            sample_rate: Sample rate of the samples in hertz. Default: the model's. Ignored for files.
            on_progress: Called with the fraction done, from 0 to 1.
            should_stop: Called after each block; return True to stop.

        Returns:
            Stems ``[S, K, N]`` at the same sample rate, in the order of `targets`; a tensor on the same
            device if ``source`` is a tensor.

        Raises:
            NotFoundError: If the file does not exist.
            AudioError: If it cannot be read, or samples are not finite.
            UsageError: If samples are not floats ``[K, N]``, or their sample rate is invalid.
            CancelledError: If ``should_stop`` returned True.

        Example:
            >>> separator = Separator("SpectrogramNetSimple", targets=["vocals", "drums"])
            >>> separator.separate(torch.zeros(2, 4000)).shape
            torch.Size([2, 2, 4000])
        """
        rate = self.model.config.sample_rate if sample_rate is None else checked_rate(sample_rate)
        with open_source(source, rate) as opened:
            levels = self.measure(opened.blocks(), opened.sample_rate, opened.channels)
            parts = [np.zeros((len(self.targets), opened.channels, 0), dtype=np.float32)]
            done = 0
            for block in self.stream(opened.blocks(), opened.sample_rate, opened.channels, levels):
                if should_stop and should_stop():
                    raise CancelledError("the separation was stopped")
                parts.append(block.targets)
                done += block.targets.shape[-1]
                if on_progress:
                    on_progress(done / opened.frames)
        separated = np.concatenate(parts, axis=-1)
        return torch.from_numpy(separated).to(source.device) if isinstance(source, Tensor) else separated

    @overload
    def separate_stems(
        self,
        source: Tensor,
        sample_rate: int | None = ...,
        *,
        on_progress: Callable[[float], None] | None = ...,
        should_stop: Callable[[], bool] | None = ...,
    ) -> dict[str, Tensor]: ...

    @overload
    def separate_stems(
        self,
        source: Path | str | Audio | BinaryIO,
        sample_rate: int | None = ...,
        *,
        on_progress: Callable[[float], None] | None = ...,
        should_stop: Callable[[], bool] | None = ...,
    ) -> dict[str, Audio]: ...

    def separate_stems(
        self,
        source: Source,
        sample_rate: int | None = None,
        *,
        on_progress: Callable[[float], None] | None = None,
        should_stop: Callable[[], bool] | None = None,
    ) -> dict[str, Audio] | dict[str, Tensor]:
        """Separate an entire signal into named stems; otherwise like `separate`.

        Args:
            source: A path, samples ``[K, N]`` as an array or a tensor, or a binary file object.
            sample_rate: Sample rate of the samples in hertz. Default: the model's. Ignored for files.
            on_progress: Called with the fraction done, from 0 to 1.
            should_stop: Called after each block; return True to stop.

        Returns:
            Stems ``[K, N]`` by name, in the order of `targets`.

        Raises:
            NotFoundError: If the file does not exist.
            AudioError: If it cannot be read, or samples are not finite.
            UsageError: If samples are not floats ``[K, N]``, or their sample rate is invalid.
            CancelledError: If ``should_stop`` returned True.

        Example:
            >>> from auralflow.models import load
            >>> separator = Separator(load("SpectrogramNetSimple"), two_stems="vocals")
            >>> stems = separator.separate_stems(np.zeros((2, 4000), dtype=np.float32))
            >>> {name: stem.shape for name, stem in stems.items()}
            {'vocals': (2, 4000), 'instrumental': (2, 4000)}
        """
        stems = self.separate(source, sample_rate, on_progress=on_progress, should_stop=should_stop)
        return dict(zip(self.targets, stems, strict=True))

    def measure(self, blocks: Iterable[Audio], sample_rate: int, channels: int) -> Levels:
        """Measure what `stream` needs to know about an entire song. Most nets need nothing.

        Args:
            blocks: The song as consecutive blocks ``[K, n]`` of any length; only read if needed.
            sample_rate: Sample rate in hertz.
            channels: Number of channels ``K``.

        Returns:
            Levels to pass to `stream`; empty if no net needs them.

        Raises:
            UsageError: If a block is not an array of floats ``[K, n]``, or the sample rate is invalid.
            AudioError: If a block is not finite.
        """
        rates = {member.config.sample_rate for member in self.members if member.standardized}
        if not rates:
            return {}
        checked = (floats for _, floats in finite_blocks(blocks, channels))
        return measure(checked, checked_rate(sample_rate), channels, sorted(rates))

    def stream(
        self, blocks: Iterable[Audio], sample_rate: int, channels: int, levels: Levels | None = None
    ) -> Iterator[SeparatedBlock]:
        """Separate a signal block by block.

        Estimates lag behind the input by up to `latency` seconds, plus the buffers of the resamplers; that
        much is kept in memory, whatever the length of the signal.

        Args:
            blocks: The signal as consecutive blocks ``[K, n]`` of any length.
            sample_rate: Sample rate in hertz.
            channels: Number of channels ``K``.
            levels: Result of `measure` for the entire song. Without it, nets that need it use the level of
                what has been read so far, and a warning is logged once.

        Yields:
            Finished blocks of the original and the targets, in total as long as the signal.

        Raises:
            UsageError: If a block is not an array of floats ``[K, n]``, or the sample rate is invalid.
            AudioError: If a block is not finite.

        Example:
            >>> separator = Separator("SpectrogramNetSimple", targets="vocals")
            >>> blocks = [np.zeros((1, 3000), dtype=np.float32)] * 4
            >>> sum(block.targets.shape[-1] for block in separator.stream(blocks, 44100, channels=1))
            12000
        """
        waiting: deque[Audio] = deque()

        def remember() -> Iterator[Audio]:
            for block, floats in finite_blocks(blocks, channels):
                waiting.append(block)
                yield floats

        sample_rate = checked_rate(sample_rate)
        rate = self.model.config.sample_rate
        inside = resample_stream(remember(), sample_rate, rate, channels)
        num_rows = len(self.run.targets) * channels
        unknown = [member for member in self.members if member.standardized]
        if levels is None and unknown and not self._warned:
            self._warned = True
            logger.warning(
                "%s needs the level of the entire song; in a stream it gets that of what was read so far",
                unknown[0].config.net,
            )
        separated = self.run.stream(inside, channels, levels or {})
        for flat in resample_stream(separated, rate, sample_rate, num_rows):
            original = take(waiting, flat.shape[-1])
            if original.shape[-1]:
                targets = flat[:, : original.shape[-1]].reshape(-1, *original.shape)
                yield self._finished(original, targets)
        # Rounding of lengths in the resampler can leave a sample or two without an estimate.
        rest = take(waiting, sum(block.shape[-1] for block in waiting))
        if rest.shape[-1]:
            silence = np.zeros((len(self.run.targets), *rest.shape), dtype=np.float32)
            yield self._finished(rest, silence)

    def stream_apart(
        self, blocks: Iterable[Audio], sample_rate: int, channels: int, levels: Levels | None = None
    ) -> Iterator[list[Audio]]:
        """Separate a signal like `stream`, and yield the estimates of each member of an ensemble.

        Args:
            blocks: The signal as consecutive blocks ``[K, n]`` of any length.
            sample_rate: Sample rate in hertz.
            channels: Number of channels ``K``.
            levels: Result of `measure` for the entire song.

        Yields:
            Estimates ``[S, K, n]`` of each of `members`, for the targets of that member.

        Raises:
            UsageError: If a block is not an array of floats ``[K, n]``, or the sample rate is invalid.
            AudioError: If a block is not finite.
        """
        sample_rate = checked_rate(sample_rate)
        rate = self.model.config.sample_rate
        checked = (floats for _, floats in finite_blocks(blocks, channels))
        inside = resample_stream(checked, sample_rate, rate, channels)
        rows = [len(member.targets) * channels for member in self.members]
        joined = (np.concatenate(parts) for parts in self.run.apart(inside, channels, levels or {}))
        for flat in resample_stream(joined, rate, sample_rate, sum(rows)):
            parts = np.split(flat, np.cumsum(rows)[:-1])
            yield [part.reshape(-1, channels, part.shape[-1]) for part in parts]

    def _finished(self, original: Audio, targets: Audio) -> SeparatedBlock:
        if self.settings.consistent:
            # Distribute frequencies above the model's range, and rounding errors, evenly.
            left = original - targets.sum(axis=0, dtype=np.float64)
            targets = (targets + left / len(targets)).astype(np.float32)
        if self._pair:
            estimate = targets[self.run.targets.index(self._pair.estimated)]
            rest = (original.astype(np.float64) - estimate).astype(np.float32)
            pair = (estimate, rest) if self._pair.estimated_first else (rest, estimate)
            return SeparatedBlock(original, np.stack(pair))
        if self.targets != self.run.targets:
            targets = targets[[self.run.targets.index(target) for target in self.targets]]
        return SeparatedBlock(original, targets)
