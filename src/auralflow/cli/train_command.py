"""``auralflow train``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from auralflow.cli.console import IS_FIRST_PROCESS, decibels, note, result_line, show_settings, stage
from auralflow.cli.parameters import FamilyName, Flatten, TrustCode, switch
from auralflow.config import TrainConfig, parse_settings, read_settings
from auralflow.config.training import DEFAULT_RATE, TRAINED_RATE
from auralflow.errors import ExitCode, UsageError, first_of

if TYPE_CHECKING:
    from auralflow.trainer import EpochRecord, Trainer

__all__ = ["train"]


def train(  # noqa: PLR0913 - the options of a command are its arguments
    model: Path,
    dataset: Path,
    /,
    *,
    resume: Annotated[bool, switch("Resume from the last checkpoint, if there is one.")] = False,
    display: Annotated[bool, switch("Show the settings after writing trainer.json.")] = False,
    force: Annotated[
        bool, switch("Start over; an earlier training run is moved to a folder previous-TIME.")
    ] = False,
    init: Annotated[
        str | None,
        Parameter(help="Start from the weights of this model: a folder or the name of a pretrained model."),
    ] = None,
    family: FamilyName = None,
    trust_code: TrustCode = False,
    options: Annotated[TrainConfig, Flatten] = TrainConfig(),  # noqa: B008 - frozen
) -> int:
    """Train a model on a dataset in the layout of MUSDB18.

    Options override the settings of an earlier run in the model's trainer.json.

    Parameters
    ----------
    model
        Folder of the model.
    dataset
        Folder with train/TRACK/vocals.wav and so on, likewise valid/, or its prepared cache.

    Examples
    --------
    auralflow train my_model dataset --criterion l1 --lr 0.001
    auralflow train my_model dataset --resume         # after Ctrl-C or a crash
    auralflow train my_model dataset --init trained   # start from its weights
    torchrun --nproc_per_node 2 -m auralflow train my_model dataset
    """
    trusted = family or trust_code
    _check_paths(model, dataset, init, trusted)
    with stage("starting"):
        from auralflow.allocator import memory_kept
        from auralflow.cli.training import ProgressCallback
        from auralflow.trainer import train as run_training
        from auralflow.trainer.run import TRAINER_FILE, explain_no_effect, prepare_folder

    settings = _settings(model, options, resume=resume, trained=init is not None)
    if init:
        _find_start(init, trusted)
    # Only one of several processes writes.
    prepared = None
    if IS_FIRST_PROCESS:
        with stage("preparing the training"):
            prepared = prepare_folder(
                model, dataset, settings, resume=resume, force=force, initial=init, trust_code=trusted
            )
        if prepared.previous:
            note(f"the earlier training run was moved to {prepared.previous}")
        if prepared.held_out:
            names = first_of([f"'{track.name}'" for track in prepared.valid_tracks], most=3)
            note(f"'{dataset}' has no validation tracks; held out of the training tracks: {names}")
    if display:
        show_settings(str(model / TRAINER_FILE), settings.model_dump(mode="json"))
    for line in explain_no_effect(model, settings, resume=resume):
        note(line)

    with ProgressCallback(settings.max_epochs, silent=settings.silent) as progress, memory_kept():
        trainer = run_training(
            model,
            dataset,
            settings,
            resume=resume,
            initial=init,
            callbacks=[progress],
            prepared=prepared,
            trust_code=trusted,
        )
    if trainer.was_stopped and not trainer.is_finished:
        note(f"stopped in epoch {trainer.state.epoch + 1}; continue with --resume")
        return ExitCode.INTERRUPTED
    if trainer.is_finished and progress.first_epoch == trainer.state.epoch:
        note(_what_would_continue(trainer))
    _show_best(trainer.state.history, model)
    return ExitCode.DONE


def _what_would_continue(trainer: "Trainer") -> str:
    """Explain why a resumed training run had nothing left to do."""
    state = trainer.state
    if state.epoch >= trainer.settings.max_epochs:
        count, what, option = state.epoch, "epoch", "--max-epochs"
    else:
        count, what, option = state.plateaus, "plateau", "--max-plateaus"
    done = f"this training run is finished, after {count} {what}{'s' * (count != 1)}"
    return f"{done}; raise {option} to continue, or start over with --force"


def _settings(model: Path, options: TrainConfig, *, resume: bool, trained: bool) -> TrainConfig:
    """The settings: those given as options, then those of an earlier run, then the defaults."""
    from auralflow.trainer.run import TRAINER_FILE

    file = model / TRAINER_FILE
    stored = read_settings(file) if file.is_file() else {}
    if not resume and stored.get("lr") in (DEFAULT_RATE, TRAINED_RATE):
        # The earlier run's default; this run's may differ, as it depends on the starting weights.
        del stored["lr"]
    typed = options.model_dump(include=options.model_fields_set)
    settings = parse_settings(TrainConfig, stored | typed, source=str(file))
    if not trained or "lr" in settings.model_fields_set:
        return settings
    settings = settings.from_trained()
    note(f"learning rate {settings.lr:g}, the default with trained weights; choose another with --lr")
    return settings


def _show_best(history: "list[EpochRecord]", model: Path) -> None:
    best = next((record for record in reversed(history) if record.improved), None)
    if not best:
        return
    if not best.epoch:
        note("no epoch improved on the initial weights, which are kept")
    scores = f"validation loss {best.valid_loss:.4g}"
    if best.mean_improvement is not None:
        scores += f", SI-SDR improvement {decibels(best.mean_improvement)} dB"
    result_line(f"best: epoch {best.epoch}, {scores}:", path=model / "model.safetensors")


def _check_paths(model: Path, dataset: Path, init: str | None, trusted: bool | str) -> None:
    from auralflow.datasets.tracks import check_dataset_exists
    from auralflow.models.lookup import check_model, is_pretrained, read_model_config

    if is_pretrained(model):
        raise UsageError(
            f"{model} is the name of a pretrained model",
            expected="the folder of the model to train",
            advice=f"Run: auralflow download {model} --save my_model, then train my_model with --force "
            f"--init {model}.",
        )
    read_model_config(model, trust_code=trusted)
    check_dataset_exists(dataset)
    if init:
        check_model(init)


def _find_start(model: str, trust_code: bool | str) -> None:
    """Get the initial weights before anything is written."""
    from auralflow.cli.pretrained import download_progress, note_hidden_name
    from auralflow.models.loading import find_model

    note_hidden_name(model)
    with download_progress(model) as on_progress:
        find_model(model, on_progress=on_progress, trust_code=trust_code)
