"""What every separator is to the rest of the house: a chunk of mixture in, the targets' audio out.

Transforms, masks, latents and weights for each target are private to a family of nets. The engine, the trainer,
the evaluation and the export know `SeparationModel`, its `Traits`, its `Chunking` and its `Estimate`, and nothing
else of a net.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor, nn

from auralflow.config import ModelConfig

__all__ = ["Chunking", "Estimate", "Graph", "SeparationModel", "Traits", "Transform"]


class Transform(Protocol):
    """A model's own way between audio ``[..., N]`` and complex spectrograms ``[..., F, T]``."""

    def __call__(self, audio: Tensor) -> Tensor:
        """Transform audio ``[..., N]`` to spectrograms ``[..., F, T]``."""
        ...

    def inverse(self, spectrogram: Tensor, num_samples: int) -> Tensor:
        """Transform spectrograms ``[..., F, T]`` back to audio ``[..., num_samples]``."""
        ...


class Estimate:
    """What a model knows about a batch of chunks; holds audio or spectrograms, and makes the other on demand.

    Exactly one of ``mask``, ``spectrogram`` and ``audio`` is what the net returned; the rest follows from it.

    Args:
        mixture_audio: Audio of the mixture ``[B, C, N]``.
        transform: The model's transform.
        mask: Masks ``[B, S, C, F, T]`` in [0, 1] on the mixture's spectrogram.
        spectrogram: Complex spectrograms of the targets ``[B, S, C, F, T]``.
        audio: Audio of the targets ``[B, S, C, N]``.
        mixture: The mixture's complex spectrogram ``[B, C, F, T]``, where the net has already made it.
        penalty: A scalar that training adds to any loss, such as a variational net's KL term.
    """

    def __init__(
        self,
        mixture_audio: Tensor,
        transform: Transform,
        *,
        mask: Tensor | None = None,
        spectrogram: Tensor | None = None,
        audio: Tensor | None = None,
        mixture: Tensor | None = None,
        penalty: Tensor | None = None,
    ) -> None:
        if sum(part is not None for part in (mask, spectrogram, audio)) != 1:
            raise ValueError("an Estimate is made from exactly one of mask, spectrogram and audio")
        self.mixture_audio = mixture_audio
        self.transform = transform
        self.mask = mask
        self.penalty = penalty
        self._mixture = mixture
        self._spectrogram = spectrogram
        self._audio = audio

    @property
    def num_samples(self) -> int:
        """Length ``N`` of the audio."""
        return self.mixture_audio.shape[-1]

    @property
    def mixture(self) -> Tensor:
        """Complex spectrogram of the mixture ``[B, C, F, T]``."""
        if self._mixture is None:
            self._mixture = self.transform(self.mixture_audio)
        return self._mixture

    @property
    def spectrogram(self) -> Tensor:
        """Complex spectrograms of the targets ``[B, S, C, F, T]``.

        A real mask on a complex number scales its magnitude and keeps its phase.
        """
        if self._spectrogram is None:
            if self.mask is not None:
                self._spectrogram = self.mask * self.mixture.unsqueeze(1)
            else:
                self._spectrogram = self.transform(self.audio)
        return self._spectrogram

    @property
    def audio(self) -> Tensor:
        """Audio of the targets ``[B, S, C, N]``."""
        if self._audio is None:
            self._audio = self.transform.inverse(self.spectrogram, self.num_samples)
        return self._audio

    def filtered(self, spectrogram: Tensor) -> "Estimate":
        """The same chunks with other spectrograms ``[B, S, C, F, T]``, as a filter returns them."""
        return Estimate(self.mixture_audio, self.transform, spectrogram=spectrogram, mixture=self._mixture)


@dataclass(frozen=True, kw_only=True)
class Traits:
    """Facts about a model that the engine and the trainer ask.

    Attributes:
        fixed_length: Whether the net reads chunks of ``config.chunk_samples`` only.
        dependent_targets: Whether the targets depend on one another, as under a softmax: such a model is never
            cut down to some of its targets.
        has_masks: Whether estimates carry masks.
        has_penalty: Whether estimates carry a penalty, such as a variational net's KL term.
        trainable: Whether the model can be trained.
        standardized: Whether the net expects songs with mean 0 and standard deviation 1: the engine reads the
            song once for the statistics of its mono mixture, and undoes them on the estimates.
    """

    fixed_length: bool = False
    dependent_targets: bool = False
    has_masks: bool = False
    has_penalty: bool = False
    trainable: bool = True
    standardized: bool = False


