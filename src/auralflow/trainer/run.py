"""A training run: from a model folder and a dataset to trained weights."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from auralflow.config import TrainConfig
from auralflow.cores import usable_workers
from auralflow.datasets import (
    EpochSampler,
    Track,
    TrainingChunks,
    ValidationChunks,
    train_loader,
    training_tracks,
    valid_loader,
)
from auralflow.datasets.draws import VOICE
from auralflow.datasets.splits import has_validation
from auralflow.errors import AudioError, DatasetError, NotFoundError, UsageError, first_of
from auralflow.losses import Criterion
from auralflow.machine import check_device
from auralflow.models import CARD_FILE, create_model, load, read_model_config
from auralflow.models.folder import WEIGHTS_FILE
from auralflow.models.writing import set_aside
from auralflow.nets.door import SeparationModel
from auralflow.storage import remove_leftovers, write_json
from auralflow.trainer.callbacks import Callback
from auralflow.trainer.checkpoint import CHECKPOINT_FILE, PREVIOUS_FILE, has_checkpoint
from auralflow.trainer.loop import Trainer
from auralflow.trainer.optimization import end_processes, precision_of
from auralflow.trainer.summary import IMAGE_FOLDER, SUMMARY_FILE, SUMMARY_PICTURE, RunSummary
from auralflow.trainer.tensorboard import LOG_FOLDER, VIEWS, TensorBoardLogger, pick_examples

__all__ = ["TRAINER_FILE", "Preparation", "explain_no_effect", "prepare_folder", "train"]

TRAINER_FILE = "trainer.json"
MOST_NAMED = 3
"""Number of tracks that a warning names."""
logger = logging.getLogger(__name__)
RUN_FILES = (
    WEIGHTS_FILE,
    CHECKPOINT_FILE.parts[0],
    TRAINER_FILE,
    SUMMARY_FILE,
    SUMMARY_PICTURE,
    IMAGE_FOLDER,
    LOG_FOLDER,
    # The card of a downloaded pretrained model does not apply to the new weights.
    CARD_FILE,
)
"""Files that a training run leaves in a model folder."""


@dataclass(frozen=True)
class Preparation:
    """What `prepare_folder` has read, so that `train` need not read it again.

    Attributes:
        train_tracks: Tracks to train on.
        valid_tracks: Tracks to validate on.
        start: The model that provides the initial weights, None for random weights.
        previous: The folder that an earlier training run was moved to, None if there was none.
        held_out: Whether the validation tracks are training tracks that were held out.
    """

    train_tracks: list[Track]
    valid_tracks: list[Track]
    start: SeparationModel | None = None
    previous: Path | None = None
    held_out: bool = False


def prepare_folder(
    folder: str | Path,
    dataset: str | Path,
    settings: TrainConfig,
    *,
    resume: bool,
    force: bool = False,
    initial: str | Path | None = None,
    trust_code: bool | str = False,
) -> Preparation:
    """Prepare a model folder for a training run, and write ``trainer.json``.

    Args:
        folder: A folder with a ``model.json``.
        dataset: The dataset to train on, which is checked before anything is changed.
        settings: Settings of the training run.
        resume: Whether to continue an earlier training run.
        force: Whether to move an earlier training run aside. Default: False.
        initial: The model that provides the initial weights, which is also checked. Default: none.
        trust_code: Name of a family of nets from another package whose code may run, or True for any family.
            Default: False.

    Returns:
        The tracks and the initial model.

    Raises:
        UsageError: If the folder contains a training run, and neither ``resume`` nor ``force`` is on.
        NotFoundError: If the model folder, the dataset or the initial model does not exist.
        ModelError: If its ``model.json`` is invalid, or it cannot start from the initial model.
        DatasetError: If the dataset is unsuitable for training.
    """
    folder, dataset = Path(folder), Path(dataset)
    config = read_model_config(folder, trust_code=trust_code)
    train_tracks, valid_tracks = training_tracks(dataset)
    start = load(initial, trust_code=trust_code) if initial else None
    if start:
        create_model(config).start_from(start)
    trained = [
        name
        for name in (WEIGHTS_FILE, CHECKPOINT_FILE.as_posix(), PREVIOUS_FILE.as_posix())
        if (folder / name).exists()
    ]
    previous = None
    if trained and force:
        previous = set_aside(folder, RUN_FILES)
    elif trained and not resume:
        raise UsageError(
            f"'{folder}' already contains a training run ({', '.join(trained)})",
            advice="Continue with --resume, or start over with --force, which moves it aside.",
        )
    settings = settings.from_trained() if initial else settings
    write_json(folder / TRAINER_FILE, settings.model_dump(mode="json"))
    return Preparation(train_tracks, valid_tracks, start, previous, held_out=not has_validation(dataset))


def explain_no_effect(folder: Path, settings: TrainConfig, *, resume: bool = False) -> list[str]:
    """Explain which settings have no effect on this machine, and why.

    Args:
        folder: The model folder.
        settings: Settings of the training run.
        resume: Whether to continue an earlier training run.

    Returns:
        One line per setting, which names it as a field.
    """
    workers = usable_workers(settings.num_workers)
    cuda = torch.cuda.is_available()
    views = [f"`{name}`" for name in VIEWS if getattr(settings, name)]
    default = TrainConfig.model_fields["num_workers"].default
    reasons = {
        f"`num_workers` {settings.num_workers}: using {workers}, one for each core": (
            # Nobody asked for the default, which is meant for any machine.
            workers < settings.num_workers != default
        ),
        "`use_amp`: no effect on this processor, which computes in 32 bits": (
            settings.use_amp and precision_of(settings, check_device(settings.device)) == "no"
        ),
        "`scale_grad`: no effect without CUDA and `use_amp`": settings.scale_grad
        and not (cuda and settings.use_amp),
        "`pin_memory`: no effect without CUDA": settings.pin_memory and not cuda,
        "`persistent_workers`: no effect without workers": settings.persistent_workers and not workers,
        f"{', '.join(views)}: no effect without `tensorboard`": bool(views) and not settings.tensorboard,
        "`resume`: no checkpoint found, training starts from the beginning": (
            resume and not has_checkpoint(folder)
        ),
    }
    return [reason for reason, applies in reasons.items() if applies]


def train(  # noqa: PLR0913 - each is a choice of its own
    folder: str | Path,
    dataset: str | Path,
    settings: TrainConfig,
    *,
    resume: bool = False,
    initial: str | Path | None = None,
    criterion: Criterion | None = None,
    callbacks: Sequence[Callback] = (),
    prepared: Preparation | None = None,
    trust_code: bool | str = False,
) -> Trainer:
    """Train the model in a folder on a dataset.

    Args:
        folder: A folder with a ``model.json``, to which the best weights and the training state are written.
        dataset: A dataset in the layout of MUSDB18, or a cache prepared from one.
        settings: Settings of the training run.
        resume: Continue from the folder's checkpoint, if there is one. Default: False.
        initial: Folder or pretrained name of a trained model that provides the initial weights, as far as
            they match; see `SeparationModel.start_from`. They are validated as epoch 0, and
            `TrainConfig.from_trained` applies. A resumed checkpoint takes precedence. Default: random
            weights.
        criterion: The loss to minimise. Default: the one named by ``settings.criterion``.
        callbacks: Callbacks. Default: none.
        prepared: The result of `prepare_folder`. Default: read everything now.
        trust_code: See `prepare_folder`. Default: False.

    Returns:
        The trainer, with its final state.

    Raises:
        AuralflowError: If the folder or the dataset is unsuitable, or training cannot continue.
    """
    folder, dataset = Path(folder), Path(dataset)
    settings = settings.from_trained() if initial else settings
    config = read_model_config(folder, trust_code=trust_code)
    # Before the weights are drawn, so that the same command yields the same model.
    torch.manual_seed(settings.seed)
    model = create_model(config)
    if initial and not (resume and has_checkpoint(folder)):
        source = prepared.start if prepared else None
        _start_from(model, source or load(initial, trust_code=trust_code), initial)
    trainer = Trainer(model, settings, folder=folder, criterion=criterion, callbacks=callbacks)
    rank, world_size = trainer.accelerator.process_index, trainer.accelerator.num_processes
    if trainer.accelerator.is_main_process:
        remove_leftovers(folder)
    # Dropout must differ between processes.
    torch.manual_seed(settings.seed + rank)

    if prepared:
        train_tracks, valid_tracks = prepared.train_tracks, prepared.valid_tracks
    else:
        train_tracks, valid_tracks = training_tracks(dataset)
    train_tracks = _choose(train_tracks, settings.max_tracks, settings.seed)
    trainer.purpose["dataset"] = [
        [track.name, track.num_samples, *sorted(track.silent)] for track in train_tracks
    ]
    logger.info(
        "%s on %s, process %d of %d, %d threads; %d training and %d validation tracks",
        config.net,
        trainer.accelerator.device,
        rank + 1,
        world_size,
        torch.get_num_threads(),
        len(train_tracks),
        len(valid_tracks),
    )
    if resume:
        trainer.load_checkpoint()
    train_chunks = TrainingChunks(train_tracks, config, settings, seed=settings.seed)
    valid_chunks = ValidationChunks(valid_tracks, config, max_chunks=settings.valid_samples)
    _warn_of_gaps(train_chunks, valid_chunks, settings)
    if train_chunks.are_partial or valid_chunks.are_partial:
        trainer.criterion.check_partial()
    trainer.callbacks.append(RunSummary(folder))
    if settings.tensorboard and trainer.accelerator.is_main_process:
        trainer.callbacks.append(TensorBoardLogger(trainer, pick_examples(valid_chunks), folder))
    sampler = EpochSampler(settings.max_samples, rank=rank, world_size=world_size)
    try:
        trainer.fit(
            train_loader(train_chunks, sampler, settings),
            valid_loader(valid_chunks, settings, rank=rank, world_size=world_size),
            start_counts=initial is not None,
        )
    except (AudioError, DatasetError, NotFoundError):
        # Save what was learned so far if a file became unreadable or the dataset disappeared.
        trainer.save_checkpoint()
        raise
    end_processes(trainer.accelerator)
    return trainer


def _start_from(model: SeparationModel, source: SeparationModel, initial: str | Path) -> None:
    start = model.start_from(source)
    parts = sorted({name.removeprefix("net.").split(".")[0] for name in start.fresh})
    if parts:
        # Not an error: changing the net or the targets can be intended, but the user should know.
        share, names = 100 * start.taken, ", ".join(parts)
        logger.warning("%.0f %% of the weights come from %s; untrained: %s", share, initial, names)


def _warn_of_gaps(train: TrainingChunks, valid: ValidationChunks, settings: TrainConfig) -> None:
    """Warn of tracks that are not used, and of what cannot be measured."""
    if train.only_mixed:
        names = first_of([f"'{track.name}'" for track in train.only_mixed], MOST_NAMED)
        logger.warning(
            "tracks with a mixture but no stems are not used: %s; that takes `over_mixture`, "
            "or `remix` below 1",
            names,
        )
    if without := valid.without_scores():
        logger.warning("%s", without)
    if settings.max_leak is not None and not any(VOICE in track.silent for track in valid.tracks):
        logger.warning("`max_leak`: no validation track is marked as having silent %s", VOICE)


def _choose(tracks: list[Track], count: int, seed: int) -> list[Track]:
    """A random subset of the tracks, rather than the alphabetically first."""
    if len(tracks) <= count:
        return tracks
    chosen = np.random.default_rng(seed).permutation(len(tracks))[:count]
    return [tracks[index] for index in sorted(chosen)]
