"""From a batch of chunks to the targets in it: transform, net, filters, inverse transform.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``n`` sample.
"""

import torch
from torch import Tensor

from auralflow.config import EngineConfig, RecurrentModelConfig
from auralflow.errors import NotFoundError, UsageError
from auralflow.models import SpectrogramMaskModel
from auralflow.models.folder import restrict_targets
from auralflow.models.folding import fold_batch_norm
from auralflow.models.separator import chunk_step
from auralflow.separation.backends import onnx_backend, torch_backend
from auralflow.transforms import griffin_lim, wiener_filter

__all__ = ["ChunkEngine"]

GRIFFIN_LIM_ITERATIONS = 16
_BATCH_SIZES = {"cpu": 2, "cuda": 16}


class ChunkEngine:
    """Separates batches of chunks as the settings say.

    Args:
        model: The model, in evaluation mode.
        settings: The settings.
        device: Where to compute.

    Attributes:
        targets: Names of the targets that come out, in the order of the axis ``S``: those that were asked
            for, or all where the sum of all is needed.
        chunk_samples: Length ``n`` of a chunk.
        step: Samples from one chunk's start to the next.
        batch_size: Chunks at once.

    Raises:
        NotFoundError: If the model has no such target.
        UsageError: If the settings do not fit the model.
    """

    def __init__(self, model: SpectrogramMaskModel, settings: EngineConfig, device: torch.device) -> None:
        self.settings = settings
        chosen = _chosen_targets(model, settings)
        # What is filtered or shared out depends on all targets, and so does a softmax over them.
        needs_all = settings.wiener > 0 or settings.consistent or model.config.mask_act_fn == "softmax"
        if chosen != model.targets and not needs_all:
            model = restrict_targets(model, chosen)
        self.targets = model.targets if settings.consistent else chosen
        self.rows = [model.targets.index(target) for target in self.targets]
        self.model = fold_batch_norm(model).to(device)
        self.chunk_samples = _chunk_samples(model, settings)
        own = model.config.chunk_samples
        self.step = max(1, self.chunk_samples - (own - chunk_step(own, settings.overlap)))
        suited = _BATCH_SIZES.get(device.type, 4) * own // self.chunk_samples
        self.batch_size = settings.batch_size or max(1, suited)
        if settings.backend == "onnx":
            self.masks = onnx_backend(self.model, model.stft.num_frames(self.chunk_samples))
        else:
            self.masks = torch_backend(self.model, settings.precision)

    @torch.inference_mode()
    def __call__(self, chunks: Tensor) -> Tensor:
        """Separate chunks ``[B, C, n]`` to ``[B, S, C, n]``."""
        mixture = self.model.preprocess(chunks.to(self.model.device))
        # Laid out as the mixture is, frame by frame: mixed layouts take the time of a small net.
        masks = self.masks(mixture.abs()).transpose(-1, -2).contiguous().transpose(-1, -2)
        estimate = self._estimate(mixture, masks)
        if self.settings.phase == "griffin_lim":
            estimate = griffin_lim(
                estimate, self.model.stft, chunks.shape[-1], iterations=GRIFFIN_LIM_ITERATIONS
            )
        return self.model.stft.inverse(estimate, chunks.shape[-1])

    def _estimate(self, mixture: Tensor, masks: Tensor) -> Tensor:
        """Complex spectrograms of the targets ``[B, S, C, F, T]``."""
        if self.settings.wiener:
            magnitudes = masks * mixture.abs().unsqueeze(1)
            estimate = wiener_filter(magnitudes, mixture, iterations=self.settings.wiener)
        else:
            estimate = masks * mixture.unsqueeze(1)
        if self.settings.consistent:
            # Each target gets of what is left over the share that it has of the whole, bin by bin.
            share = masks / masks.sum(dim=1, keepdim=True).clamp_min(1e-8)
            estimate = estimate + share * (mixture - estimate.sum(dim=1)).unsqueeze(1)
        return estimate if len(self.rows) == estimate.shape[1] else estimate[:, self.rows]


def _chosen_targets(model: SpectrogramMaskModel, settings: EngineConfig) -> tuple[str, ...]:
    chosen = settings.targets or model.targets
    for target in chosen:
        if target not in model.targets:
            raise NotFoundError(f"the model has no target {target!r}", expected=", ".join(model.targets))
    if settings.consistent and len(model.targets) == 1:
        raise UsageError(
            "--consistent needs a model of several targets",
            found=f"{model.targets[0]} alone, to which all of the original would be given",
        )
    return chosen


def _chunk_samples(model: SpectrogramMaskModel, settings: EngineConfig) -> int:
    config = model.config
    if settings.chunk is None:
        return config.chunk_samples
    if isinstance(config, RecurrentModelConfig) and config.input_axis == 1:
        raise UsageError(
            "--chunk cannot be chosen for this model",
            found=f"{config.net} with --input-axis 1, whose chunks are {config.sample_length:g} s",
            advice="Leave it out.",
        )
    samples = round(settings.chunk * config.sample_rate)
    if samples < config.chunk_samples:
        raise UsageError(
            f"--chunk is {settings.chunk:g}",
            found="less than the model's own chunk",
            expected=f"at least {config.sample_length:g} s",
        )
    return samples
