"""Collects and restores everything needed to continue training as if it had never stopped."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch

from auralflow.errors import ModelError
from auralflow.trainer.callbacks import EpochRecord, TrainingState

if TYPE_CHECKING:
    from auralflow.trainer.loop import Trainer

__all__ = ["restore", "snapshot", "unpack_state"]


def snapshot(trainer: "Trainer") -> dict[str, Any]:
    """Collect the state of a training run.

    Args:
        trainer: The trainer, between two batches.

    Returns:
        Tensors, numbers, strings, and lists and dictionaries of them.
    """
    scaler = trainer.accelerator.scaler
    return {
        "state": asdict(trainer.state),
        "model": trainer.model.state_dict(),
        "optimizer": trainer.optimizer.state_dict(),
        "scheduler": trainer.scheduler.state_dict(),
        "plateau": trainer.plateau.state_dict(),
        "average": trainer.average.state_dict() if trainer.average else None,
        "scaler": scaler.state_dict() if scaler else None,
        "random": torch.get_rng_state(),
        "random_cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def restore(trainer: "Trainer", content: dict[str, Any]) -> None:
    """Restore the state of a training run.

    Args:
        trainer: A trainer with the same model and settings.
        content: The result of `snapshot`.

    Raises:
        ModelError: If it is not the state of such a trainer.
    """
    try:
        _restore(trainer, content)
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ModelError(
            f"cannot restore the checkpoint in '{trainer.folder}'",
            found=f"{type(error).__name__}: {error}"[:200],
            expected="the state of a training run with these settings",
            advice="Restore an intact copy, or start over with --force.",
        ) from None


def _restore(trainer: "Trainer", content: dict[str, Any]) -> None:
    if _has_muon(content["optimizer"]["param_groups"]) != _has_muon(trainer.optimizer.param_groups):
        raise ModelError(
            f"cannot continue the training run in '{trainer.folder}'",
            found=f"--optimizer {trainer.settings.optimizer}, which it was not started with",
            advice="Continue with its optimizer, or train a new folder with --init.",
        )
    trainer.state = unpack_state(content["state"])
    trainer.model.load_state_dict(content["model"])
    trainer.optimizer.load_state_dict(content["optimizer"])
    _lay_out(trainer)
    trainer.scheduler.load_state_dict(content["scheduler"])
    trainer.plateau.load_state_dict(content["plateau"])
    if trainer.average and content["average"]:
        trainer.average.load_state_dict(content["average"])
    if trainer.accelerator.scaler and content["scaler"]:
        trainer.accelerator.scaler.load_state_dict(content["scaler"])
    if trainer.accelerator.is_main_process:
        torch.set_rng_state(content["random"])
        if content["random_cuda"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(content["random_cuda"])
    else:
        # The state is that of the first process; dropout must differ in the others.
        torch.manual_seed(trainer.settings.seed + trainer.accelerator.process_index + trainer.state.step)


def _has_muon(groups: list[dict[str, Any]]) -> bool:
    return any("muon" in group for group in groups)


def _lay_out(trainer: "Trainer") -> None:
    """Give the optimizer's moments the memory layout of their weights, as its kernels expect."""
    for parameter, moments in trainer.optimizer.state.items():
        for name, moment in moments.items():
            if moment.shape == parameter.shape and moment.stride() != parameter.stride():
                moments[name] = torch.empty_like(parameter, dtype=moment.dtype).copy_(moment)


def unpack_state(values: dict[str, Any]) -> TrainingState:
    """Create a training state from plain values.

    Example:
        >>> unpack_state(asdict(TrainingState(epoch=3))).epoch
        3
    """
    history = [EpochRecord(**record) for record in values["history"]]
    # Earlier versions had no limit on the leak, so it was never exceeded.
    return TrainingState(**{"best_excess": 0.0, **values, "history": history})
