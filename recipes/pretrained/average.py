"""Averages the weights of models, such as a fine-tuned model and the one that it started from.

Run ``python recipes/pretrained/average.py MODEL=SHARE [MODEL=SHARE ...] --save FOLDER``. A MODEL is a folder
or a name, and the shares add up to 1. An average of the weights of a fine-tuned model and of those it started
from can keep what either does better (Wortsman et al., "Robust fine-tuning of zero-shot models", 2022,
equation 1).

FOLDER gets the settings of the first MODEL. Another one may be a smaller net with the same settings, such as
SpectrogramNetSimple beside a SpectrogramNetLSTM that was trained from it. Weights that it lacks are averaged
over the models that have them.

FOLDER becomes a model folder, with the ``trainer.json`` and ``summary.json`` of the last MODEL that has them,
as ``publish.py`` needs them.
"""

import argparse
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from auralflow.errors import AuralflowError, UsageError
from auralflow.models import create_model_folder, load, save_weights
from auralflow.models.folder import WEIGHTS_FILE
from auralflow.nets.door import SeparationModel
from auralflow.trainer.run import TRAINER_FILE
from auralflow.trainer.summary import SUMMARY_FILE


def average(shares: Sequence[tuple[str, float]], folder: Path) -> None:
    """Write a model folder with the average of the weights of some models.

    Args:
        shares: Folder or name of each model, and its share. The shares add up to 1. The first model must have
            all the settings and weights that the others have.
        folder: The folder to write, which must not contain a model.

    Raises:
        UsageError: If the shares do not add up to 1, the models have different settings, or those that have
            some weight have no share.
    """
    total = math.fsum(share for _, share in shares)
    if not math.isclose(total, 1.0, abs_tol=1e-6):
        raise UsageError("the shares must add up to 1", found=f"{total:g}")
    models = [load(name) for name, _ in shares]
    for (name, _), model in zip(shares, models, strict=True):
        if not is_part(model, models[0]):
            raise UsageError(
                f"'{name}' and '{shares[0][0]}' cannot be averaged: they have different settings"
            )
    weights = averaged(models, [share for _, share in shares])
    create_model_folder(folder, models[0].config)
    save_weights(weights, folder / WEIGHTS_FILE)
    for file in (TRAINER_FILE, SUMMARY_FILE):
        found = [Path(name) / file for name, _ in shares if (Path(name) / file).is_file()]
        if found:
            shutil.copyfile(found[-1], folder / file)


def is_part(model: SeparationModel, whole: SeparationModel) -> bool:
    """Whether another model has all the settings and weights of a model."""
    settings, others = (part.config.model_dump(exclude={"net"}) for part in (model, whole))
    shapes, more = ({name: t.shape for name, t in part.state_dict().items()} for part in (model, whole))
    return settings.items() <= others.items() and shapes.items() <= more.items()


def averaged(models: Sequence[SeparationModel], shares: Sequence[float]) -> dict[str, Tensor]:
    """The average of the weights of the first model, each over the models that have it.

    Integers, which only count batches, are those of the last model.

    Raises:
        UsageError: If the shares of the models that have some weight add up to nothing.
    """
    states = [model.state_dict() for model in models]
    result = {}
    for name in states[0]:
        found = [(share, state[name]) for share, state in zip(shares, states, strict=True) if name in state]
        last = found[-1][1]
        if last.is_floating_point():
            total = math.fsum(share for share, _ in found)
            if math.isclose(total, 0.0, abs_tol=1e-6):
                raise UsageError(f"no model with a share has {name}")
            parts = [share / total * tensor.double() for share, tensor in found]
            result[name] = sum(parts[1:], start=parts[0]).to(last.dtype)
        else:
            result[name] = last
    return result


def parse_share(word: str) -> tuple[str, float]:
    """Split ``MODEL=SHARE``."""
    name, found, share = word.rpartition("=")
    try:
        value = float(share)
    except ValueError:
        value = math.nan
    if not found or not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"'{word}': expected MODEL=SHARE, such as SpectrogramNetSimple=0.5")
    return name, value


def main(words: Sequence[str] | None = None) -> int:
    """Average from the command line, and return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("shares", nargs="+", type=parse_share, metavar="MODEL=SHARE")
    parser.add_argument("--save", type=Path, required=True, metavar="FOLDER", help="the folder to write")
    options = parser.parse_args(words)
    try:
        average(options.shares, options.save)
    except AuralflowError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
