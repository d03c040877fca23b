"""A trained net made faster for use, without changing what it computes."""

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from auralflow.nets.unet.blocks import ConvBlock
from auralflow.nets.unet.folded_blocks import ConvUnit

if TYPE_CHECKING:
    from auralflow.nets.unet.model import SpectrogramMaskModel

__all__ = ["fold_batch_norm"]


def fold_batch_norm(model: "SpectrogramMaskModel") -> "SpectrogramMaskModel":
    """Put every batch normalisation that follows a convolution into its weights.

    At evaluation a batch normalisation scales and shifts each channel by fixed numbers, which the convolution
    before it can do for nothing. That of the input stays: the convolution behind it pads with zeros, which
    stand for something else before it than after it.

    Args:
        model: A model in evaluation mode.

    Returns:
        A copy that computes the same up to rounding and can no longer be trained.

    Example:
        >>> import torch
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> from auralflow.nets.unet.model import SpectrogramMaskModel
        >>> model = SpectrogramMaskModel(SpectrogramNetConfig(num_hidden_channels=2)).eval()
        >>> audio = torch.randn(1, 1, model.config.chunk_samples)
        >>> folded = fold_batch_norm(model)
        >>> torch.allclose(folded(audio).mask, model(audio).mask, atol=1e-5)
        True
    """
    folded = copy.deepcopy(model).eval()
    for block in folded.modules():
        if isinstance(block, ConvBlock | ConvUnit):
            _fold(block)
    # As the maps of features lie there; only weights of convolutions have the four axes for it.
    for parameter in folded.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return folded.requires_grad_(False)


def _fold(block: ConvBlock | ConvUnit) -> None:
    for index in range(len(block) - 1):
        convolution, normalization = block[index], block[index + 1]
        if isinstance(convolution, nn.Conv2d) and isinstance(normalization, nn.BatchNorm2d):
            block[index] = fuse_conv_bn_eval(convolution, normalization)
            block[index + 1] = nn.Identity()
