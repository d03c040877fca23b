"""What every separator is to the rest of the house: a chunk of mixture in, the targets' audio out.

Transforms, masks, latents and weights for each target are private to a family of nets. The engine, the
trainer, the evaluation and the export know `SeparationModel`, its `Traits`, `Chunking` and `Estimate`, and
nothing else of a net.

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
    """What a model knows about a batch of chunks; holds audio or spectrograms, and makes the other on demand.

    Exactly one of ``mask``, ``spectrogram`` and ``audio`` is what the net returned; the rest follows from it.

    Args:
        mixture_audio: Audio of the mixture ``[B, C, N]``.
        transform: The model's transform.
        mask: Masks ``[B, S, C, F, T]`` in [0, 1] on the mixture's spectrogram.
        spectrogram: Complex spectrograms of the targets ``[B, S, C, F, T]``.
        audio: Audio of the targets ``[B, S, C, N]``.
        mixture: The mixture's complex spectrogram ``[B, C, F, T]``, where the net has already made it.
        penalty: What training adds to any loss, such as a variational net's KL term, element by element: it
            is averaged or summed as the loss is.
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
    def magnitudes(self) -> Tensor:
        """Magnitudes of the targets' spectrograms ``[B, S, C, F, T]``."""
        if self.mask is not None:
            return self.mask * self.mixture.abs().unsqueeze(1)
        return self.spectrogram.abs()

    @property
    def is_audio(self) -> bool:
        """Whether the net returned audio, so that `audio` costs no transform."""
        return self._audio is not None

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
        dependent_targets: Whether the targets depend on one another, as under a softmax: such a model is
            never cut down to some of its targets.
        has_masks: Whether estimates carry masks.
        has_penalty: Whether estimates carry a penalty, such as a variational net's KL term.
        trainable: Whether the model can be trained.
        standardized: Whether the net expects songs with mean 0 and standard deviation 1: the engine reads the
            song once for the statistics of its mono mixture, and undoes them on the estimates.
        bfloat16_error: Level of what bfloat16 changes, in dB relative to the estimates, as measured with
            random weights; None where it is not known to be small: then it is used only where asked for.
        cpu_batch: Chunks that a CPU computes at once by default. More than one helps nets whose products are
            small, and takes as many times the memory.
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
    """The part of a model that other programs can run: tensors in, tensors out, whose first axis is free.

    Attributes:
        module: The part.
        example: Example inputs.
        inputs: Their names.
        outputs: Names of the outputs.
        use: Makes an estimate of chunks ``[B, C, N]`` with a function that computes what ``module`` does.
    """

    module: nn.Module
    example: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    use: Callable[[Tensor, Callable[..., tuple[Tensor, ...]]], Estimate]


@dataclass(frozen=True, kw_only=True)
class Ensemble:
    """Models that separate the same song, each as it is run alone, and how their estimates become one.

    Attributes:
        members: The models, which may differ in all that models differ in.
        weights: What each counts for each target of the ensemble, ``[M, S]`` for ``M`` members; 0 where it is
            left out.
        method: How estimates become one, by name.
        spectral: Whether that is done on complex spectrograms, and not on samples.
        combine: Makes one estimate ``[...]`` of several ``[M, ...]``, their weights ``[M]`` and the method.
    """

    members: tuple["SeparationModel", ...]
    weights: Tensor
    method: str
    spectral: bool
    combine: Callable[[Tensor, Tensor, str], Tensor]


