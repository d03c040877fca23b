"""The U-Nets as a `SeparationModel`: transform, masks, inverse transform.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from auralflow.errors import ModelError
from auralflow.nets.door import Estimate, Graph, SeparationModel, Traits, WarmStart
from auralflow.nets.unet.config import RecurrentNetConfig, SpectrogramNetConfig
from auralflow.nets.unet.folded import FoldedNetSimple
from auralflow.nets.unet.folding import fold_batch_norm
from auralflow.nets.unet.nets import MaskNet, create_net
from auralflow.nets.unet.warm_start import warm_start
from auralflow.transforms import STFT

__all__ = ["SpectrogramMaskModel"]

HEAD = ("net.head.weight", "net.head.bias")


class SpectrogramMaskModel(SeparationModel):
    """A separator that masks the mixture's spectrogram.

    Args:
        config: Settings of the model.

    Attributes:
        net: The net, from magnitudes ``[B, C, F, T]`` to a `MaskEstimate`.

    Example:
        >>> targets = ("vocals", "drums")
        >>> config = SpectrogramNetConfig(targets=targets, num_hidden_channels=2, sample_rate=8000)
        >>> model = SpectrogramMaskModel(config).eval()
        >>> list(model.separate(torch.randn(1, 1, 50000)).shape)
        [1, 2, 1, 50000]
    """

    config: SpectrogramNetConfig
    transform: STFT

    def __init__(self, config: SpectrogramNetConfig) -> None:
        super().__init__()
        self.config = config
        self.traits = Traits(
            bfloat16_error=-48,
            fixed_length=isinstance(config, RecurrentNetConfig) and config.input_axis == 1,
            dependent_targets=config.mask_act_fn == "softmax",
            has_masks=True,
            has_penalty=config.net == "SpectrogramNetVAE",
        )
        self.transform = STFT(config.num_fft, config.window_size, config.hop_length)
        self.net: nn.Module = create_net(config)

    def forward(self, mixture: Tensor) -> Estimate:
        """Estimate the masks of chunks of audio ``[B, C, N]``.

        A net with a recurrent bottleneck over frequency only takes chunks of ``config.chunk_samples``.
        """
        return self._estimate(mixture, self.net)

    def _estimate(self, mixture: Tensor, net: Callable[[Tensor], tuple[Tensor, ...]]) -> Estimate:
        spectrogram = self.transform(mixture)
        mask, *rest = net(spectrogram.abs())
        # In mixed precision the net's output is coarser than the spectrogram to be masked.
        mask = mask.float()
        if torch.is_inference_mode_enabled():
            # Same memory layout as the mixture: mixed layouts cost as much time as a small net.
            mask = mask.transpose(-1, -2).contiguous().transpose(-1, -2)
        penalty = rest[0] if rest else None
        return Estimate(mixture, self.transform, mask=mask, mixture=spectrogram, penalty=penalty)

    def restricted(self, targets: tuple[str, ...]) -> "SpectrogramMaskModel":
        """A model with only some of the targets, in the given order.

        The targets share everything but the weights of the last convolution, so the estimates of the others
        do not change.
        """
        self.check_restriction(targets)
        weights = self.state_dict()
        each = len(weights[HEAD[0]]) // len(self.targets)
        order = [self.targets.index(target) for target in targets]
        rows = torch.tensor([index * each + row for index in order for row in range(each)])
        model = SpectrogramMaskModel(self.config.model_copy(update={"targets": targets}))
        kept = {name: tensor[rows] if name in HEAD else tensor for name, tensor in weights.items()}
        model.load_state_dict(kept)
        return model.train(self.training)

    def for_inference(self) -> "SpectrogramMaskModel":
        """A copy with batch normalisations folded into the convolutions before them."""
        return fold_batch_norm(self)

    def parameter_groups(self, settings: Any) -> list[dict[str, Any]]:
        """All parameters with ``settings.lr``, those of LSTM layers with ``settings.lr_lstm``."""
        recurrent = {
            id(parameter)
            for module in self.modules()
            if isinstance(module, nn.LSTM)
            for parameter in module.parameters()
        }
        groups = [
            {"params": [p for p in self.parameters() if id(p) not in recurrent], "lr": settings.lr},
            {"params": [p for p in self.parameters() if id(p) in recurrent], "lr": settings.lr_lstm},
        ]
        return [group for group in groups if group["params"]]

    def start_from(self, source: SeparationModel) -> WarmStart:
        """Copy matching weights from another U-Net, which may have other targets or another bottleneck."""
        if not isinstance(source, SpectrogramMaskModel):
            raise ModelError(
                f"{self.config.net} cannot start from the weights of another family",
                found=source.config.net,
                expected=f"a net of the family {self.config.family}",
            )
        return warm_start(self, source)

    def export_graph(self, *, num_samples: int | None = None) -> Graph:
        """The net: magnitudes ``[B, C, F, T]`` in, masks ``[B, S, C, F, T]`` out, with dynamic ``B``."""
        config = self.config
        frames = self.transform.num_frames(num_samples or config.chunk_samples)
        example = torch.rand(2, config.num_channels, config.num_bins, frames)
        return Graph(
            module=_MaskGraph(cast(MaskNet | FoldedNetSimple, self.net)),
            example=(example,),
            inputs=("magnitudes",),
            outputs=("mask",),
            use=self._estimate,
        )


class _MaskGraph(nn.Module):
    """The net with its mask as the only output."""

    def __init__(self, net: MaskNet | FoldedNetSimple) -> None:
        super().__init__()
        self.net = net

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Estimate masks from magnitudes."""
        return self.net(magnitudes).mask  # type: ignore[no-any-return]