WindowName = Literal["cross_fade", "triangle", "hann", "linear_tenth", "rectangle"]


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """How a song is dealt out to a net in chunks, and how their estimates become one song again.

    The default is auralflow's own: a new chunk is begun only for samples that no earlier one covers, and
    estimates are cross-faded. The other settings reproduce how published models are run.

    Attributes:
        length: Samples of a chunk whose estimates are used.
        step: Samples from one chunk's start to the next.
        window: Weights of a chunk's estimates. ``cross_fade``: linear fades over what chunks share;
            ``triangle``: rising to the middle (Demucs); ``hann``: symmetric, of the chunk's actual length
            (MDX-Net); ``linear_tenth``: fades over a tenth of a chunk, none at the ends of the song (MSST);
            ``rectangle``: ones.
        normalized: Divide by the sum of the weights. Off, chunks add up, as frames of one transform do.
        before: Samples put in front of the song.
        after: Samples put behind it, beside what fills the last chunk.
        edges: What those samples are: zeros, or the song mirrored (where it is long enough).
        context: Samples on both sides of a chunk that the net reads and whose estimates are left out; of the
            song where it has them, else zeros.
        every_step: Begin a chunk at every multiple of ``step`` within the song, also where it covers nothing new.
        last: How a chunk that runs past the end is filled: with ``zeros``; mirrored where more than half of it
            is song (``reflect``); or cut short and centred in the net's length (``centre``, Demucs).
    """

    length: int
    step: int
    window: WindowName = "cross_fade"
    normalized: bool = True
    before: int = 0
    after: int = 0
    edges: Literal["zeros", "reflect"] = "zeros"
    context: int = 0
    every_step: bool = False
    last: Literal["zeros", "reflect", "centre"] = "zeros"


@dataclass(frozen=True, kw_only=True)
class Graph:
    """A part of a model that other programs can run: tensors in, tensors out.

    Attributes:
        module: The part.
        example: Example inputs, whose first axis is free.
        inputs: Their names.
        outputs: Names of the outputs.
        batch_axes: By input, the axis that may have any length, counted from 0.
    """

    module: nn.Module
    example: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class SeparationModel(nn.Module):
    """A separator: audio of a mixture in, an estimate of its targets out.

    Subclasses set ``config``, ``traits`` and ``transform`` and implement `forward`; the other methods have
    defaults that hold for any net.

    Attributes:
        config: The settings.
        traits: Facts about the model.
        transform: Its way between audio and spectrograms, for filters and spectral losses. A net that needs
            none has one of its own choice.
    """

    config: ModelConfig
    traits: Traits
    transform: Transform

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets, in the order of the axis ``S``."""
        return self.config.targets

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device

    def forward(self, mixture: Tensor) -> Estimate:
        """Estimate the targets of chunks of audio ``[B, C, N]``."""
        raise NotImplementedError

    def chunking(self, *, length: int | None = None, overlap: float | None = None) -> Chunking:
        """How to deal a song out to the net.

        Args:
            length: Samples of a chunk. Default: the model's own.
            overlap: Share of a chunk that the next one covers again, from 0 to below 1. Default: the model's own.
        """
        own = self.config.chunk_samples
        shared = round(own * (self.config.overlap if overlap is None else overlap))
        chosen = own if length is None else length
        return Chunking(length=chosen, step=max(1, chosen - shared))

    def restricted(self, targets: tuple[str, ...]) -> "SeparationModel":
        """A model that computes only some of the targets, in the given order.

        Raises:
            NotFoundError: If the model lacks one of them.
            UsageError: If the targets depend on one another.
        """
        raise NotImplementedError

    def for_inference(self) -> Self:
        """An equal, faster model that cannot be trained: folded norms, fused weights. Default: a frozen copy."""
        raise NotImplementedError

    def parameter_groups(self, settings: Any) -> list[dict[str, Any]]:
        """Groups of parameters for an optimizer, each with the learning rate that the settings give it."""
        return [{"params": list(self.parameters()), "lr": settings.lr}]

    def export_graph(self, *, num_frames: int | None = None) -> Graph | None:
        """The part of the model that ONNX can express, None where there is none."""
        return None
