"""What the loop is made with: criterion, optimizer, devices and precision, the average of the weights."""

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
"""Factor of the learning rate at a plateau."""

THREADS_SECONDS = 0.5
"""Time that the threads of a group of processes get to put down their tensors."""


class WeightAverage:
    """Exponential moving average of a model's weights and statistics.

    The decay starts low, so that the first, random weights are soon forgotten.

    Args:
        model: The model at its start.
        decay: Share of the average that one step keeps, below 1.
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
        """Take one more state of the model into the average."""
        self.averaged.update_parameters(model)

    def state_dict(self) -> dict[str, Any]:
        """The average's own state."""
        return self.averaged.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self.averaged.load_state_dict(state)


def criterion_of(settings: TrainConfig) -> Criterion:
    """The criterion that the settings name."""
    values = settings.model_dump()
    return criterion_from_options(values["criterion"], values)


def precision_of(settings: TrainConfig, device: torch.device) -> Literal["no", "fp16", "bf16"]:
    """Format of the numbers in the net's products: mixed precision where it is faster, else 32 bits.

    Args:
        settings: Settings of the training.
        device: Where it runs.

    Returns:
        On CUDA ``bf16``, or ``fp16`` where gradients are to be scaled or bfloat16 is missing; on a CPU with
        matrix units for bfloat16 (AMX) ``bf16``. Other CPUs compute it several times slower than 32 bits.

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
    """The one place that decides device, precision and distribution.

    Raises:
        UsageError: If the machine does not have the device.
    """
    device = check_device(settings.device)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    precision = precision_of(settings, device)
    if AcceleratorState._shared_state and PartialState().num_processes == 1:
        # Accelerate keeps its first device and precision for ever; two trainers in a process may differ.
        AcceleratorState._reset_state(reset_partial_state=True)
    scaler = GradScalerKwargs(init_scale=settings.init_scale, enabled=settings.scale_grad)
    return Accelerator(
        cpu=device.type == "cpu",
        mixed_precision=precision,
        kwargs_handlers=[scaler] if precision == "fp16" else [],
    )


def share_buffers(model: SeparationModel, accelerator: Accelerator) -> None:
    """Give every process the first one's statistics, so that all validate the same model."""
    if accelerator.num_processes > 1:
        for buffer in model.buffers():
            broadcast(buffer, from_process=0)


def end_processes(accelerator: Accelerator) -> None:
    """Close the group of processes when all have come so far; without others there is nothing to do."""
    if accelerator.num_processes == 1:
        return
    accelerator.wait_for_everyone()
    accelerator.end_training()
    # The group's threads let go of the last tensors after the collectives have returned. For that they need
    # the interpreter, and abort the process if it is being torn down (pytorch/pytorch issue 190489). Nothing
    # in PyTorch waits for them; they have no more to do than this, and a sleeping main thread lets them.
    time.sleep(THREADS_SECONDS)


def create_optimizer(model: SeparationModel, settings: TrainConfig) -> Optimizer:
    """AdamW, with the learning rates that the model's groups of parameters have.

    Source: I. Loshchilov and F. Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    """
    return torch.optim.AdamW(model.parameter_groups(settings), weight_decay=settings.weight_decay, fused=True)
