"""Building blocks of the nets.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame,
``H`` hidden channel.
"""

from typing import Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from auralflow.nets.unet.config import MaskActivation

__all__ = [
    "BinAffine",
    "ConvBlock",
    "Mask",
    "MaskEstimate",
    "RecurrentBottleneck",
    "UpBlock",
    "VariationalBottleneck",
    "kl_divergence",
    "lecun_init",
]

SELU_SLOPE = 1.0507009873554805
"""Factor of SELU for positive inputs (Klambauer et al., NeurIPS 2017)."""
QUIET = 6.0
"""Negative log-variance of the noise of a latent initialised to the identity."""
LOG_VARIANCE_KNEE = 20.0
"""Log-variance above which the exponential is replaced by its tangent to prevent overflow."""


class MaskEstimate(NamedTuple):
    """Output of a net.

    Attributes:
        mask: ``[B, S, C, F, T]`` in [0, 1].
        penalty: KL term of each element of the latent ``[B, H, F', T']``; None without a variational
            bottleneck.
    """

    mask: Tensor
    penalty: Tensor | None = None


class ConvBlock(nn.Sequential):
    """Two 3x3 convolutions, each followed by batch normalisation and ReLU, or by SELU alone.

    Args:
        num_inputs: Number of input channels.
        num_outputs: Number of output channels.
        self_normalizing: Use SELU instead of batch normalisation and ReLU.

    Shape:
        - Input: ``[B, num_inputs, F, T]``
        - Output: ``[B, num_outputs, F, T]``
    """

    def __init__(self, num_inputs: int, num_outputs: int, *, self_normalizing: bool) -> None:
        layers: list[nn.Module] = []
        for channels in (num_inputs, num_outputs):
            # Batch normalisation makes the bias of the convolution redundant.
            layers.append(nn.Conv2d(channels, num_outputs, 3, padding=1, bias=self_normalizing))
            if self_normalizing:
                layers.append(nn.SELU())
            else:
                layers += [nn.BatchNorm2d(num_outputs), nn.ReLU()]
        super().__init__(*layers)


class UpBlock(nn.Module):
    """Doubles the resolution by a transposed convolution and merges the skip connection.

    Args:
        num_inputs: Number of channels from the level below.
        num_outputs: Number of channels of the skip connection and the output.
        self_normalizing: See `ConvBlock`.

    Shape:
        - Input: ``[B, num_inputs, F // 2, T // 2]`` and the skip ``[B, num_outputs, F, T]``
        - Output: ``[B, num_outputs, F, T]``
    """

    def __init__(self, num_inputs: int, num_outputs: int, *, self_normalizing: bool) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(num_inputs, num_outputs, 2, stride=2)
        self.block = ConvBlock(2 * num_outputs, num_outputs, self_normalizing=self_normalizing)

    def forward(self, features: Tensor, skip: Tensor) -> Tensor:
        """Upsample ``features`` to the size of ``skip`` and merge both."""
        features = self.up(features)
        # Pooling rounds down, so odd sizes come back one short.
        missing_bins = skip.shape[-2] - features.shape[-2]
        missing_frames = skip.shape[-1] - features.shape[-1]
        if missing_bins or missing_frames:
            features = F.pad(features, (0, missing_frames, 0, missing_bins))
        return self.block(torch.cat((skip, features), dim=1))  # type: ignore[no-any-return]


