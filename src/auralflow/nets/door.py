"""The interface of all separators: a chunk of the mixture in, audio of the targets out.

Transforms, masks, latents and weights are private to a family of nets. The engine, the trainer, the
evaluation and the export only use `SeparationModel`, its `Traits`, `Chunking` and `Estimate`.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from auralflow.config import ModelConfig
from auralflow.errors import ModelError, NotFoundError, UsageError
from auralflow.transforms import Chunking, Transform, overlap_add, wiener_filter

__all__ = [
    "Chunking",
    "Ensemble",
    "Estimate",
    "Graph",
    "SeparationModel",
    "Traits",
    "Transform",
    "WarmStart",
]


class Estimate:
    """A model's estimates for a batch of chunks, as audio or spectrograms; the other is computed on demand.

    The net returns exactly one of ``mask``, ``spectrogram`` and ``audio``; the rest is derived from it.

    Args:
        mixture_audio: Audio of the mixture ``[B, C, N]``.
        transform: The model's transform.
        mask: Masks ``[B, S, C, F, T]`` in [0, 1] for the mixture's spectrogram.
        spectrogram: Complex spectrograms of the targets ``[B, S, C, F, T]``.
        audio: Audio of the targets ``[B, S, C, N]``.
        mixture: Complex spectrogram of the mixture ``[B, C, F, T]``, if the net has already computed it.
        penalty: Values that training adds to the loss, such as the KL term of a variational net; averaged or
            summed like the loss. Default: none.

    Raises:
        ValueError: If not exactly one of ``mask``, ``spectrogram`` and ``audio`` is given.

    Example:
        >>> from auralflow.transforms import STFT
        >>> audio = torch.zeros(1, 4, 2, 4096)
        >>> estimate = Estimate(torch.zeros(1, 2, 4096), STFT(512, 512, 128), audio=audio)
        >>> estimate.spectrogram.shape[:4]
        torch.Size([1, 4, 2, 257])
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

        A real mask scales the magnitude of a complex number and keeps its phase.
        """
        if self._spectrogram is None:
            if self.mask is not None:
                self._spectrogram = self.mask * self.mixture.unsqueeze(1)
            else:
                self._spectrogram = self.transform(self.audio)
        return self._spectrogram

    @property
    def magnitudes(self) -> Tensor:
        """Magnitudes of the targets' spectrograms ``[B, S, C, F, T]``."""
        if self.mask is not None:
            return self.mask * self.mixture.abs().unsqueeze(1)
        return self.spectrogram.abs()

    @property
    def is_audio(self) -> bool:
        """Whether the net returned audio, so that `audio` needs no transform."""
        return self._audio is not None

    @property
    def audio(self) -> Tensor:
        """Audio of the targets ``[B, S, C, N]``."""
        if self._audio is None:
            self._audio = self.transform.inverse(self.spectrogram, self.num_samples)
        return self._audio

    def filtered(self, spectrogram: Tensor) -> "Estimate":
        """Replace the spectrograms ``[B, S, C, F, T]``, for example by those that a filter returned."""
        return Estimate(self.mixture_audio, self.transform, spectrogram=spectrogram, mixture=self._mixture)


@dataclass(frozen=True, kw_only=True)
class Traits:
    """Properties of a model that the engine and the trainer need to know.

    Attributes:
        fixed_length: Whether the net only accepts chunks of ``config.chunk_samples``. Default: False.
        dependent_targets: Whether the targets depend on each other, as with a softmax, so that the model
            cannot be restricted to some of its targets. Default: False.
        has_masks: Whether estimates have masks. Default: False.
        has_penalty: Whether estimates have a penalty, such as the KL term of a variational net. Default:
            False.
        trainable: Whether the model can be trained. Default: True.
        standardized: Whether the net expects songs with mean 0 and standard deviation 1. If so, the engine
            reads the song once for the statistics of its mono mixture, and inverts the scaling on the
            estimates. Default: False.
        bfloat16_error: Error of bfloat16 in dB relative to the estimates, measured by
            ``benchmarks/differences.py``. None if it is not known to be small; then bfloat16 is only used on
            request. Default: None.
        cpu_batch: Default batch size on a CPU. More than 1 helps nets with small matrix products, but
            multiplies the memory. Default: 2.
    """

    fixed_length: bool = False
    dependent_targets: bool = False
    has_masks: bool = False
    has_penalty: bool = False
    trainable: bool = True
    standardized: bool = False
    bfloat16_error: float | None = None
    cpu_batch: int = 2


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The part of a model that other programs can run. The first axis of all inputs and outputs is dynamic.

    Attributes:
        module: The module to export.
        example: Example inputs.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        use: Estimates the targets of chunks ``[B, C, N]``, given a function that replaces ``module``.
    """

    module: nn.Module
    example: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    use: Callable[[Tensor, Callable[..., tuple[Tensor, ...]]], Estimate]


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Models that separate the same song, each as it would alone, and how to combine their estimates.

    Attributes:
        members: The models, which can be of any kind.
        weights: Weights ``[M, S]`` of ``M`` members for each target of the ensemble; 0 where a member is not
            used.
        method: Name of the method to combine estimates.
        spectral: Whether complex spectrograms rather than samples are combined.
        combine: Combines estimates ``[M, ...]`` into one ``[...]``, given the weights ``[M]`` and the method.
    """

    members: tuple["SeparationModel", ...]
    weights: Tensor
    method: str
    spectral: bool
    combine: Callable[[Tensor, Tensor, str], Tensor]


