"""Settings of a training run."""

from typing import Literal

from pydantic import Field

from auralflow.config.base import Settings

__all__ = ["CriterionName", "TrainConfig"]

CriterionName = Literal["component", "kl_div", "l1", "l2", "mask", "si_sdr", "rmse", "complex_l1"]


class TrainConfig(Settings):
    """Settings of a training run: ``trainer.json``."""

    max_tracks: int = Field(80, ge=1, description="Number of tracks that chunks are drawn from.")
    max_samples: int = Field(10000, ge=1, description="Number of training chunks in an epoch.")
    valid_samples: int = Field(200, ge=1, description="Number of fixed validation chunks, at most.")
    batch_size: int = Field(32, ge=1, description="Chunks in a batch, per process.")
    num_workers: int = Field(8, ge=0, description="Worker processes that read chunks, at most one a core.")
    persistent_workers: bool = Field(False, description="Keep the workers alive between epochs.")
    pin_memory: bool = Field(False, description="Pin batches in memory for faster copies to a GPU.")
    pre_fetch: int = Field(4, ge=1, description="Batches that each worker reads ahead.")
    max_epochs: int = Field(100, ge=1, description="Number of epochs to train for.")
    lr: float = Field(0.01, gt=0, description="Learning rate.")
    lr_lstm: float = Field(0.00001, gt=0, description="Learning rate of the LSTM layers.")
    weight_decay: float = Field(0.01, ge=0, description="Weight decay of AdamW.")
    warmup_steps: int = Field(0, ge=0, description="Steps over which the learning rate rises from nearly 0.")
    ema_decay: float = Field(
        0,
        ge=0,
        lt=1,
        description="Decay of a moving average of the weights, which is then what is kept; 0: off.",
    )
    criterion: CriterionName = Field("si_sdr", description="Loss criterion.")
    construction_loss: Literal["l1", "l2"] = Field("l2", description="Construction loss of kl_div.")
    kl_weight: float = Field(
        0.001, ge=0, description="Weight of a VAE's KL term, which is added to any criterion."
    )
    alpha: float = Field(0.2, ge=0, description="Weight of the first term of component: the target.")
    beta: float = Field(0.8, ge=0, description="Weight of the second term of component: the residual.")
    gamma: float = Field(0, ge=0, description="Weight of the third term of component: the residual's shape.")
    reduction: Literal["mean", "sum"] = Field("mean", description="Whether the loss is averaged or summed.")
    best_perm: bool = Field(
        False, description="With si_sdr, score the permutation of the targets with the smallest loss."
    )
    use_amp: bool = Field(False, description="Mixed precision, where CUDA is available.")
    scale_grad: bool = Field(
        False, description="Scale gradients in mixed precision, where CUDA is available."
    )
    init_scale: float = Field(65536, gt=0, description="Initial scale of the gradients.")
    clip_grad: bool = Field(False, description="Clip gradients.")
    max_grad_norm: float = Field(1000, gt=0, description="Largest 2-norm of all gradients, if clipped.")
    stop_patience: int = Field(
        5, ge=1, description="Epochs without improvement before the learning rate drops: a plateau."
    )
    max_plateaus: int = Field(5, ge=1, description="Plateaus before training stops.")
    min_delta: float = Field(0.01, ge=0, description="Smallest drop of the validation loss that counts.")
    remix: float = Field(
        1, ge=0, le=1, description="Share of chunks mixed from stems of different tracks, level-matched."
    )
    seed: int = Field(0, ge=0, description="Seed of weights and chunks.")
    silent: bool = Field(False, description="Do not report checkpoints.")
