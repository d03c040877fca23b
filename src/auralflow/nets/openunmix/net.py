"""The recurrent net of Open-Unmix, which estimates one target.

Shape letters: ``B`` batch, ``C`` channel, ``F`` frequency bin, ``H`` hidden feature, ``T`` frame.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["FoldedTargetNet", "TargetNet"]

DROPOUT_P = 0.4
REFERENCE_HERTZ = 1000.0


class TargetNet(nn.Module):
    """Estimates a gain for every bin from the magnitudes of an entire excerpt.

    A dense layer to ``H`` features, three bidirectional LSTM layers with a skip connection around them, and
    two dense layers back to all bins, each with batch normalisation. The input is limited to a bandwidth; the
    output covers all bins.
    Source: F.-R. Stoeter, S. Uhlich, A. Liutkus and Y. Mitsufuji, "Open-Unmix - A Reference Implementation
    for Music Source Separation", JOSS 4(41), 2019.

    Learned parameters shift and scale the magnitudes of each bin before and after the net. They are
    initialised to the spectrum of pink noise, whose level falls by 3 dB per octave, rather than to the
    statistics of a dataset.

    Args:
        num_channels: Channels ``C``.
        num_bins: Number of estimated bins ``F``.
        num_bins_read: Number of input bins, counted from the lowest.
        bin_hertz: Bin spacing in hertz.
        hidden_size: Number of features ``H``.
        num_layers: Number of LSTM layers. Default: 3.
        bidirectional: Whether the LSTM is bidirectional. Default: True.

    Shape:
        - Input: magnitudes ``[T, B, C, F]``
        - Output: non-negative gains of the same shape

    Example:
        >>> net = TargetNet(2, num_bins=65, num_bins_read=40, bin_hertz=344.5, hidden_size=16)
        >>> list(net(torch.rand(7, 3, 2, 65)).shape)
        [7, 3, 2, 65]
    """

    def __init__(
        self,
        num_channels: int,
        *,
        num_bins: int,
        num_bins_read: int,
        bin_hertz: float,
        hidden_size: int,
        num_layers: int = 3,
        bidirectional: bool = True,
    ) -> None:
        super().__init__()
        self.num_bins_read = num_bins_read
        hertz = bin_hertz * torch.arange(num_bins_read).clamp_min(1)
        self.input_mean = nn.Parameter(torch.zeros(num_bins_read))
        self.input_scale = nn.Parameter((hertz / REFERENCE_HERTZ).sqrt())
        self.output_scale = nn.Parameter(torch.ones(num_bins))
        self.output_mean = nn.Parameter(torch.ones(num_bins))
        self.fc1 = nn.Linear(num_channels * num_bins_read, hidden_size, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden_size)
        self.lstm = nn.LSTM(
            hidden_size,
            hidden_size // 2 if bidirectional else hidden_size,
            num_layers,
            bidirectional=bidirectional,
            dropout=DROPOUT_P if num_layers > 1 else 0.0,
        )
        self.fc2 = nn.Linear(2 * hidden_size, hidden_size, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden_size)
        self.fc3 = nn.Linear(hidden_size, num_channels * num_bins, bias=False)
        self.bn3 = nn.BatchNorm1d(num_channels * num_bins)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Estimate the gains of one target."""
        num_frames, batch, num_channels, num_bins = magnitudes.shape
        read = (magnitudes[..., : self.num_bins_read] + self.input_mean) * self.input_scale
        # Flattened for the dense layers, whose normalisation treats each frame as one example.
        features = torch.tanh(self.bn1(self.fc1(read.flatten(2).flatten(0, 1))))
        recurrent, _ = self.lstm(features.reshape(num_frames, batch, -1))
        features = torch.cat((features, recurrent.flatten(0, 1)), dim=-1)
        features = F.relu(self.bn2(self.fc2(features)))
        gains = self.bn3(self.fc3(features)).reshape(num_frames, batch, num_channels, num_bins)
        return F.relu(gains * self.output_scale + self.output_mean)


class FoldedTargetNet(nn.Module):
    """A `TargetNet` for evaluation, with shifts and scales folded into the dense layers.

    Args:
        net: The net, which is not changed.

    Example:
        >>> net = TargetNet(2, num_bins=65, num_bins_read=40, bin_hertz=344.5, hidden_size=16).eval()
        >>> magnitudes = torch.rand(7, 3, 2, 65)
        >>> torch.allclose(FoldedTargetNet(net)(magnitudes), net(magnitudes), atol=1e-5)
        True
    """

    def __init__(self, net: TargetNet) -> None:
        super().__init__()
        self.num_bins_read = net.num_bins_read
        self.lstm = copy.deepcopy(net.lstm)
        num_channels = net.fc1.in_features // net.num_bins_read
        self.fc1 = _normalized(net.fc1, net.bn1)
        self.fc2 = _normalized(net.fc2, net.bn2)
        self.fc3 = _normalized(net.fc3, net.bn3)
        with torch.no_grad():
            shift, scale = (part.repeat(num_channels) for part in (net.input_mean, net.input_scale))
            self.fc1.bias.add_(self.fc1.weight @ (shift * scale))
            self.fc1.weight *= scale
            scale = net.output_scale.repeat(num_channels)
            self.fc3.weight *= scale.unsqueeze(1)
            self.fc3.bias.copy_(self.fc3.bias * scale + net.output_mean.repeat(num_channels))

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Estimate the gains of one target."""
        features = torch.tanh(self.fc1(magnitudes[..., : self.num_bins_read].flatten(2)))
        features = torch.cat((features, self.lstm(features)[0]), dim=-1)
        gains: Tensor = self.fc3(self.fc2(features).relu_()).relu_()
        return gains.reshape(magnitudes.shape)


def _normalized(dense: nn.Linear, norm: nn.BatchNorm1d) -> nn.Linear:
    """Fold a normalisation in evaluation mode into the dense layer before it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    with torch.no_grad():
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        folded = nn.Linear(dense.in_features, dense.out_features)
        folded.weight.copy_(dense.weight * scale.unsqueeze(1))
        folded.bias.copy_(norm.bias - norm.running_mean * scale)
    return folded