class WarmStart(NamedTuple):
    """The result of initialising a model from another one.

    Attributes:
        taken: Fraction of its weights that come from the other model, from 0 to 1.
        fresh: Names of the tensors that remain untrained.
    """

    taken: float
    fresh: tuple[str, ...]


def scaling_advice(kind: str) -> str:
    """How to get from samples of an integer type to floats from -1 to 1.

    Example:
        >>> scaling_advice("int16")
        'Divide by full scale: samples / 32768.'
    """
    full_scale = {"int16": "32768", "int32": "2**31"}.get(kind)
    return f"Divide by full scale: samples / {full_scale}." if full_scale else ""


class SeparationModel(nn.Module):
    """Base class of separators: audio of a mixture in, an estimate of its targets out.

    Subclasses set ``config``, ``traits`` and ``transform`` and implement `forward`; the other methods have
    defaults that work for any net.

    Attributes:
        config: The settings.
        traits: Properties of the model.
        transform: Transform between audio and spectrograms, for filters and spectral losses. Nets that do not
            use one can choose any.
    """

    config: ModelConfig
    traits: Traits = Traits()
    transform: Transform

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets, in the order of the axis ``S``."""
        return self.config.targets

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(chain(self.parameters(), self.buffers())).device

    @property
    def ensemble(self) -> Ensemble | None:
        """The members, if the model is an ensemble, otherwise None."""
        return None

    @property
    def is_divisible(self) -> bool:
        """Whether `restricted` can remove targets."""
        return not self.traits.dependent_targets and type(self).restricted is not SeparationModel.restricted

    def forward(self, mixture: Tensor) -> Estimate:
        """Estimate the targets of chunks of audio ``[B, C, N]``."""
        raise NotImplementedError

    def chunking(self, *, length: int | None = None, overlap: float | None = None) -> Chunking:
        """How to divide a song into chunks.

        Args:
            length: Length of a chunk in samples. Default: the model's.
            overlap: Overlap as a fraction of the model's chunk length, from 0 to below 1; the same number of
                samples for longer chunks. Default: the model's.

        Returns:
            The chunking.
        """
        own = self.config.chunk_samples
        share = self.config.overlap if overlap is None else overlap
        shared = own - max(1, round(own * (1 - share)))
        chosen = own if length is None else length
        return Chunking(length=chosen, step=max(1, chosen - shared))

    def restricted(self, targets: tuple[str, ...]) -> "SeparationModel":
        """Derive a model for only some of the targets, in the given order. Not supported by default.

        Args:
            targets: The targets to keep.

        Returns:
            The model.

        Raises:
            NotFoundError: If the model lacks one of them.
            UsageError: If the targets depend on each other, or the net computes all of them at once.
        """
        self.check_restriction(targets)
        return self

    def check_restriction(self, targets: tuple[str, ...]) -> None:
        """Check that `restricted` supports the given targets.

        Raises:
            NotFoundError: If the model lacks one of them.
            UsageError: If the targets depend on each other, or the net computes all of them at once.
        """
        for target in targets:
            if target not in self.targets:
                raise NotFoundError(f"the model has no target {target!r}", expected=", ".join(self.targets))
        if targets != self.targets and not self.is_divisible:
            raise UsageError(
                f"a {self.config.net} with these settings cannot be restricted to some of its targets",
                found=", ".join(targets),
                expected=f"all of {', '.join(self.targets)}, which are estimated together",
                advice="Keep all of them, and choose with auralflow separate --targets.",
            )

    @property
    def wiener_iterations(self) -> int:
        """Default number of iterations of the Wiener filter."""
        return 0

    def wiener_filtered(self, estimate: Estimate, iterations: int) -> Tensor:
        """Refine an estimate with the multichannel Wiener filter.

        Args:
            estimate: The model's estimate.
            iterations: Number of iterations, at least 1.

        Returns:
            Complex spectrograms of the targets ``[B, S, C, F, T]``.
        """
        return wiener_filter(estimate.magnitudes, estimate.mixture, iterations=iterations)

    def for_inference(self) -> Self:
        """An equivalent model that cannot be trained and may be faster. Default: a frozen copy."""
        return copy.deepcopy(self).eval().requires_grad_(False)

    def parameter_groups(self, settings: Any) -> list[dict[str, Any]]:
        """Parameter groups for an optimizer, with their learning rates."""
        return [{"params": list(self.parameters()), "lr": settings.lr}]

    def start_from(self, source: "SeparationModel") -> WarmStart:
        """Copy matching weights from another model. Default: those with the same name and shape.

        Args:
            source: The trained model, which is not changed.

        Returns:
            How much was copied, and what remains untrained.

        Raises:
            ModelError: If no weights match.
        """
        own, given = self.state_dict(), source.state_dict()
        fitting = {
            name: given[name] for name in own if name in given and given[name].shape == own[name].shape
        }
        if not fitting:
            raise ModelError(
                f"{self.config.net} cannot start from these weights",
                found=f"a {source.config.net} without any matching tensor",
                expected=f"a trained {self.config.net}",
            )
        self.load_state_dict(fitting, strict=False)
        total = sum(tensor.numel() for tensor in own.values())
        taken = sum(tensor.numel() for tensor in fitting.values())
        return WarmStart(taken / total, tuple(name for name in own if name not in fitting))

    def export_graph(self, *, num_samples: int | None = None) -> Graph | None:
        """The part of the model that ONNX can express, None if there is none.

        Args:
            num_samples: Length ``N`` of a chunk in samples. Default: the model's.
        """
        return None

    @torch.inference_mode()
    def separate(self, audio: Tensor, *, overlap: float | None = None, batch_size: int = 4) -> Tensor:
        """Separate audio of any length in chunks, with the net alone. `Separator` can do more.

        Call ``eval()`` first, as for any module: in training mode, dropout and the sampling of a VAE are
        active.

        Args:
            audio: Samples ``[B, C, N]`` with the model's sample rate and number of channels ``C``, float32.
            overlap: Fraction of a chunk that overlaps the next one. Default: the model's.
            batch_size: Number of chunks per batch. Default: 4.

        Returns:
            Estimates ``[B, S, C, N]`` on the model's device.

        Raises:
            UsageError: If ``audio`` is not a float32 tensor of this shape.
        """
        if not isinstance(audio, Tensor):
            raise UsageError(
                "cannot separate this",
                found=type(audio).__name__,
                expected="a tensor",
                advice="Use torch.from_numpy for an array, or auralflow.Separator, which takes both.",
            )
        if audio.dtype != torch.float32:
            kind = str(audio.dtype).removeprefix("torch.")
            raise UsageError(
                "cannot separate this tensor",
                found=kind,
                expected="float32 from -1 to 1",
                advice="Convert it: audio.float()." if audio.is_floating_point() else scaling_advice(kind),
            )
        if audio.ndim != 3 or audio.shape[1] != self.config.num_channels:
            raise UsageError(
                "cannot separate this tensor",
                found=f"shape {list(audio.shape)}",
                expected=f"[batch, {self.config.num_channels}, samples]",
            )
        if audio.shape[-1] == 0:
            return audio.new_zeros(audio.shape[0], len(self.targets), audio.shape[1], 0)
        chunking = self.chunking(overlap=overlap)
        separated = [
            torch.cat(
                list(
                    overlap_add(
                        [item],
                        lambda chunks: self(chunks.to(self.device)).audio,
                        chunking,
                        batch_size=batch_size,
                    )
                ),
                dim=-1,
            )
            for item in audio
        ]
        return torch.stack(separated)
