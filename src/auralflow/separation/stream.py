"""Separation of a stream: any sample rate, any number of channels, any length, in flat memory.

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
from auralflow.config import EngineConfig, EngineKeywords, parse_settings
from auralflow.errors import CancelledError
from auralflow.machine import check_device
from auralflow.models.loading import DEFAULT_MODEL, load
from auralflow.nets.door import SeparationModel
from auralflow.separation.blending import Blend
from auralflow.separation.engine import resolved_window
from auralflow.separation.member import Member
from auralflow.separation.pipeline import take
from auralflow.separation.precision import resolved_precision, samples_depend_on
from auralflow.separation.sources import Source, open_source
from auralflow.separation.statistics import Levels, measure
from auralflow.separation.two_stems import pair_of

__all__ = ["SeparatedBlock", "Separator"]

logger = logging.getLogger(__name__)


class SeparatedBlock(NamedTuple):
    """A finished piece of a song.

    Attributes:
        original: ``[K, n]``, the very samples that came in.
        targets: ``[S, K, n]`` float32.
    """

    original: Audio
    targets: Audio


class Separator:
    """Separates audio with a model, whatever the audio's sample rate and number of channels.

    The model that is given stays as it is: the separator works with a copy, made faster. It may be used by
    several threads at once.

    Args:
        model: A model, the folder of one, or the name of one, which is downloaded where it must be. Default:
            the model that is part of the package.
        settings: How to separate. Default: the defaults of `EngineConfig`.
        changes: Settings by name, in place of those in ``settings``; see `EngineKeywords`.

    Raises:
        SettingsError: If a setting is unknown or out of range.
        NotFoundError: If there is no such model, or it has no such target.
        ModelError: If its files are broken, or cannot be downloaded.
        UsageError: If the settings do not fit the model or the machine.

    Example:
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> from auralflow.nets.families import create_model
        >>> model = create_model(SpectrogramNetConfig(num_hidden_channels=1, sample_rate=16000))
        >>> audio = np.zeros((2, 30000), dtype=np.float32)
        >>> Separator(model, overlap=0.5).separate(audio, sample_rate=22050).shape
        (1, 2, 30000)
    """

    def __init__(
        self,
        model: SeparationModel | str | Path = DEFAULT_MODEL,
        settings: EngineConfig | None = None,
        **changes: Unpack[EngineKeywords],
    ) -> None:
        given = settings.model_dump(include=set(EngineConfig.model_fields)) if settings else {}
        settings = parse_settings(EngineConfig, {**given, **changes})
        model = load(model) if isinstance(model, str | Path) else model
        self.model = model.eval()
        #: Share of a chunk that the next one covers again.
        self.overlap = model.config.overlap if settings.overlap is None else settings.overlap
        self._warned = False
        device = check_device(settings.device)
        ensemble = model.ensemble
        self._pair = pair_of(settings.two_stems, model.targets) if settings.two_stems else None
        computed = {"targets": (self._pair.estimated,)} if self._pair else {}
        # Resolved, so that what is asked for by default and by name or number is one thing to the journal.
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
                "%s for %s on %s with %d threads, chunks of %.2f s by %d, backend %s",
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
                    "%s works at %d Hz: the song is resampled for it from %d Hz, and its estimates back",
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
        """All settings that decide what the samples are, as JSON values.

        A precision is one of them only where the samples differ by more than the tolerance: then a run that
        goes on on another machine neither does everything again nor mixes two kinds of stems.
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
        """Seconds that must have been read at most before a sample is finished, at the model's own rate."""
        return self.run.latency

    @overload
    def separate(
        self,
        source: Tensor,
        sample_rate: int | None = ...,
        *,
        on_progress: Callable[[float], None] = ...,
        should_stop: Callable[[], bool] = ...,
    ) -> Tensor: ...

    @overload
    def separate(
        self,
        source: Path | str | Audio | BinaryIO,
        sample_rate: int | None = ...,
        *,
        on_progress: Callable[[float], None] = ...,
        should_stop: Callable[[], bool] = ...,
    ) -> Audio: ...

    def separate(
        self,
        source: Source,
        sample_rate: int | None = None,
        *,
        on_progress: Callable[[float], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Audio | Tensor:
        """Separate a whole signal. The result is held in memory; `stream` needs none for a long one.

        Args:
            source: A path, samples ``[K, N]`` as an array or a tensor, or a file opened for reading bytes.
            sample_rate: Of samples, in hertz. Default: the model's own. A file knows its own.
            on_progress: Is told the share that is done, 0 to 1.
            should_stop: Is asked after each block whether to stop.

        Returns:
            ``[S, K, N]`` at the same sample rate; a tensor for a tensor, on its device.

        Raises:
            AudioError: If a file cannot be read.
            UsageError: If the samples have another shape.
            CancelledError: If ``should_stop`` said so.
        """
        with open_source(source, sample_rate or self.model.config.sample_rate) as opened:
            levels = self.measure(opened.blocks(), opened.sample_rate, opened.channels)
            parts = [np.zeros((len(self.targets), opened.channels, 0), dtype=np.float32)]
            done = 0
            for block in self.stream(opened.blocks(), opened.sample_rate, opened.channels, levels):
                if should_stop():
                    raise CancelledError("the separation was stopped before its end")
                parts.append(block.targets)
                done += block.targets.shape[-1]
                on_progress(done / opened.frames)
        separated = np.concatenate(parts, axis=-1)
        return torch.from_numpy(separated).to(source.device) if isinstance(source, Tensor) else separated

    @overload
    def separate_stems(
        self,
        source: Tensor,
        sample_rate: int | None = ...,
        *,
        on_progress: Callable[[float], None] = ...,
        should_stop: Callable[[], bool] = ...,
    ) -> dict[str, Tensor]: ...

    @overload
    def separate_stems(
        self,
        source: Path | str | Audio | BinaryIO,
        sample_rate: int | None = ...,
        *,
        on_progress: Callable[[float], None] = ...,
        should_stop: Callable[[], bool] = ...,
    ) -> dict[str, Audio]: ...

    def separate_stems(
        self,
        source: Source,
        sample_rate: int | None = None,
        *,
        on_progress: Callable[[float], None] = lambda _: None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> dict[str, Audio] | dict[str, Tensor]:
        """Separate a whole signal into stems by name; else as `separate`.

        Returns:
            For each name of `targets`, in their order, ``[K, N]``.

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
        """Measure what `stream` wants to know of a whole song; for most nets nothing, and nothing is read.

        Args:
            blocks: The song as consecutive pieces ``[K, n]`` of any length, which are used up.
            sample_rate: In hertz.
            channels: Number of channels ``K``.
        """
        rates = {member.config.sample_rate for member in self.members if member.standardized}
        if not rates:
            return {}
        same = (block.astype(np.float32, copy=False) for block in blocks)
        return measure(same, sample_rate, channels, sorted(rates))

    def stream(
        self, blocks: Iterable[Audio], sample_rate: int, channels: int, levels: Levels | None = None
    ) -> Iterator[SeparatedBlock]:
        """Separate a signal block by block.

        A block is finished when `latency` seconds after it have been read, and what the resamplers hold; that
        much is held in memory, whatever the length of the signal.

        Args:
            blocks: The signal as consecutive pieces ``[K, n]`` of any length.
            sample_rate: In hertz.
            channels: Number of channels ``K``.
            levels: What `measure` said of the whole song. A net that needs it, and does not get it, uses the
                level of what has been read so far, which is said once in a warning.

        Yields:
            Finished pieces of the original and of the targets; together as long as the signal.
        """
        waiting: deque[Audio] = deque()

        def remember() -> Iterator[Audio]:
            for block in blocks:
                waiting.append(block)
                yield block.astype(np.float32, copy=False)

        rate = self.model.config.sample_rate
        inside = resample_stream(remember(), sample_rate, rate, channels)
        num_rows = len(self.run.targets) * channels
        unknown = [member for member in self.members if member.standardized]
        if levels is None and unknown and not self._warned:
            self._warned = True
            logger.warning(
                "%s wants to know a whole song's level beforehand; of a stream it gets that of what was read",
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
        """Separate a signal as `stream` does, and yield what each member makes of it by itself.

        Args:
            blocks: The signal as consecutive pieces ``[K, n]`` of any length.
            sample_rate: In hertz.
            channels: Number of channels ``K``.
            levels: What `measure` said of the whole song.

        Yields:
            ``[S, K, n]`` of each of `members`, with its own targets.
        """
        rate = self.model.config.sample_rate
        same = (block.astype(np.float32, copy=False) for block in blocks)
        inside = resample_stream(same, sample_rate, rate, channels)
        rows = [len(member.targets) * channels for member in self.members]
        joined = (np.concatenate(parts) for parts in self.run.apart(inside, channels, levels or {}))
        for flat in resample_stream(joined, rate, sample_rate, sum(rows)):
            parts = np.split(flat, np.cumsum(rows)[:-1])
            yield [part.reshape(-1, channels, part.shape[-1]) for part in parts]

    def _finished(self, original: Audio, targets: Audio) -> SeparatedBlock:
        if self.settings.consistent:
            # What the model's rate cannot hold, and what rounding leaves, is shared out evenly.
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
