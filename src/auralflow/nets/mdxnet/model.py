"""MDX-Net as a `SeparationModel`.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``N`` sample.
"""

from typing import Self

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from auralflow.nets.door import Chunking, Estimate, SeparationModel, Traits
from auralflow.nets.mdxnet.config import MDXNetConfig
from auralflow.nets.mdxnet.net import TFCTDF2
from auralflow.nets.spectral_mapping import CroppedSTFT, channels_to_complex, complex_to_channels

__all__ = ["MDXNetModel"]

NORMED = 3
"""Number of modules in a layer with a norm: the layer, the norm, the activation."""


class MDXNetModel(SeparationModel):
    """An MDX-Net.

    Args:
        config: Settings of the model.

    Example:
        >>> import torch
        >>> config = MDXNetConfig(num_fft=512, hop_length=128, num_bins=256, num_stages=2, growth=4)
        >>> list(MDXNetModel(config).eval()(torch.randn(1, 2, 3000)).audio.shape)
        [1, 1, 2, 3000]
    """

    config: MDXNetConfig
    transform: CroppedSTFT

    def __init__(self, config: MDXNetConfig) -> None:
        super().__init__()
        self.config = config
        self.traits = Traits(cpu_batch=1)
        self.transform = CroppedSTFT(
            config.num_fft,
            config.hop_length,
            num_bins=config.num_bins,
            frame_multiple=2**config.num_stages,
        )
        self.net = TFCTDF2(config)

    def forward(self, mixture: Tensor) -> Estimate:
        """Estimate the target of chunks of audio ``[B, C, N]``."""
        spectrogram = self.transform(mixture)
        silent = self.config.silent_bins
        heard = F.pad(complex_to_channels(spectrogram)[..., silent:, :], (0, 0, silent, 0))
        mapped = channels_to_complex(self.net(heard).float()) * self.config.compensate
        return Estimate(mixture, self.transform, spectrogram=mapped.unsqueeze(1), mixture=spectrogram)

    def for_inference(self) -> Self:
        """A frozen copy with norms folded into the convolutions before them."""
        faster = super().for_inference()
        for module in list(faster.net.modules()):
            if (
                isinstance(module, nn.Sequential)
                and len(module) == NORMED
                and isinstance(module[1], nn.BatchNorm2d)
            ):
                # Nothing else reads the output of the layers before it, so it may be overwritten.
                module[2] = nn.ReLU(inplace=True)
                layer, norm = module[0], module[1]
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                    backwards = isinstance(layer, nn.ConvTranspose2d)
                    fused = fuse_conv_bn_eval(layer, norm, transpose=backwards)
                    module[0] = _shuffled(fused) if isinstance(fused, nn.ConvTranspose2d) else fused
                    module[1] = nn.Identity()
        return faster

    def chunking(self, *, length: int | None = None, overlap: float | None = None) -> Chunking:
        """How to divide a song into chunks: with a Hann window, cropping half a transform at either end."""
        config = self.config
        whole = self.transform.filled_length(config.chunk_samples if length is None else length)
        shared = config.overlap if overlap is None else overlap
        trim = config.num_fft // 2
        return Chunking(
            length=whole,
            step=max(1, int((1 - shared) * whole)),
            window="hann",
            before=trim,
            after=trim,
            multiple=whole - 2 * trim,
            every_step=True,
        )


def _shuffled(layer: nn.ConvTranspose2d) -> nn.Sequential:
    """An equivalent layer that is faster on CPUs, for a kernel as large as its stride.

    A 1x1 convolution computes each kernel position as a channel of its own, and a pixel shuffle places them.
    """
    (stride, _), inputs, outputs = layer.stride, layer.in_channels, layer.out_channels
    pointwise = nn.Conv2d(inputs, outputs * stride**2, 1)
    weight = layer.weight.detach().permute(1, 2, 3, 0).reshape(-1, inputs, 1, 1).contiguous()
    bias = weight.new_zeros(outputs) if layer.bias is None else layer.bias.detach()
    pointwise.weight = nn.Parameter(weight, requires_grad=False)
    pointwise.bias = nn.Parameter(bias.repeat_interleave(stride**2), requires_grad=False)
    return nn.Sequential(pointwise, nn.PixelShuffle(stride))
