"""Systems that can be scored: models, the stems of other separators, and the bounds.

Shape letters: ``B`` batch, ``S`` source, ``K`` channel of the track, ``F`` frequency bin, ``T`` frame, ``n``
sample of a block.
"""

import copy
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from auralflow.audio import Audio, is_audio, probe, resample_stream, stream_audio
from auralflow.datasets import Track
from auralflow.errors import DatasetError, NotFoundError
from auralflow.evaluation.scores import ACCOMPANIMENT
from auralflow.evaluation.streams import BlockReader, mixture_blocks, track_channels
from auralflow.nets.door import SeparationModel
from auralflow.separation import Separator
from auralflow.transforms import Chunking, overlap_add

__all__ = ["IdealMask", "MixtureAsEstimate", "ModelSystem", "StemFolder", "System", "fingerprint"]


def fingerprint(paths: Iterable[Path]) -> list[list[Any]]:
    """Path, size and time of the last modification of files, to detect changes."""
    return [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in paths]


class System(Protocol):
    """Something that provides estimates of targets in tracks.

    Attributes:
        name: Its name in tables.
        targets: The targets it can estimate.
    """

    name: str
    targets: tuple[str, ...]

    def identity(self, track: Track) -> Mapping[str, Any]:
        """Everything that its estimates depend on besides the track's files, as JSON values."""

    def available(self, track: Track) -> tuple[str, ...]:
        """The targets it can estimate in this track."""

    def stream(self, track: Track, sources: Sequence[str], targets: Sequence[str]) -> Iterator[Audio]:
        """Blocks of estimates ``[S, K, n]``, with the track's sample rate and number of channels."""


class ModelSystem:
    """A model, run in the same way as by ``auralflow separate``.

    Args:
        separator: The separator of the model.
        name: Its name in tables.
    """

    def __init__(self, separator: Separator, name: str) -> None:
        self.separator = separator
        self.name = name
        self.targets = separator.targets
        digest = hashlib.sha256()
        for key, value in sorted(separator.model.state_dict().items()):
            digest.update(key.encode() + value.detach().cpu().numpy().tobytes())
        self._identity = {
            "model": separator.model.config.model_dump(mode="json"),
            "weights": digest.hexdigest(),
            "settings": separator.settings.identity(),
        }

    def identity(self, track: Track) -> Mapping[str, Any]:
        """Settings and weights of the model."""
        return self._identity

    def available(self, track: Track) -> tuple[str, ...]:
        """All targets of the model."""
        return self.targets

    def stream(self, track: Track, sources: Sequence[str], targets: Sequence[str]) -> Iterator[Audio]:
        """Separate the mixture, and yield blocks of estimates ``[S, K, n]``."""
        chosen = [self.targets.index(target) for target in targets]
        rate, channels = track.sample_rate, track_channels(track, sources)
        levels = self.separator.measure(mixture_blocks(track, sources), rate, channels)
        for block in self.separator.stream(mixture_blocks(track, sources), rate, channels, levels):
            yield block.targets[chosen]


class MixtureAsEstimate:
    """The floor: the unprocessed mixture as the estimate of every target.

    Args:
        targets: The targets.
    """

    def __init__(self, targets: Sequence[str]) -> None:
        self.name = "mixture"
        self.targets = tuple(targets)

    def identity(self, track: Track) -> Mapping[str, Any]:
        """A constant: it only depends on the mixture."""
        return {"bound": "mixture"}

    def available(self, track: Track) -> tuple[str, ...]:
        """All targets."""
        return self.targets

    def stream(self, track: Track, sources: Sequence[str], targets: Sequence[str]) -> Iterator[Audio]:
        """Yield blocks ``[S, K, n]`` with the mixture for each target."""
        for block in mixture_blocks(track, sources):
            yield np.broadcast_to(block, (len(targets), *block.shape))


