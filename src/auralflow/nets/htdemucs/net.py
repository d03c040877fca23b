"""Hybrid Demucs, with or without a transformer: one U-Net on the spectrogram, one on the waveform.

Sources: A. Défossez, "Hybrid Spectrogram and Waveform Source Separation", ISMIR 2021 workshop on music
demixing; S. Rouard, F. Massa and A. Défossez, "Hybrid Transformers for Music Source Separation", ICASSP 2023.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency row, ``T`` frame, ``N`` sample.
"""

import torch
from torch import Tensor, nn

from auralflow.nets.htdemucs.config import HDemucsConfig, HTDemucsConfig
from auralflow.nets.htdemucs.layers import Decoder, Encoder, LayerShape, ResidualBranch
from auralflow.nets.htdemucs.spectrum import HopTransform
from auralflow.nets.htdemucs.transformer import CrossTransformer
from auralflow.nets.spectral_mapping import channels_to_complex, complex_to_channels

__all__ = ["HybridDemucs"]

KERNEL, STRIDE = 8, 4
MERGED_STRIDE = 2
NORM_GROUPS = 4
EMBEDDING_SCALE = 10.0
EMBEDDING_SHARE = 0.2


class HybridDemucs(nn.Module):
    """The net, from the samples of a mixture to those of the targets.

    Beyond the layer that leaves a single frequency row, both branches are merged. Without a transformer, the
    decoder starts from zeros, and all information comes from skip connections.

    Args:
        config: Settings of the model.

    Shape:
        - Input: ``[B, C, N]``
        - Output: ``[B, S, C, N]``
    """

    def __init__(self, config: HTDemucsConfig | HDemucsConfig) -> None:
        super().__init__()
        self.num_targets = len(config.targets)
        num_channels, channels, depth = config.num_channels, config.num_hidden_channels, config.depth
        self.transform = HopTransform(config.num_fft, edges=config.edges)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        self.time_encoder, self.time_decoder = nn.ModuleList(), nn.ModuleList()

        def branch(width: int, level: int, *, decoding: bool) -> nn.Module:
            if decoding and config.branches == "encoder":
                return nn.Identity()
            deep = level >= config.deep_from
            return ResidualBranch(
                width,
                compress=config.branch_compress,
                depth=config.branch_depth,
                recurrent=deep,
                attentive=deep,
            )

        # The level at which the waveform's branch joins the spectrogram's; its layer there is bare.
        self.joint: int | None = None
        num_rows = config.num_fft // 2
        for level in range(depth):
            inner = channels * 2**level
            groups = NORM_GROUPS if level >= config.deep_from else 0
            outer = channels * 2 ** (level - 1) if level else 2 * num_channels
            outputs = outer if level else 2 * num_channels * self.num_targets
            merged, merging = num_rows == 1, 1 < num_rows <= KERNEL
            if merging:
                self.joint = level
            shape = LayerShape(
                outer=outer,
                inner=inner,
                kernel=2 * MERGED_STRIDE if merged else KERNEL,
                stride=MERGED_STRIDE if merged else STRIDE,
                padding=1 if merged else 0 if merging else STRIDE // 2,
                over_frequency=not merged,
                norm_groups=groups,
            )
            self.encoder.append(Encoder(shape, branch(inner, level, decoding=False)))
            self.decoder.insert(
                0, Decoder(shape, outputs, branch(inner, level, decoding=True), last=level == 0)
            )
            if not merged:
                time_shape = LayerShape(
                    outer=outer if level else num_channels,
                    inner=inner,
                    kernel=KERNEL,
                    stride=STRIDE,
                    padding=STRIDE // 2,
                    over_frequency=False,
                    norm_groups=groups,
                    bare=merging,
                )
                outputs = outer if level else num_channels * self.num_targets
                self.time_encoder.append(Encoder(time_shape, branch(inner, level, decoding=False)))
                self.time_decoder.insert(
                    0, Decoder(time_shape, outputs, branch(inner, level, decoding=True), last=level == 0)
                )
            num_rows = 1 if num_rows <= KERNEL else num_rows // STRIDE
        self.row_embedding = nn.Embedding(config.num_fft // 2 // STRIDE, channels)

        self.transformer: CrossTransformer | None = None
        if isinstance(config, HTDemucsConfig):
            deepest = channels * 2 ** (depth - 1)
            width = config.transformer_channels or deepest
            self.transformer = CrossTransformer(
                width,
                depth=config.transformer_depth,
                heads=config.transformer_heads,
                hidden_scale=config.transformer_hidden_scale,
                dropout=config.dropout_p,
            )
            for name, sizes in (("widen", (deepest, width)), ("narrow", (width, deepest))):
                for suffix in ("", "_time"):
                    resize = nn.Identity() if width == deepest else nn.Conv1d(sizes[0], sizes[1], 1)
                    self.add_module(name + suffix, resize)

    def forward(self, mixture: Tensor) -> Tensor:
        """Map a mixture to its targets: the sum of the outputs of both branches."""
        spectral = complex_to_channels(self.transform(mixture))
        spectral, spectral_mean, spectral_std = _standardized(spectral, 1e-5)
        temporal, temporal_mean, temporal_std = _standardized(mixture, 1e-5)

        skips, time_skips, time_lengths, lengths = [], [], [], []
        for level, encoder in enumerate(self.encoder):
            lengths.append(spectral.shape[-1])
            joining = None
            if level < len(self.time_encoder):
                time_lengths.append(temporal.shape[-1])
                temporal = self.time_encoder[level](temporal)
                if level == self.joint:
                    joining = temporal
                else:
                    time_skips.append(temporal)
            spectral = encoder(spectral, joining)
            if level == 0:
                rows = EMBEDDING_SHARE * EMBEDDING_SCALE * self.row_embedding.weight[: spectral.shape[2]]
                spectral = spectral + rows.T[:, :, None]
            skips.append(spectral)

        if self.transformer is None:
            spectral, temporal = torch.zeros_like(spectral), torch.zeros_like(temporal)
        else:
            spectral, temporal = self._transformed(spectral, temporal)

        apart = len(self.decoder) - len(self.time_decoder)
        for level, decoder in enumerate(self.decoder):
            spectral, before = decoder(spectral, skips.pop(), lengths.pop())
            if level >= apart:
                time_decoder = self.time_decoder[level - apart]
                if level == apart and self.joint is not None:
                    temporal, _ = time_decoder(before[:, :, 0], None, time_lengths.pop())
                else:
                    temporal, _ = time_decoder(temporal, time_skips.pop(), time_lengths.pop())

        spectral = spectral * spectral_std + spectral_mean
        spectrograms = channels_to_complex(spectral.float().unflatten(1, (self.num_targets, -1)))
        temporal = temporal * temporal_std + temporal_mean
        audio = self.transform.inverse(spectrograms, mixture.shape[-1])
        out: Tensor = audio + temporal.unflatten(1, (self.num_targets, -1))
        return out

    def _transformed(self, spectral: Tensor, temporal: Tensor) -> tuple[Tensor, Tensor]:
        assert self.transformer is not None
        num_rows = spectral.shape[2]
        widened = self.get_submodule("widen")(spectral.flatten(2)).unflatten(2, (num_rows, -1))
        widened, temporal = self.transformer(widened, self.get_submodule("widen_time")(temporal))
        spectral = self.get_submodule("narrow")(widened.flatten(2)).unflatten(2, (num_rows, -1))
        return spectral, self.get_submodule("narrow_time")(temporal)


def _standardized(features: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """Standardise each example; returns it with its mean and standard deviation."""
    axes = tuple(range(1, features.ndim))
    mean = features.mean(dim=axes, keepdim=True)
    std = features.std(dim=axes, keepdim=True)
    return (features - mean) / (epsilon + std), mean, std