class WarmStart(NamedTuple):
    """What a model took over from another.

    Attributes:
        taken: Share of its weights that came from the other, from 0 to 1.
        fresh: Names of the tensors that begin untrained.
    """

    taken: float
    fresh: tuple[str, ...]


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
        """The models that this one is made of; None for a model by itself."""
        return None

    @property
    def is_divisible(self) -> bool:
        """Whether `restricted` can leave targets out."""
        return not self.traits.dependent_targets and type(self).restricted is not SeparationModel.restricted

    def forward(self, mixture: Tensor) -> Estimate:
        """Estimate the targets of chunks of audio ``[B, C, N]``."""
        raise NotImplementedError

    def chunking(self, *, length: int | None = None, overlap: float | None = None) -> Chunking:
        """How to deal a song out to the net.

        Args:
            length: Samples of a chunk. Default: the model's own.
            overlap: Share of the model's own chunk that the next one covers again, from 0 to below 1; as many
                samples for longer chunks. Default: the model's own.
        """
        own = self.config.chunk_samples
        share = self.config.overlap if overlap is None else overlap
        shared = own - max(1, round(own * (1 - share)))
        chosen = own if length is None else length
        return Chunking(length=chosen, step=max(1, chosen - shared))

    def restricted(self, targets: tuple[str, ...]) -> "SeparationModel":
        """A model that computes only some of the targets, in the given order. Default: refuses.

        Raises:
            NotFoundError: If the model lacks one of them.
            UsageError: If the targets depend on one another, or the net computes all of them at once.
        """
        self.check_restriction(targets)
        return self

    def check_restriction(self, targets: tuple[str, ...]) -> None:
        """Refuse targets that `restricted` cannot keep alone.

        Raises:
            NotFoundError: If the model lacks one of them.
            UsageError: If the targets depend on one another, or the net computes all of them at once.
        """
        for target in targets:
            if target not in self.targets:
                raise NotFoundError(f"the model has no target {target!r}", expected=", ".join(self.targets))
        if targets != self.targets and not self.is_divisible:
            raise UsageError(
                f"a {self.config.net} with these settings cannot be cut down to some of its targets",
                found=", ".join(targets),
                expected=f"all of {', '.join(self.targets)}, which depend on one another",
                advice="Keep it whole, and choose with auralflow separate --targets.",
            )

    @property
    def wiener_iterations(self) -> int:
        """Iterations of the Wiener filter that the model is used with where nothing else is asked for."""
        return 0

    def wiener_filtered(self, estimate: Estimate, iterations: int) -> Tensor:
        """Refine an estimate by the multichannel Wiener filter.

        Args:
            estimate: What the model returned.
            iterations: Rounds, at least 1.

        Returns:
            Complex spectrograms of the targets ``[B, S, C, F, T]``.
        """
        return wiener_filter(estimate.magnitudes, estimate.mixture, iterations=iterations)

    def for_inference(self) -> Self:
        """An equal model that cannot be trained, and may be faster. Default: a frozen copy."""
        return copy.deepcopy(self).eval().requires_grad_(False)

    def parameter_groups(self, settings: Any) -> list[dict[str, Any]]:
        """Groups of parameters for an optimizer, each with the learning rate that the settings give it."""
        return [{"params": list(self.parameters()), "lr": settings.lr}]

    def start_from(self, source: "SeparationModel") -> WarmStart:
        """Take over the weights of another model that fit. Default: those of the same name and shape.

        Args:
            source: The trained model; it stays as it is.

        Raises:
            ModelError: If nothing fits.
        """
        own, given = self.state_dict(), source.state_dict()
        fitting = {
            name: given[name] for name in own if name in given and given[name].shape == own[name].shape
        }
        if not fitting:
            raise ModelError(
                f"{self.config.net} cannot start from these weights",
                found=f"a {source.config.net}, of which no tensor fits",
                expected=f"a trained {self.config.net}",
            )
        self.load_state_dict(fitting, strict=False)
        total = sum(tensor.numel() for tensor in own.values())
        taken = sum(tensor.numel() for tensor in fitting.values())
        return WarmStart(taken / total, tuple(name for name in own if name not in fitting))

    def export_graph(self, *, num_samples: int | None = None) -> Graph | None:
        """The part of the model that ONNX can express, None where there is none.

        Args:
            num_samples: Samples ``N`` of a chunk. Default: the model's own.
        """
        return None

    @torch.inference_mode()
    def separate(self, audio: Tensor, *, overlap: float | None = None, batch_size: int = 4) -> Tensor:
        """Separate audio of any length in chunks, with nothing but the net. `Separator` can do more.

        Call ``eval()`` before, as for any module: in training mode dropout and a VAE's sampling act.

        Args:
            audio: ``[B, C, N]`` with ``C`` the model's channels, float32, at the model's sample rate.
            overlap: Share of a chunk that the next one covers again. Default: the model's own.
            batch_size: Chunks that the net sees at once.

        Returns:
            ``[B, S, C, N]`` on the model's device.

        Raises:
            UsageError: If ``audio`` has another shape.
        """
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
