"""Separates one audio file into stem files."""

import math
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from auralflow.audio import (
    Audio,
    AudioInfo,
    AudioWriter,
    StreamResampler,
    probe,
    read_tags,
    resampled_length,
    stream_audio,
)
from auralflow.audio.encoding import Encoding, choose_encoding
from auralflow.audio.formats import FORMATS
from auralflow.config import StemConfig, parse_settings, show_settings
from auralflow.errors import AudioError, CancelledError
from auralflow.separation.naming import file_names
from auralflow.separation.pipeline import prefetch
from auralflow.separation.spool import Spool
from auralflow.separation.stems import StemMaker
from auralflow.separation.stream import SeparatedBlock, Separator

__all__ = ["SongReport", "range_of", "separate_file"]


@dataclass(frozen=True)
class SongReport:
    """The files written for a song.

    Attributes:
        files: Names of the files in the song's folder.
        seconds: Length of the separated audio in seconds.
        sample_rate: Sample rate of the files in hertz.
        channels: Number of channels.
        format: Container format of the files.
        subtype: Sample format of the files.
        gain_db: Gain applied to all files, in dB; 0 unless a stem would have clipped.
        residual_db: Level of the original minus the targets, in dB relative to the original; None if silent.
        null_db: Level of the original minus all other files, in dBFS; None if the difference is exactly zero.
    """

    files: tuple[str, ...]
    seconds: float
    sample_rate: int
    channels: int
    format: str
    subtype: str
    gain_db: float
    residual_db: float | None
    null_db: float | None

    def to_json(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self) | {"files": list(self.files)}


def range_of(info: AudioInfo, options: StemConfig) -> tuple[int, int]:
    """First sample and number of samples of the excerpt to separate.

    Raises:
        AudioError: If the file ends before the excerpt starts.

    Example:
        >>> info = AudioInfo(Path("a.wav"), 8000, 1, 80000, "WAV", "PCM_16")
        >>> range_of(info, StemConfig(start=9, duration=5))
        (72000, 8000)
    """
    start = round(options.start * info.sample_rate)
    if start and start >= info.frames:
        raise AudioError(
            f"nothing left to separate in '{info.path}'",
            found=f"{info.frames / info.sample_rate:.2f} s of audio",
            expected=f"more than the {options.start:g} s skipped by --start",
        )
    frames = info.frames - start
    if options.duration is not None:
        frames = min(frames, round(options.duration * info.sample_rate))
    return start, frames


@show_settings(StemConfig)
def separate_file(
    separator: Separator,
    path: str | Path,
    folder: str | Path,
    options: StemConfig | None = None,
    *,
    track: str | None = None,
    on_progress: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    before_naming: Callable[[], None] | None = None,
    **changes: Any,
) -> SongReport:
    """Separate a file into ``original``, one file per target and, if requested, ``residual``.

    The stems keep the file's sample rate, channels, bit depth, length and tags, as far as their format
    allows. No stem is rescaled individually, and files only appear once they are complete.

    Args:
        separator: The separator.
        path: The audio file.
        folder: The folder for the stems, created if missing.
        options: What to write. Default: the defaults of `StemConfig`.
        track: Name of the song in file names. Default: the name of the file without its extension.
        on_progress: Called with the fraction done, from 0 to 1.
        should_stop: Called after each block; return True to stop.
        before_naming: Called when the files are complete but still have temporary names; if it raises, they
            are discarded.
        changes: Options by name, overriding those in ``options``; `StemConfig` describes them.

    Returns:
        A report of the files.

    Raises:
        AudioError: If the file cannot be read, or the stems cannot be written.
        SettingsError: If an option is unknown or out of range.
        CancelledError: If ``should_stop`` returned True.
        OSError: If the disk is full.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from auralflow.audio import write_audio
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_audio(folder / "song.wav", np.zeros((2, 4000), dtype=np.float32), 44100)
        >>> separator = Separator("SpectrogramNetSimple", two_stems="vocals")
        >>> separate_file(separator, folder / "song.wav", folder / "stems").files
        ('original.wav', 'vocals.wav', 'instrumental.wav')
    """
    path, folder = Path(path), Path(folder)
    given = options.model_dump(include=set(StemConfig.model_fields)) if options else {}
    options = parse_settings(StemConfig, given | changes)
    info = probe(path)
    job = _Job(
        separator,
        info,
        folder,
        options,
        choose_encoding(info, options.format, options.subtype, options.bitrate),
        before_naming,
        path.stem if track is None else track,
    )
    if job.frames == 0 and not FORMATS[options.format].holds_nothing:
        raise AudioError(f"'{path}' contains no samples", expected=f"at least one for {job.encoding.format}")
    folder.mkdir(parents=True, exist_ok=True)
    with closing(job.separated(on_progress, should_stop)) as blocks:
        if job.encoding.is_float or options.clip == "error":
            return job.write(blocks, job.maker())
        return job.write_without_clipping(blocks)


