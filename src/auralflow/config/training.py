"""Settings of a training run."""

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, create_model

from auralflow.config.base import DEVICE_PATTERN, Settings
from auralflow.config.data import AugmentConfig
from auralflow.losses import LOSSES
from auralflow.losses.base import Reduction
from auralflow.losses.table import loss_options

__all__ = ["LossConfig", "TrainConfig"]

DEFAULT_RATE = 0.01
TRAINED_RATE = DEFAULT_RATE / 10
"""Default when training starts from trained weights, which large steps would destroy."""

if TYPE_CHECKING:
    _FROM_LOSS: Any = ...

    class LossConfig(Settings):
        """What the class below looks like to type checkers, which do not run code."""

        criterion: Literal[
            "component", "kl_div", "l1", "l2", "mask", "si_sdr", "rmse", "complex_l1", "snr"
        ] = _FROM_LOSS
        alpha: float = _FROM_LOSS
        beta: float = _FROM_LOSS
        gamma: float = _FROM_LOSS
        construction_loss: Literal["l1", "l2"] = _FROM_LOSS
        best_perm: bool = _FROM_LOSS
        reduction: Reduction = _FROM_LOSS

else:
    LossConfig = create_model(
        "LossConfig",
        __base__=Settings,
        __module__=__name__,
        __doc__="The criterion and the settings of all criteria; the options come from the loss classes.",
        criterion=(Literal[tuple(LOSSES)], Field(default="si_sdr", description="Loss criterion.")),
        **loss_options(),
    )


class TrainConfig(LossConfig, AugmentConfig):
    """Settings of a training run: ``trainer.json``."""

    max_tracks: int = Field(default=80, ge=1, description="Maximum number of tracks to draw chunks from.")
    max_samples: int = Field(default=10000, ge=1, description="Number of training chunks per epoch.")
    valid_samples: int = Field(default=200, ge=1, description="Maximum number of fixed validation chunks.")
    batch_size: int = Field(default=32, ge=1, description="Number of chunks per batch and process.")
    num_workers: int = Field(
        default=8, ge=0, description="Number of worker processes that read chunks, at most one per core."
    )
    persistent_workers: bool = Field(default=False, description="Keep the workers alive between epochs.")
    pin_memory: bool = Field(default=False, description="Pin batches in memory for faster copies to a GPU.")
    pre_fetch: int = Field(default=4, ge=1, description="Number of batches that each worker prefetches.")
    max_epochs: int = Field(default=100, ge=1, description="Number of epochs to train for.")
    optimizer: Literal["adamw", "muon"] = Field(
        default="adamw",
        description="Optimizer; muon learns more per step, and needs a higher learning rate.",
    )
    lr: float = Field(
        default=DEFAULT_RATE, gt=0, description="Learning rate; with --init the default is a tenth of it."
    )
    lr_lstm: float = Field(default=0.00001, gt=0, description="Learning rate of the LSTM layers.")
    weight_decay: float = Field(default=0.01, ge=0, description="Weight decay of the optimizer.")
    warmup_steps: int = Field(
        default=0, ge=0, description="Steps over which the learning rate rises from nearly 0."
    )
    ema_decay: float = Field(
        default=0,
        ge=0,
        lt=1,
        description="Decay of an exponential moving average of the weights, which is then saved in their "
        "place; 0: off.",
    )
    kl_weight: float = Field(
        default=0.001, ge=0, description="Weight of a VAE's KL term, which is added to any criterion."
    )
    use_amp: bool = Field(
        default=False, description="Train in mixed precision, on CUDA and on CPUs with bfloat16 units (AMX)."
    )
    scale_grad: bool = Field(
        default=False,
        description="Train in mixed precision in float16 with scaled gradients, if CUDA is available.",
    )
    init_scale: float = Field(default=65536, gt=0, description="Initial scale of the gradients.")
    clip_grad: bool = Field(default=False, description="Clip the gradients.")
    max_grad_norm: float = Field(
        default=1000, gt=0, description="Maximum 2-norm of all gradients with --clip-grad."
    )
    stop_patience: int = Field(
        default=5,
        ge=1,
        description="Epochs without improvement, called a plateau, before the learning rate is reduced.",
    )
    max_plateaus: int = Field(default=5, ge=1, description="Number of plateaus before training stops.")
    min_delta: float = Field(
        default=0.01,
        ge=0,
        description="Smallest change of the value chosen by --select that counts as better.",
    )
    select: Literal["loss", "si_sdr"] = Field(
        default="loss",
        description="Value that decides on patience and the best weights: validation loss or SI-SDR "
        "improvement.",
    )
    max_leak: float | None = Field(
        default=None,
        ge=-120,
        le=0,
        description="Maximum energy, in dB relative to the mixture, of estimated vocals in validation chunks "
        "without vocals; until some weights meet it, those closest to it are the best.",
    )
    checkpoint_minutes: float = Field(
        default=10,
        gt=0,
        description="Minutes between checkpoints within an epoch; one is always written after each epoch.",
    )
    device: str = Field(default="auto", pattern=DEVICE_PATTERN, description="auto, cpu, cuda, cuda:N or mps.")
    tensorboard: bool = Field(
        default=False, description="Write TensorBoard logs to runs/ in the model's folder."
    )
    view_iter: bool = Field(default=False, description="Log the loss of every batch to TensorBoard.")
    view_epoch: bool = Field(
        default=False, description="Log losses, scores and the learning rate of every epoch."
    )
    view_weights: bool = Field(default=False, description="Log histograms of the weights of each layer.")
    view_grad: bool = Field(default=False, description="Log histograms of the gradients of each layer.")
    view_norm: bool = Field(default=False, description="Log the 2-norm of every weight and gradient.")
    play_estimate: bool = Field(
        default=False, description="Log the estimates of fixed validation chunks as audio."
    )
    play_residual: bool = Field(default=False, description="Log the mixture minus the estimates as audio.")
    view_spec: bool = Field(
        default=False, description="Log spectrograms of estimates beside their references as images."
    )
    view_wav: bool = Field(
        default=False, description="Log waveforms of estimates beside their references as images."
    )
    image_freq: int = Field(
        default=5, ge=1, description="Epochs between logged images, audio and histograms."
    )
    seed: int = Field(default=0, ge=0, description="Random seed of weights and chunks.")
    silent: bool = Field(default=False, description="Do not print a message for checkpoints.")

    def from_trained(self) -> Self:
        """The settings for training from trained weights: the default learning rate is a tenth.

        Example:
            >>> TrainConfig().from_trained().lr, TrainConfig(lr=0.5).from_trained().lr
            (0.001, 0.5)
        """
        return self if "lr" in self.model_fields_set else self.model_copy(update={"lr": TRAINED_RATE})