class IdealMask:
    """The ceiling: an oracle mask from the references, with a model's transform, chunks and sample rate.

    With ``S`` the target's spectrogram and ``R`` that of the mixture minus the target, per channel, the ideal
    ratio mask is ``|S|^2 / (|S|^2 + |R|^2)``, and the ideal binary mask is 1 where ``|S| > |R|``, otherwise
    0. The phase is the mixture's, as for a model. Nothing that masks magnitudes in this transform can do much
    better.

    Args:
        kind: ``"irm"`` or ``"ibm"``.
        model: The model.
        targets: The targets. Default: the model's.
        overlap: Fraction of a chunk that overlaps the next one. Default: 0.25.
        device: The device to compute on. Default: the CPU.

    Source:
        Stöter, Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018 (IRM2); Wang,
        "On ideal binary mask as the computational goal of auditory scene analysis", 2005.
    """

    def __init__(
        self,
        kind: Literal["irm", "ibm"],
        model: SeparationModel,
        *,
        targets: Sequence[str] = (),
        overlap: float = 0.25,
        device: torch.device | None = None,
    ) -> None:
        self.kind = kind
        self.name = {"irm": "ideal ratio mask", "ibm": "ideal binary mask"}[kind]
        self.config = model.config
        self.targets = tuple(targets) or model.targets
        self.overlap = overlap
        self.device = device or torch.device("cpu")
        self.transform = copy.deepcopy(model).to(self.device).transform

    def identity(self, track: Track) -> Mapping[str, Any]:
        """The kind of mask, and the settings of the model whose transform and chunks it uses."""
        settings = self.config.model_dump(mode="json", exclude={"targets"})
        return {"bound": self.kind, "overlap": self.overlap, "model": settings}

    def available(self, track: Track) -> tuple[str, ...]:
        """The targets with a known reference."""
        return tuple(target for target in self.targets if target in track.stems)

    def stream(self, track: Track, sources: Sequence[str], targets: Sequence[str]) -> Iterator[Audio]:
        """Apply the ideal masks to the mixture, and yield blocks of estimates ``[S, K, n]``."""
        config, channels = self.config, track_channels(track, sources)
        wide = (1 + len(targets)) * channels
        inside = resample_stream(
            self._together(track, sources, targets, channels), track.sample_rate, config.sample_rate, wide
        )
        masked = overlap_add(
            (torch.from_numpy(block).to(self.device) for block in inside),
            lambda chunks: self._mask(chunks, channels),
            Chunking(
                length=config.chunk_samples, step=max(1, round(config.chunk_samples * (1 - self.overlap)))
            ),
        )
        flat = (part.flatten(0, 1).cpu().numpy() for part in masked)
        for block in resample_stream(flat, config.sample_rate, track.sample_rate, len(targets) * channels):
            yield block.reshape(len(targets), channels, -1)

    @staticmethod
    def _together(
        track: Track, sources: Sequence[str], targets: Sequence[str], channels: int
    ) -> Iterator[Audio]:
        """The mixture and the references as channels of one stream, so that they stay in sync."""
        readers = [
            BlockReader(stream_audio(track.stems[target]), channels, f"{track.name}/{target}")
            for target in targets
        ]
        for mixture in mixture_blocks(track, sources):
            yield np.concatenate([mixture, *(reader.take(mixture.shape[-1]) for reader in readers)])

    def _mask(self, chunks: Tensor, channels: int) -> Tensor:
        """Map chunks ``[B, (1 + S) K, N]`` of mixture and references to masked mixtures ``[B, S, K, N]``."""
        spectrogram: Tensor = self.transform(chunks)
        spectrogram = spectrogram.reshape(len(chunks), -1, channels, *spectrogram.shape[2:])
        mixture, target = spectrogram[:, :1], spectrogram[:, 1:]
        own, rest = target.abs().square(), (mixture - target).abs().square()
        if self.kind == "ibm":
            mask = (own > rest).float()
        else:
            mask = own / (own + rest).clamp_min(torch.finfo(own.dtype).tiny)
        return self.transform.inverse(mask * mixture, chunks.shape[-1])


class StemFolder:
    """Stems written by another separator, found by the names of track and target.

    They are looked up in ``FOLDER/<track>/<target>.<ext>``, ``FOLDER/<subset>/<track>/`` and
    ``FOLDER/separated_audio/<track>/``; ``no_vocals`` and ``instrumental`` count as accompaniment.

    Args:
        folder: The folder.
        subset: Split of the dataset.
        targets: Targets to look for.
        name: Its name in tables. Default: the name of the folder.

    Raises:
        NotFoundError: If the folder does not exist.
    """

    ALIASES: Mapping[str, tuple[str, ...]] = {ACCOMPANIMENT: (ACCOMPANIMENT, "no_vocals", "instrumental")}
    LONGEST_SLIP = 0.5
    """Maximum difference in seconds between the lengths of a stem and its track."""

    def __init__(self, folder: str | Path, subset: str, targets: Sequence[str], *, name: str = "") -> None:
        folder = Path(folder)
        if not folder.is_dir():
            raise NotFoundError(
                f"no such folder: '{folder}'", expected="a folder with <track>/vocals.wav and so on"
            )
        self.folder = folder
        self.subset = subset
        self.name = name or folder.resolve().name
        self.targets = tuple(targets)

    def identity(self, track: Track) -> Mapping[str, Any]:
        """The stem files, with their size and time of modification."""
        return {"stems": fingerprint(self.files(track).values())}

    def files(self, track: Track) -> dict[str, Path]:
        """The stem files that exist, by target."""
        places = [self.folder / part / track.name for part in ("", self.subset, "separated_audio")]
        found: dict[str, Path] = {}
        for place in places:
            inside = sorted(place.iterdir()) if place.is_dir() else []
            for target in self.targets:
                names = self.ALIASES.get(target, (target,))
                matches = [path for path in inside if path.stem.lower() in names and is_audio(path)]
                if matches:
                    found.setdefault(target, matches[0])
        return found

    def available(self, track: Track) -> tuple[str, ...]:
        """The targets whose stem file exists."""
        return tuple(self.files(track))

    def stream(self, track: Track, sources: Sequence[str], targets: Sequence[str]) -> Iterator[Audio]:
        """Read the stems, and yield blocks ``[S, K, n]`` at the track's sample rate.

        Raises:
            DatasetError: If the length of a stem differs from that of its track.
        """
        channels, files = track_channels(track, sources), self.files(track)
        readers = []
        for target in targets:
            info = probe(files[target])
            if abs(info.seconds - track.seconds) > self.LONGEST_SLIP:
                raise DatasetError(
                    f"'{files[target]}' does not have the length of its track",
                    found=f"{info.seconds:.2f} s",
                    expected=f"{track.seconds:.2f} s",
                )
            blocks = resample_stream(
                stream_audio(files[target]), info.sample_rate, track.sample_rate, info.channels
            )
            readers.append(BlockReader(blocks, channels, str(files[target])))
        for mixture in mixture_blocks(track, sources):
            yield np.stack([reader.take(mixture.shape[-1]) for reader in readers])
