"""What a net with batch normalisation and ReLU has learnt, for the same net with SELU alone."""

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
"""What comes into each SELU is multiplied by this, and what comes out of it divided again. The larger, the
more a SELU is like a ReLU, and the less it lets pass of what is negative: its gradient there, too."""
REACH = 8.0
"""Standard deviations up to which a normal distribution is integrated, in as many steps as below."""
STEPS = 4001


class _Line(NamedTuple):
    """The straight line from the output of a steep SELU to that of a ReLU, for each channel."""

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
    """Give the convolutions weights with which they compute with SELU much of what they did with ReLU.

    A batch normalisation tells how its outputs are distributed: by channel, with its bias as mean and its
    weight as standard deviation. For such inputs (taken as normal) the output of a ReLU is foretold from that
    of a SELU by linear regression, channel by channel, and the line goes into the weights of the convolution
    that comes next. The batch normalisations themselves go into the convolutions before them.

    Args:
        source: A model whose net has batch normalisation; it stays as it is.

    Returns:
        A model with the convolutions of a net without. What lies between the last pooling and the first
        transposed convolution is for nothing but the U-Net.
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
            # The skip connection comes first; what the transposed convolution gives has no activation.
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
    """Make the second convolution follow the first activation; return the line of the second one."""
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
    """Make a convolution take SELU for ReLU in its first input channels, as many as the line is for."""
    bias = cast(Tensor, convolution.bias)
    if isinstance(convolution, nn.ConvTranspose2d):
        weight = convolution.weight[: len(line.slope)]
        # Steps as wide as the kernel: each output hears one of its places, on average their mean.
        bias += line.offset @ weight.mean((2, 3))
        weight *= line.slope[:, None, None, None]
    else:
        weight = convolution.weight[:, : len(line.slope)]
        bias += weight.sum((2, 3)) @ line.offset
        weight *= line.slope[:, None, None]
