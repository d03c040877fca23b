"""Separates batches of chunks: net, filters, inverse transform.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``n`` sample.
"""

import dataclasses

import torch
from torch import Tensor

from auralflow.config import EngineConfig
from auralflow.errors import NotFoundError, UsageError
from auralflow.nets.door import Estimate, SeparationModel
from auralflow.separation.backends import onnx_backend, torch_backend
from auralflow.separation.batches import Batches, fitting_batch
from auralflow.transforms import Chunking, griffin_lim

__all__ = ["ChunkEngine", "chosen_targets", "resolved_window", "shared_out"]

GRIFFIN_LIM_ITERATIONS = 16
_ON_OTHER_DEVICES = 4


class ChunkEngine:
    """Separates batches of chunks.

    Args:
        model: The model, in evaluation mode.
        settings: How to separate.
        device: The device to compute on.

    Attributes:
        targets: Names of the estimated targets, in the order of the axis ``S``: the requested ones, or all if
            their sum is needed.
        chunking: How a song is divided into chunks.
        batch_size: Number of chunks per batch. Default: the model's on a CPU, or as many as fit in the free
            memory of a GPU.

    Raises:
        NotFoundError: If the model lacks a requested target.
        UsageError: If the settings do not suit the model.
    """

    def __init__(self, model: SeparationModel, settings: EngineConfig, device: torch.device) -> None:
        self.settings = settings
        chosen = chosen_targets(model, settings)
        self.wiener = model.wiener_iterations if settings.wiener is None else settings.wiener
        # The Wiener filter and the distribution of the residual depend on all targets.
        needs_all = self.wiener > 0 or settings.consistent
        if chosen != model.targets and model.is_divisible and not needs_all:
            model = model.restricted(chosen)
        self.targets = model.targets if settings.consistent else chosen
        self.rows = [model.targets.index(target) for target in self.targets]
        self.model = model.for_inference().to(device)
        if device.type == "cuda":
            # The fastest layout for convolutions in half precision.
            self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.chunking = _chunking(model, settings)
        if settings.backend == "onnx":
            if self.chunking.last == "short":
                # The graph accepts only one length.
                self.chunking = dataclasses.replace(self.chunking, last="zeros")
            self.run = onnx_backend(self.model, self.chunking.read_length)
        else:
            self.run = torch_backend(self.model, settings.precision)
        self._separate_batches = Batches(self._separated, self._memory_advice(settings))
        self.batch_size = settings.batch_size or self._suited_batch(device)

    def __call__(self, chunks: Tensor) -> Tensor:
        """Separate chunks ``[B, C, n]`` into ``[B, S, C, n]``, in smaller batches if memory runs out.

        Raises:
            UsageError: If there is not enough memory for a single chunk.
        """
        return self._separate_batches(chunks)

    def _suited_batch(self, device: torch.device) -> int:
        """The default batch size."""
        if device.type == "cuda":
            example = torch.zeros(1, self.model.config.num_channels, self.chunking.read_length)
            return fitting_batch(self._separated, example, device)
        usual = self.model.traits.cpu_batch if device.type == "cpu" else _ON_OTHER_DEVICES
        return max(1, usual * self.model.config.chunk_samples // self.chunking.length)

    def _memory_advice(self, settings: EngineConfig) -> str:
        own = self.model.config.sample_length
        if settings.chunk and settings.chunk > own:
            return f"Lower --chunk from {settings.chunk:g} s, to no less than {own:g} s."
        return "--chunk and --batch-size are already minimal: lower --jobs, or use --device cpu."

    @torch.inference_mode()
    def _separated(self, chunks: Tensor) -> Tensor:
        if self.model.device.type == "cuda":
            # From pinned memory, copying overlaps with computation on the GPU.
            chunks = chunks.pin_memory()
        estimate = self.run(chunks.to(self.model.device, non_blocking=True))
        if estimate.is_audio and not self._is_filtered:
            return self._chosen(estimate.audio)
        spectrogram = self._filtered(estimate)
        if self.settings.phase == "griffin_lim":
            spectrogram = griffin_lim(
                spectrogram, estimate.transform, chunks.shape[-1], iterations=GRIFFIN_LIM_ITERATIONS
            )
        return estimate.filtered(spectrogram).audio

    @property
    def _is_filtered(self) -> bool:
        settings = self.settings
        return self.wiener > 0 or settings.consistent or settings.phase == "griffin_lim"

    def _filtered(self, estimate: Estimate) -> Tensor:
        """Complex spectrograms of the targets ``[B, S, C, F, T]``."""
        spectrogram = (
            self.model.wiener_filtered(estimate, self.wiener) if self.wiener else estimate.spectrogram
        )
        if self.settings.consistent:
            parts = estimate.mask if estimate.mask is not None else estimate.magnitudes
            spectrogram = shared_out(spectrogram, estimate.mixture, parts)
        return self._chosen(spectrogram)

    def _chosen(self, targets: Tensor) -> Tensor:
        return targets if self.rows == list(range(targets.shape[1])) else targets[:, self.rows]


def shared_out(spectrogram: Tensor, mixture: Tensor, parts: Tensor) -> Tensor:
    """Adjust targets to sum to the mixture, by distributing the residual in proportion to ``parts``.

    Args:
        spectrogram: Complex spectrograms of the targets ``[B, S, C, F, T]``.
        mixture: Complex spectrogram of the mixture ``[B, C, F, T]``.
        parts: Masks or magnitudes ``[B, S, C, F, T]`` that give the proportions in each bin.

    Returns:
        Complex spectrograms ``[B, S, C, F, T]``.

    Source:
        Wisdom et al., "Differentiable Consistency Constraints for Improved Deep Speech Enhancement",
        ICASSP 2019.
    """
    share = parts / parts.sum(dim=1, keepdim=True).clamp_min(1e-8)
    return spectrogram + share * (mixture - spectrogram.sum(dim=1)).unsqueeze(1)


def chosen_targets(model: SeparationModel, settings: EngineConfig) -> tuple[str, ...]:
    """The requested targets.

    Raises:
        NotFoundError: If the model lacks a requested target.
        UsageError: If a single target would have to sum to the original.
    """
    chosen = settings.targets or model.targets
    for target in chosen:
        if target not in model.targets:
            raise NotFoundError(f"the model has no target {target!r}", expected=", ".join(model.targets))
    if settings.consistent and len(model.targets) == 1:
        raise UsageError(
            "--consistent needs a model with several targets",
            found=f"only {model.targets[0]}, which would become the original itself",
        )
    return chosen


def resolved_window(model: SeparationModel, settings: EngineConfig) -> str:
    """The chosen window; ``published`` if the two are the same, as for auralflow's own nets."""
    members = model.ensemble.members if model.ensemble else (model,)
    published = [member.chunking(overlap=settings.overlap) for member in members]
    same = all(chunking == chunking.cross_faded() for chunking in published)
    return "published" if same else settings.window


def _chunking(model: SeparationModel, settings: EngineConfig) -> Chunking:
    chunking = model.chunking(length=_chunk_length(model, settings), overlap=settings.overlap)
    return chunking.cross_faded() if settings.window == "cross_fade" else chunking


def _chunk_length(model: SeparationModel, settings: EngineConfig) -> int | None:
    config = model.config
    if settings.chunk is None:
        return None
    if model.traits.fixed_length:
        raise UsageError(
            "--chunk cannot be changed for this model",
            found=f"{config.net}, whose chunks are {config.sample_length:g} s long",
            advice="Leave it out.",
        )
    samples = round(settings.chunk * config.sample_rate)
    if samples < config.chunk_samples:
        raise UsageError(
            f"--chunk is {settings.chunk:g}",
            found="less than the model's chunk",
            expected=f"at least {config.sample_length:g} s",
        )
    return samples
