"""Components of the training loop: criterion, optimizer, device and precision, moving average."""

import time
from typing import Any, Literal, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import GradScalerKwargs, broadcast
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from auralflow.config import TrainConfig
from auralflow.losses import Criterion
from auralflow.losses.table import criterion_from_options
from auralflow.machine import check_device, has_bfloat16_units
from auralflow.nets.door import SeparationModel
from auralflow.trainer.muon import Muon, split_groups

__all__ = [
    "LR_DROP",
    "WeightAverage",
    "create_accelerator",
    "create_optimizer",
    "criterion_of",
    "end_processes",
    "precision_of",
    "share_buffers",
]

LR_DROP = 0.5
"""Factor by which the learning rate is reduced at a plateau."""

THREADS_SECONDS = 0.5
"""Time for the threads of a process group to release their tensors."""


class WeightAverage:
    """Exponential moving average of a model's weights and statistics.

    The decay starts low, so that the initial random weights are soon forgotten.

    Args:
        model: The initial model.
        decay: Fraction of the average that is kept in each step, below 1.
    """

    def __init__(self, model: SeparationModel, decay: float) -> None:
        self.decay = decay
        self.averaged = AveragedModel(model, multi_avg_fn=self._mix, use_buffers=True)

    @property
    def model(self) -> SeparationModel:
        """The model with the averaged weights."""
        return cast(SeparationModel, self.averaged.module)

    def _mix(self, averaged: Any, current: Any, count: Any) -> None:
        decay = min(self.decay, (1 + float(count)) / (10 + float(count)))
        get_ema_multi_avg_fn(decay)(averaged, current, count)

    def update(self, model: SeparationModel) -> None:
        """Update the average with the model's current weights."""
        self.averaged.update_parameters(model)

    def state_dict(self) -> dict[str, Any]:
        """State of the average."""
        return self.averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        self.averaged.load_state_dict(state)


def criterion_of(settings: TrainConfig) -> Criterion:
    """Create the criterion named by the settings."""
    values = settings.model_dump()
    return criterion_from_options(values["criterion"], values)


def precision_of(settings: TrainConfig, device: torch.device) -> Literal["no", "fp16", "bf16"]:
    """Choose the precision of training: mixed precision if requested and faster, otherwise 32 bits.

    Args:
        settings: Settings of the training run.
        device: The device to train on.

    Returns:
        On CUDA ``bf16``, or ``fp16`` if gradients are to be scaled or bfloat16 is not supported; on a CPU
        with matrix units for bfloat16 (AMX) ``bf16``; otherwise ``no``, since bfloat16 is several times
        slower than 32 bits on other CPUs.

    Example:
        >>> precision_of(TrainConfig(use_amp=False), torch.device("cpu"))
        'no'
    """
    if not settings.use_amp:
        return "no"
    if device.type == "cuda":
        return "fp16" if settings.scale_grad or not has_bfloat16_units(device) else "bf16"
    return "bf16" if has_bfloat16_units(device) else "no"


def create_accelerator(settings: TrainConfig) -> Accelerator:
    """Choose device, precision and distribution.

    Raises:
        UsageError: If the machine does not have the device.
    """
    device = check_device(settings.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    precision = precision_of(settings, device)
    if AcceleratorState._shared_state and PartialState().num_processes == 1:
        # Accelerate never changes its first device and precision, but two trainers in a process may differ.
        AcceleratorState._reset_state(reset_partial_state=True)
    scaler = GradScalerKwargs(init_scale=settings.init_scale, enabled=settings.scale_grad)
    return Accelerator(
        cpu=device.type == "cpu",
        mixed_precision=precision,
        kwargs_handlers=[scaler] if precision == "fp16" else [],
    )


def share_buffers(model: SeparationModel, accelerator: Accelerator) -> None:
    """Copy the first process's statistics to all others, so that all validate the same model."""
    if accelerator.num_processes > 1:
        for buffer in model.buffers():
            broadcast(buffer, from_process=0)


def end_processes(accelerator: Accelerator) -> None:
    """Close the process group once all processes have reached this point; do nothing if there is only one."""
    if accelerator.num_processes == 1:
        return
    accelerator.wait_for_everyone()
    accelerator.end_training()
    # The group's threads release the last tensors after the collectives have returned. They need the
    # interpreter for that, and abort the process if it is shutting down (pytorch/pytorch issue 190489).
    # PyTorch does not wait for them, so let them finish while the main thread sleeps.
    time.sleep(THREADS_SECONDS)


def create_optimizer(model: SeparationModel, settings: TrainConfig) -> Optimizer:
    """Create the optimizer, with the learning rates of the model's parameter groups.

    Source:
        I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, for AdamW; for Muon
        see :class:`~auralflow.trainer.muon.Muon`.
    """
    groups = model.parameter_groups(settings)
    if settings.optimizer == "muon":
        return Muon(split_groups(model, groups), weight_decay=settings.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=settings.weight_decay, fused=True)
