"""The wrapper around a net: audio in, audio of the targets out.

Shape letters: ``B`` batch, ``S`` source, ``C`` channel, ``F`` frequency bin, ``T`` frame, ``N`` sample.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from auralflow.config import ModelConfig
from auralflow.errors import UsageError
from auralflow.models.nets import create_net
from auralflow.transforms import STFT, overlap_add

__all__ = ["Estimate", "SpectrogramMaskModel", "chunk_step"]


class Estimate(NamedTuple):
    """What the model knows about a batch of chunks.

    Attributes:
        mixture: Complex spectrogram of the mixture ``[B, C, F, T]``.
        mask: ``[B, S, C, F, T]`` in [0, 1].
        num_samples: Length ``N`` of the audio.
        mu: Mean of a VAE's latent, else None.
        log_var: Log-variance of a VAE's latent, else None.
    """

    mixture: Tensor
    mask: Tensor
    num_samples: int
    mu: Tensor | None = None
    log_var: Tensor | None = None

    @property
    def spectrogram(self) -> Tensor:
        """Complex spectrograms of the targets ``[B, S, C, F, T]``: the mask on the mixture.

        A real mask on a complex number scales its magnitude and keeps its phase, so this is
        ``reconstruct(mask * |X|, X)`` without taking the number apart.
        """
        return self.mask * self.mixture.unsqueeze(1)


class SpectrogramMaskModel(nn.Module):
    """A separator: the transform, a net that estimates masks, and its settings.

    Args:
        config: Settings of the model.

    Attributes:
        config: The settings.
        stft: The transform.
        net: The net.

    Example:
        >>> config = ModelConfig(targets=("vocals", "drums"), num_hidden_channels=2, sample_rate=8000)
        >>> model = SpectrogramMaskModel(config).eval()
        >>> list(model.separate(torch.randn(1, 1, 50000)).shape)
        [1, 2, 1, 50000]
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.stft = STFT(config.num_fft, config.window_size, config.hop_length)
        self.net: nn.Module = create_net(config)

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets, in the order of the axis ``S``."""
        return self.config.targets

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.stft.window.device

    def preprocess(self, audio: Tensor) -> Tensor:
        """Transform audio ``[B, C, N]`` to complex spectrograms ``[B, C, F, T]``."""
        return self.stft(audio)  # type: ignore[no-any-return]

    def forward(self, audio: Tensor) -> Estimate:
        """Estimate the masks of chunks of audio ``[B, C, N]``.

        A net with a recurrent bottleneck over frequency takes chunks of ``config.chunk_samples`` only.
        """
        mixture = self.preprocess(audio)
        estimate = self.net(mixture.abs())
        return Estimate(mixture, estimate.mask, audio.shape[-1], estimate.mu, estimate.log_var)

    def postprocess(self, estimate: Estimate) -> Tensor:
        """Audio of the targets ``[B, S, C, N]``: masked magnitudes with the mixture's phase."""
        return self.stft.inverse(estimate.spectrogram, estimate.num_samples)

    @torch.inference_mode()
    def separate_chunks(self, chunks: Tensor) -> Tensor:
        """Separate a batch of chunks ``[B, C, chunk_samples]`` to ``[B, S, C, chunk_samples]``."""
        return self.postprocess(self(chunks.to(self.device)))

    @torch.inference_mode()
    def separate(self, audio: Tensor, *, overlap: float = 0.25, batch_size: int = 4) -> Tensor:
        """Separate audio of any length, in chunks that are cross-faded.

        Call ``eval()`` before, as for any module: in training mode dropout and a VAE's sampling act.

        Args:
            audio: ``[B, C, N]`` with ``C`` the model's channels, float32, at the model's sample rate.
            overlap: Share of a chunk that the next one covers again, from 0 to below 1.
            batch_size: Chunks that the net sees at once.

        Returns:
            ``[B, S, C, N]`` on the model's device.

        Raises:
            UsageError: If ``audio`` has another shape.
        """
        if audio.ndim != 3 or audio.shape[1] != self.config.num_channels:
            raise UsageError(
                "cannot separate this tensor",
                found=f"shape {list(audio.shape)}",
                expected=f"[batch, {self.config.num_channels}, samples]",
            )
        if audio.shape[-1] == 0:
            return audio.new_zeros(audio.shape[0], len(self.targets), audio.shape[1], 0)
        step = chunk_step(self.config.chunk_samples, overlap)
        separated = [
            torch.cat(
                list(
                    overlap_add(
                        [item],
                        self.separate_chunks,
                        chunk_length=self.config.chunk_samples,
                        step=step,
                        batch_size=batch_size,
                    )
                ),
                dim=-1,
            )
            for item in audio
        ]
        return torch.stack(separated)


def chunk_step(chunk_samples: int, overlap: float) -> int:
    """Samples from one chunk's start to the next.

    Example:
        >>> chunk_step(1000, 0.25)
        750
    """
    return max(1, round(chunk_samples * (1 - overlap)))