class BinAffine(nn.Module):
    """Learnable centring and scaling of every frequency bin, initialised to the identity.

    Source: the input and output scaling of Open-Unmix (Stoeter et al., JOSS 2019).

    Args:
        num_bins: Number of frequency bins ``F``.

    Shape:
        - Input and output: ``[..., F, T]``

    Example:
        >>> BinAffine(3)(torch.ones(1, 3, 2)).unique().item()
        1.0
    """

    def __init__(self, num_bins: int) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.zeros(num_bins, 1))
        self.scale = nn.Parameter(torch.ones(num_bins, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Subtract the centre, multiply by the scale."""
        return (features - self.centre) * self.scale


class Mask(nn.Module):
    """Activation of the mask, clamped to [0, 1].

    Args:
        name: Name of the activation; softmax is over the sources.
        leak_factor: Negative slope of leaky_relu; unused by the others. Default: 0.

    Shape:
        - Input and output: ``[B, S, C, F, T]``

    Example:
        >>> Mask("softmax")(torch.zeros(1, 4, 1, 2, 3)).unique().item()
        0.25
    """

    def __init__(self, name: MaskActivation, leak_factor: float = 0.0) -> None:
        super().__init__()
        activations: dict[str, nn.Module] = {
            "sigmoid": nn.Sigmoid(),
            "relu": nn.ReLU(),
            "leaky_relu": nn.LeakyReLU(leak_factor),
            "hardtanh": nn.Hardtanh(),
            "tanh": nn.Tanh(),
            "softmax": nn.Softmax(dim=1),
            "prelu": nn.PReLU(),
            "selu": nn.SELU(),
            "elu": nn.ELU(),
        }
        self.activation = activations[name]

    def forward(self, logits: Tensor) -> Tensor:
        """Turn logits into a mask."""
        mask: Tensor = self.activation(logits)
        if isinstance(self.activation, nn.Sigmoid | nn.Softmax):
            return mask
        if not mask.requires_grad:
            return mask.clamp(0.0, 1.0)
        # The gradient bypasses the clamp; otherwise a mask outside [0, 1] would never return.
        return mask.clamp(0.0, 1.0).detach() + (mask - mask.detach())


class RecurrentBottleneck(nn.Module):
    """A bidirectional LSTM over one axis of the features, then two affine layers, added to the input.

    With the residual connection, the deepest features pass unchanged at first, and the recurrent stack learns
    what to change.

    Args:
        num_channels: Number of channels ``H`` of the features.
        fixed_size: Length of the axis that is flattened into the LSTM's features.
        axis: 0: sequence over time, bins are flattened; 1: sequence over frequency, frames are flattened.
        hidden_size: Number of LSTM features, both directions together.
        depth: Number of layers.
        dropout_p: Dropout between the layers and before the affine layers.
        self_normalizing: Use SELU and alpha dropout between the affine layers instead of ReLU and dropout.

    Shape:
        - Input and output: ``[B, H, F, T]``
    """

    def __init__(
        self,
        num_channels: int,
        fixed_size: int,
        *,
        axis: Literal[0, 1],
        hidden_size: int,
        depth: int,
        dropout_p: float,
        self_normalizing: bool,
    ) -> None:
        super().__init__()
        self.axis = axis
        num_features = num_channels * fixed_size
        self.lstm = nn.LSTM(
            num_features,
            hidden_size // 2,
            num_layers=depth,
            batch_first=True,
            bidirectional=True,
            dropout=dropout_p if depth > 1 else 0.0,
        )
        self.affine = nn.Sequential(
            nn.AlphaDropout(dropout_p) if self_normalizing else nn.Dropout(dropout_p),
            nn.Linear(hidden_size, max(1, hidden_size // 2)),
            nn.SELU() if self_normalizing else nn.ReLU(),
            nn.Linear(max(1, hidden_size // 2), num_features),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Process the sequence over the chosen axis."""
        # [B, H, F, T] to [B, sequence, H, flattened]
        order = (0, 3, 1, 2) if self.axis == 0 else (0, 2, 1, 3)
        back = (0, 2, 3, 1) if self.axis == 0 else (0, 2, 1, 3)
        sequence = features.permute(order)
        hidden = self._run(sequence.flatten(2))
        return features + self.affine(hidden).reshape(sequence.shape).permute(back)  # type: ignore[no-any-return]

    def _run(self, sequence: Tensor) -> Tensor:
        if sequence.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            # On the CPU an LSTM in bfloat16 is no faster forwards and a third slower backwards.
            with torch.autocast("cpu", enabled=False):
                return self.lstm(sequence.float())[0]  # type: ignore[no-any-return]
        return self.lstm(sequence)[0]  # type: ignore[no-any-return]

    def pass_through(self) -> None:
        """Initialise to the identity."""
        last = cast(nn.Linear, self.affine[-1])
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)


class VariationalBottleneck(nn.Module):
    """A variational latent: mean, log-variance, a sample in training, and a convolution that decodes it.

    Source: D. P. Kingma and M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014.

    Args:
        num_channels: Number of channels ``H`` of the features and the latent.

    Shape:
        - Input: ``[B, H, F, T]``
        - Output: decoded features, mean and log-variance, each ``[B, H, F, T]``
    """

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.mu = nn.Conv2d(num_channels, num_channels, 3, padding=1)
        self.log_var = nn.Conv2d(num_channels, num_channels, 3, padding=1)
        self.decode = nn.Sequential(nn.Conv2d(num_channels, num_channels, 3, padding=1), nn.SELU())

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, sample (the mean at evaluation) and decode."""
        mu = self.mu(features)
        # Bounded, so that the exponential stays finite for any weights.
        log_var = self.log_var(features).clamp(-20.0, 10.0)
        latent = mu + torch.randn_like(mu) * torch.exp(0.5 * log_var) if self.training else mu
        return self.decode(latent), mu, log_var

    def pass_through(self) -> None:
        """Initialise close to the identity, with little noise.

        The input is already the output of a SELU: positive features pass unchanged, negative ones shrink
        slightly.
        """
        decode = cast(nn.Conv2d, self.decode[0])
        with torch.no_grad():
            for convolution in (self.mu, self.log_var, decode):
                for parameter in convolution.parameters():
                    parameter.zero_()
            nn.init.dirac_(self.mu.weight)
            decode.weight.copy_(self.mu.weight / SELU_SLOPE)
            nn.init.constant_(cast(Tensor, self.log_var.bias), -QUIET)


def kl_divergence(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL divergence of N(mu, exp(log_var)) from N(0, 1), element by element, in 32 bits.

    Source: D. P. Kingma and M. Welling, "Auto-Encoding Variational Bayes", ICLR 2014, appendix B.

    Args:
        mu: Mean, of any shape.
        log_var: Log-variance, of the same shape.

    Example:
        >>> kl_divergence(torch.ones(2), torch.zeros(2)).tolist()
        [0.5, 0.5]
    """
    mu, log_var = mu.float(), log_var.float()
    capped = log_var.clamp(max=LOG_VARIANCE_KNEE)
    variance = capped.exp() * (1 + log_var - capped)
    return 0.5 * (mu.square() + variance - log_var - 1)


def lecun_init(module: nn.Module) -> None:
    """Initialise convolutions and affine layers for SELU: variance ``1 / fan_in``, no bias.

    Source: G. Klambauer et al., "Self-Normalizing Neural Networks", NeurIPS 2017.
    """
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
