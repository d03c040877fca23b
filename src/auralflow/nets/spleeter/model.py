"""Spleeter: one U-Net per target, with masks that sum to one.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

import copy
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auralflow.nets.door import Chunking, Estimate, Graph, SeparationModel, Traits
from auralflow.nets.spleeter.config import SpleeterConfig
from auralflow.nets.spleeter.net import InstrumentNet
from auralflow.nets.spleeter.transform import FrameGrid

__all__ = ["MaskNets", "SpleeterModel"]

EPSILON = 1e-10


class MaskNets(nn.Module):
    """Estimates each target's fraction of the mixture from magnitudes.

    Segments of ``config.segment_frames`` frames are processed independently; the last one is zero-padded. The
    mask of target ``i`` is ``(Y_i^2 + e / S) / (sum_j Y_j^2 + e)``, where ``Y`` are the estimated magnitudes.

    Args:
        config: Settings of the model.

    Shape:
        - Input: magnitudes ``[B, C, F, T]``
        - Output: masks ``[B, S, C, F, T]``, which sum to one over ``S`` in the input bins
    """

    def __init__(self, config: SpleeterConfig) -> None:
        super().__init__()
        self.config = config
        self.instruments = nn.ModuleList(
            InstrumentNet(config.num_channels, config.num_hidden_channels, config.activation)
            for _ in config.targets
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Estimate the masks."""
        config = self.config
        batch, _, num_bins, num_frames = magnitudes.shape
        read = magnitudes[..., : config.num_bins_read, :].transpose(-1, -2)
        read = F.pad(read, (0, 0, 0, -num_frames % config.segment_frames))
        # [B, C, segment, frame, bin] to [B * segment, C, frame, bin]
        segments = torch.unflatten(read, 2, (-1, config.segment_frames)).transpose(1, 2).flatten(0, 1)
        segments = segments.contiguous(memory_format=torch.channels_last)

        masks = self._shares(segments)

        # [B, S, C, segment, frame, bin]
        masks = torch.unflatten(masks, 0, (batch, -1)).permute(0, 2, 3, 1, 4, 5)
        masks = masks.flatten(3, 4)[..., :num_frames, :]
        if config.mask_extension == "zeros":
            masks = F.pad(masks, (0, num_bins - config.num_bins_read))
        else:
            mean = masks.mean(dim=-1, keepdim=True)
            above = mean.expand(*mean.shape[:-1], num_bins - config.num_bins_read)
            masks = torch.cat((masks, above), dim=-1)
        return masks.transpose(-1, -2)

    def _shares(self, segments: Tensor) -> Tensor:
        """Masks ``[B, S, C, T, F]`` of magnitudes ``[B, C, T, F]``."""
        logits = torch.stack([net(segments) for net in self.instruments], dim=1)
        gains = logits.softmax(dim=1) if self.config.mask_act_fn == "softmax" else logits.sigmoid()
        power = (gains * segments.unsqueeze(1)).square()
        return (power + EPSILON / power.shape[1]) / (power.sum(dim=1, keepdim=True) + EPSILON)


class SpleeterModel(SeparationModel):
    """Spleeter as a `SeparationModel`.

    Its output for a chunk is that of the original Spleeter for a song of this length. The copy from
    `for_inference` takes chunks as defined by `chunking`, which together give the original's output for the
    entire song.

    Args:
        config: Settings of the model.

    Example:
        >>> model = SpleeterModel(SpleeterConfig(segment_frames=64)).eval()
        >>> list(model(torch.randn(1, 2, 30000)).audio.shape)
        [1, 2, 2, 30000]
    """

    config: SpleeterConfig
    transform: FrameGrid

    def __init__(self, config: SpleeterConfig) -> None:
        super().__init__()
        self.config = config
        self.traits = Traits(dependent_targets=True, has_masks=True, bfloat16_error=-48)
        self.transform = FrameGrid(config.num_fft)
        self.net = MaskNets(config)

    def forward(self, mixture: Tensor) -> Estimate:
        """Estimate the targets of chunks of audio ``[B, C, N]``."""
        return self._estimate(mixture, lambda magnitudes: (self.net(magnitudes),))

    def _estimate(self, mixture: Tensor, net: Callable[[Tensor], tuple[Tensor, ...]]) -> Estimate:
        spectrogram = self.transform(mixture)
        (masks,) = net(spectrogram.abs())
        return Estimate(mixture, self.transform, mask=masks.float(), mixture=spectrogram)

    def chunking(self, *, length: int | None = None, overlap: float | None = None) -> Chunking:
        """How to divide a song into chunks for the copy from `for_inference`.

        Without overlap, chunks are the segments of the original, whose first frame begins one frame before
        the song: neighbouring chunks are added where their frames overlap. With overlap, chunks are
        cross-faded, and their incomplete ends are discarded.
        """
        config = self.config
        shared = config.overlap if overlap is None else overlap
        edge = config.num_fft - config.hop_length
        step = config.segment_frames * config.hop_length
        segments = 1 if length is None else max(1, round(length / step))
        if shared == 0:
            return Chunking(
                length=segments * step + edge,
                step=segments * step,
                window="rectangle",
                normalized=False,
                before=config.num_fft,
                every_step=True,
            )
        inner = segments * step - edge
        return Chunking(length=inner, step=max(1, round(inner * (1 - shared))), context=edge)

    def for_inference(self) -> Self:
        """A faster copy that cannot be trained and takes chunks of a song; see `chunking`."""
        fast = copy.deepcopy(self).eval().requires_grad_(False)
        for instrument in fast.net.instruments:
            assert isinstance(instrument, InstrumentNet)
            instrument.use_pixel_shuffle()
        fast.net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        fast.transform.pieces = True
        return fast

    def export_graph(self, *, num_samples: int | None = None) -> Graph:
        """The nets: magnitudes ``[B, C, F, T]`` in, masks ``[B, S, C, F, T]`` out, with dynamic ``B``."""
        config = self.config
        frames = self.transform.num_frames(num_samples or config.chunk_samples)
        return Graph(
            module=self.net,
            example=(torch.rand(2, config.num_channels, config.num_bins, frames),),
            inputs=("magnitudes",),
            outputs=("mask",),
            use=self._estimate,
        )
