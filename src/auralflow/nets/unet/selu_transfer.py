"""Transfers a net with batch normalisation and ReLU to the same net with SELU."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auralflow.nets.unet.blocks import ConvBlock, UpBlock
from auralflow.nets.unet.folding import fold_batch_norm
from auralflow.nets.unet.nets import MaskNet

if TYPE_CHECKING:
    from auralflow.nets.unet.model import SpectrogramMaskModel

__all__ = ["as_self_normalizing"]

STEEPNESS = 4.0
"""The input of each SELU is multiplied by this, and its output divided by it. The larger, the more a SELU
behaves like a ReLU, and the smaller its output and gradient for negative inputs."""
REACH = 8.0
"""Range of the numerical integration of a normal distribution in standard deviations; the number of steps is
below."""
STEPS = 4001


class _Line(NamedTuple):
    """Linear map from the output of a steep SELU to that of a ReLU, per channel."""

    slope: Tensor
    offset: Tensor


class _Parts(NamedTuple):
    """A U-Net without its bottleneck."""

    down: list[ConvBlock]
    bottom: ConvBlock
    up: list[UpBlock]
    head: nn.Conv2d


def _parts(model: "SpectrogramMaskModel") -> _Parts:
    net = cast(MaskNet, model.net)
    down = cast(Iterable[ConvBlock], net.down)
    return _Parts(list(down), net.bottom, list(cast(Iterable[UpBlock], net.up)), net.head)


def as_self_normalizing(source: "SpectrogramMaskModel") -> "SpectrogramMaskModel":
    """Convert the weights of the convolutions so that with SELU they approximate their output with ReLU.

    The bias and weight of a batch normalisation are the mean and standard deviation of its outputs in each
    channel. For normally distributed inputs with these, linear regression predicts the output of a ReLU from
    that of a SELU, channel by channel. The result is folded into the next convolution, and the batch
    normalisations into the convolutions before them.

    Args:
        source: A model whose net has batch normalisation; it is not changed.

    Returns:
        A model with the converted convolutions. Its layers between the last pooling and the first transposed
        convolution are only meant for the plain U-Net.
    """
    model = fold_batch_norm(source)
    net, normalized = _parts(model), _parts(source)
    with torch.no_grad():
        bottom = _convert(net.bottom, normalized.bottom)
        down = [_convert(block, twin) for block, twin in zip(net.down, normalized.down, strict=True)]
        up = [_convert(part.block, twin.block) for part, twin in zip(net.up, normalized.up, strict=True)]
        for line, block in zip(down, [*net.down[1:], net.bottom], strict=True):
            _follow(_convolutions(block)[0], line)
        for line, part, skip in zip([bottom, *up[:-1]], net.up, reversed(down), strict=True):
            _follow(part.up, line)
            # The skip connection comes first; the output of the transposed convolution has no activation.
            _follow(_convolutions(part.block)[0], skip)
        _follow(net.head, up[-1])
        for block in [*net.down, net.bottom, *(part.block for part in net.up)]:
            for convolution in _convolutions(block):
                for parameter in convolution.parameters():
                    parameter.mul_(STEEPNESS)
    for name, block in list(model.named_modules()):
        if isinstance(block, ConvBlock):
            kept = (layer for layer in block if not isinstance(layer, nn.Identity))
            layers = (nn.SELU() if isinstance(layer, nn.ReLU) else layer for layer in kept)
            model.set_submodule(name, nn.Sequential(*layers))
    return model


def _convert(block: ConvBlock, normalized: ConvBlock) -> _Line:
    """Adapt the second convolution to the first activation; return the linear map of the second one."""
    first, second = (_line(part) for part in normalized if isinstance(part, nn.BatchNorm2d))
    _follow(_convolutions(block)[1], first)
    return second


def _convolutions(block: ConvBlock) -> list[nn.Conv2d]:
    return [part for part in block if isinstance(part, nn.Conv2d)]


def _line(normalization: nn.BatchNorm2d) -> _Line:
    points = torch.linspace(-REACH, REACH, STEPS, dtype=torch.float64)
    weights = torch.softmax(-points.square() / 2, dim=0)
    inputs = normalization.bias.double()[:, None] + normalization.weight.double()[:, None] * points
    wanted, given = F.relu(inputs), F.selu(STEEPNESS * inputs)
    wanted_mean, given_mean = wanted @ weights, given @ weights
    given = given - given_mean[:, None]
    slope = (wanted * given) @ weights / (given.square() @ weights).clamp_min(math.ulp(1.0))
    return _Line(slope.float(), (wanted_mean - slope * given_mean).float())


def _follow(convolution: nn.Conv2d | nn.ConvTranspose2d, line: _Line) -> None:
    """Adapt a convolution to SELU instead of ReLU in its first input channels, as many as the map has."""
    bias = cast(Tensor, convolution.bias)
    if isinstance(convolution, nn.ConvTranspose2d):
        weight = convolution.weight[: len(line.slope)]
        # Stride equals kernel: each output sees one position of the kernel, on average their mean.
        bias += line.offset @ weight.mean((2, 3))
        weight *= line.slope[:, None, None, None]
    else:
        weight = convolution.weight[:, : len(line.slope)]
        bias += weight.sum((2, 3)) @ line.offset
        weight *= line.slope[:, None, None]