@dataclass
class _Job:
    """The separation of one file."""

    separator: Separator
    info: AudioInfo
    folder: Path
    options: StemConfig
    encoding: Encoding
    before_naming: Callable[[], None] | None
    track: str

    def __post_init__(self) -> None:
        self.start, self.frames = range_of(self.info, self.options)

    def maker(self, gain: float = 1.0) -> StemMaker:
        return StemMaker(
            self.encoding,
            residual=self.options.residual,
            consistent=self.separator.adds_up,
            gain=gain,
        )

    def separated(
        self, on_progress: Callable[[float], None] | None, should_stop: Callable[[], bool] | None
    ) -> Generator[SeparatedBlock, None, None]:
        """The finished blocks; decoding, separation and the consumer of the blocks run concurrently."""
        wide = self.info.subtype in ("PCM_32", "DOUBLE", "PCM_S32LE", "PCM_F64LE")

        def decoded() -> Iterator[Audio]:
            yield from stream_audio(
                self.info.path,
                start=self.start,
                frames=self.frames,
                dtype="float64" if wide else "float32",
            )

        done = 0
        rate, channels = self.info.sample_rate, self.info.channels
        levels = self.separator.measure(decoded(), rate, channels)
        blocks = self.separator.stream(prefetch(decoded()), rate, channels, levels)
        for block in prefetch(blocks):
            if should_stop and should_stop():
                raise CancelledError(f"the separation of '{self.info.path}' was stopped")
            yield block
            done += block.original.shape[-1]
            if on_progress:
                on_progress(done / self.frames)

    def write_without_clipping(self, blocks: Iterator[SeparatedBlock]) -> SongReport:
        """Buffer the blocks on disk until the peak is known, then write the files."""
        maker = self.maker()
        with Spool(self.folder) as spool:
            excess = 0.0
            for block in blocks:
                excess = max(excess, maker.excess(block))
                spool.put(block)
            if excess > 1.0 and self.options.clip == "float":
                maker.encoding = Encoding("WAV", "FLOAT")
            elif excess > 1.0:
                maker.gain = 1.0 / excess
                # The gain changes how samples are rounded, which may push one beyond full scale again.
                while maker.encoding.bits and (excess := max(map(maker.excess, spool))) > 1.0:
                    maker.gain /= excess + maker.headroom(len(self.separator.targets))
            return self.write(iter(spool), maker)

    def write(self, blocks: Iterator[SeparatedBlock], maker: StemMaker) -> SongReport:
        """Write the files block by block."""
        names = file_names(self.separator.targets, self.options, self.track)
        tags = read_tags(self.info.path)
        rate, channels = self.info.sample_rate, self.info.channels
        file_rate = maker.encoding.sample_rate or rate
        with ExitStack() as stack:
            writers = [
                stack.enter_context(
                    AudioWriter(
                        self.folder / name,
                        file_rate,
                        channels,
                        maker.encoding.subtype,
                        maker.encoding.format,
                        frames=resampled_length(self.frames, rate, file_rate),
                        tags=tags,
                        bitrate=maker.encoding.bitrate,
                    )
                )
                for name in names
            ]
            resamplers = [StreamResampler(rate, file_rate, channels) for _ in names]
            for block in blocks:
                if self.options.clip == "error":
                    self._refuse_clipping(maker, block)
                stems = maker.make(block)[0 if self.options.original else 1 :]
                for writer, resampler, audio in zip(writers, resamplers, stems, strict=True):
                    writer.write(resampler.push(audio))
            for writer, resampler in zip(writers, resamplers, strict=True):
                writer.write(resampler.finish())
            if self.before_naming:
                self.before_naming()
        return SongReport(
            tuple(names),
            self.frames / rate,
            file_rate,
            channels,
            maker.encoding.format,
            maker.encoding.subtype,
            20 * math.log10(maker.gain),
            maker.null_test.residual_db,
            maker.null_test.null_db,
        )

    def _refuse_clipping(self, maker: StemMaker, block: SeparatedBlock) -> None:
        excess = maker.excess(block)
        if excess > 1.0:
            raise AudioError(
                f"a stem of '{self.info.path}' would clip",
                found=f"a sample {20 * math.log10(excess):.1f} dB above full scale",
                expected=f"none for {maker.encoding.format} {maker.encoding.subtype} with --clip error",
                advice="Use --clip gain, --clip float or --subtype FLOAT.",
            )
