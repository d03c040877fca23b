"""Turns a trained model folder and its scores into the files to publish: half-precision weights and a card.

Run ``python recipes/pretrained/publish.py MODEL --about ABOUT.json --scores valid.json test.json``.
``make.py`` does the same, and writes ``about.json`` to its work folder. ``--into`` names the folder for the
files, by default the current one. They have the layout of this repository::

    FOLDER/src/auralflow/models/pretrained/NAME/{card.json,summary.json}
    FOLDER/src/auralflow/models/pretrained/NAME/weights.safetensors     with --ship
    FOLDER/pretrained/NAME-<hash>.safetensors                    without

To publish the model, copy them over a checkout and run ``make readme``, which updates the tables.
"""

import argparse
import hashlib
import os
import platform
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from recipe_source import artist
from torch import Tensor

import auralflow
from auralflow.config import read_settings
from auralflow.errors import AuralflowError, ModelError
from auralflow.models import (
    CARD_FILE,
    SHIPPED_WEIGHTS,
    DataPart,
    ModelCard,
    ScoreTable,
    TargetScore,
    TrackScore,
    TrainingRecord,
    save_weights,
)
from auralflow.models.folder import WEIGHTS_FILE, count_parameters, read_weights
from auralflow.models.lookup import read_model_config
from auralflow.storage import write_json
from auralflow.trainer.run import TRAINER_FILE
from auralflow.trainer.summary import SUMMARY_FILE

CARDS = Path("src/auralflow/models/pretrained")
CHECKOUT = Path("pretrained")
FLOOR = "mixture"
CEILING = "ideal ratio mask"


@dataclass(frozen=True)
class About:
    """Facts about a model that its folder does not contain.

    Attributes:
        name: Name of the model.
        licence: Licence of the weights.
        data: The training data.
        scores: Its scores.
        weaknesses: Its known weaknesses.
        machine: The machine that trained it. Default: this one.
        start: Model whose weights the training run started from. Default: random weights.
        url: Address of a folder from which the weights can be downloaded, if there is one.
    """

    name: str
    licence: str
    data: Sequence[DataPart]
    scores: Sequence[ScoreTable]
    weaknesses: Sequence[str] = ()
    machine: str = ""
    start: str = ""
    url: str = ""


def publish(model: Path, into: Path, about: About, *, ship: bool = False) -> ModelCard:
    """Write the files of a pretrained model.

    Args:
        model: The trained model folder.
        into: Folder with the layout of the repository.
        about: Facts that the folder does not contain.
        ship: Put the weights into the package rather than beside it. Default: False.

    Returns:
        The card.

    Raises:
        ModelError: If a weight is too large for half precision.
    """
    name = about.name
    folder = into / CARDS / name
    weights = folder / SHIPPED_WEIGHTS
    save_weights(halved(read_weights(model / WEIGHTS_FILE)), weights)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    file = f"{name}-{digest[:8]}.safetensors"
    config = read_model_config(model)
    card = ModelCard(
        name=name,
        file=file,
        url=f"{about.url.rstrip('/')}/{file}" if about.url else "",
        size=weights.stat().st_size,
        sha256=digest,
        licence=about.licence,
        parameters=count_parameters(config),
        settings=config,
        data=tuple(about.data),
        training=training_record(model, about.machine or describe_machine(), about.start),
        scores=tuple(about.scores),
        weaknesses=tuple(about.weaknesses),
    )
    if not ship:
        for old in (into / CHECKOUT).glob(f"{name}-*.safetensors"):
            old.unlink()
        (into / CHECKOUT).mkdir(parents=True, exist_ok=True)
        weights.rename(into / CHECKOUT / card.file)
    write_json(folder / "summary.json", read_settings(model / SUMMARY_FILE))
    write_json(folder / CARD_FILE, card.model_dump(mode="json"))
    return card


def halved(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in half precision, except the biases and normalisations, which are few.

    Raises:
        ModelError: If a weight is too large for it.
    """
    result = {
        name: tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
        for name, tensor in weights.items()
    }
    for name, tensor in result.items():
        if not tensor.isfinite().all():
            raise ModelError(f"{name} cannot be stored in half precision", expected="weights below 65504")
    return result


def training_record(model: Path, machine: str, start: str) -> TrainingRecord:
    """How a model was trained, according to the files in its folder."""
    settings = read_settings(model / TRAINER_FILE)
    # Epoch 0 scores the weights that a training run starts from; nothing was trained in it.
    epochs = [epoch for epoch in read_settings(model / SUMMARY_FILE)["epochs"] if epoch.get("epoch") != 0]
    return TrainingRecord(
        hours=round(sum(epoch["seconds"] for epoch in epochs) / 3600, 3),
        chunks=len(epochs) * settings["max_samples"],
        epochs=len(epochs),
        seed=settings["seed"],
        machine=machine,
        auralflow=auralflow.__version__,
        start=start,
        settings=settings,
    )


def describe_machine() -> str:
    """The processor and its cores, or the GPU."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.is_file():
        lines = information.read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {os.cpu_count()} cores"


def joined_data(earlier: Sequence[DataPart], later: Sequence[DataPart]) -> list[DataPart]:
    """The training data of a model that continues the training of another.

    Of a part that both have, the longer is taken. Songs made for one training only have no source; their
    minutes add up.

    Args:
        earlier: The training data of the other model.
        later: What was added.
    """
    parts = {(part.name, part.source): part for part in earlier}
    for part in later:
        key = (part.name, part.source)
        before = parts[key].minutes if key in parts else 0.0
        minutes = max(before, part.minutes) if part.source else before + part.minutes
        parts[key] = part.model_copy(update={"minutes": round(minutes, 1)})
    made = [part for part in parts.values() if not part.source]
    return [part for part in parts.values() if part.source] + made


def score_table(path: Path, *, name: str, dataset: str, known: Collection[str]) -> ScoreTable:
    """Read the scores that ``auralflow evaluate --save FILE.json`` wrote for one model.

    Args:
        path: The file, named after the split of the dataset.
        name: Name of the model.
        dataset: The name of the dataset, for the card.
        known: Artists in the training data.

    Raises:
        ModelError: If the file does not contain the scores of exactly one model.
    """
    content = read_settings(path)
    systems: dict[str, Any] = content["systems"]
    floors, ceilings = _by_track(systems.get(FLOOR)), _by_track(systems.get(CEILING))
    models = [name for name in systems if name not in (FLOOR, "ideal binary mask", CEILING)]
    if len(models) != 1:
        raise ModelError(f"'{path}' does not contain the scores of one model", found=", ".join(models))
    tracks = [
        TrackScore(
            track=track["track"],
            known_artist=artist(track["track"]) in known,
            targets={
                target: TargetScore(
                    si_sdr=_rounded(score["si_sdr"]),
                    si_sdr_improvement=_rounded(score["si_sdr_improvement"]),
                    ceiling=_rounded(_score(ceilings, track["track"], target, "si_sdr_improvement")),
                    museval_sdr=_rounded(score.get("framewise_sdr")),
                    museval_floor=_rounded(_score(floors, track["track"], target, "framewise_sdr")),
                    museval_ceiling=_rounded(_score(ceilings, track["track"], target, "framewise_sdr")),
                )
                for target, score in track["scores"].items()
                if target in content["targets"] and target not in ("accompaniment", "residual")
            },
        )
        for track in systems[models[0]]["tracks"]
    ]
    command = f"auralflow evaluate {name} {dataset} --subset {path.stem}"
    return ScoreTable.model_validate(
        {"dataset": dataset, "subset": path.stem, "command": command, "tracks": tracks}
    )


def _by_track(system: dict[str, Any] | None) -> dict[str, Any]:
    return {track["track"]: track["scores"] for track in (system or {}).get("tracks", [])}


def _score(scores: dict[str, Any], track: str, target: str, metric: str) -> float | None:
    found: float | None = scores.get(track, {}).get(target, {}).get(metric)
    return found


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def main() -> int:
    """Publish one model from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--name", help="default: that of the net")
    parser.add_argument("--about", type=Path, required=True, help="JSON: dataset, artists, data")
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="score files named SUBSET.json")
    parser.add_argument("--licence", default="MIT")
    parser.add_argument("--weakness", action="append", default=[])
    parser.add_argument("--machine", default="")
    parser.add_argument("--start", default="", help="model whose weights the training run started from")
    parser.add_argument(
        "--after", type=Path, metavar="CARD", help="card of that model, whose training data is listed too"
    )
    parser.add_argument("--url", default="", help="https address of a folder with the weights")
    parser.add_argument("--ship", action="store_true", help="put the weights into the package")
    parser.add_argument("--into", type=Path, default=Path())
    options = parser.parse_args()
    try:
        name = options.name or read_model_config(options.model).net
        known = read_settings(options.about)
        data = [DataPart.model_validate(part) for part in known["data"]]
        if options.after:
            earlier = ModelCard.model_validate(read_settings(options.after))
            data = joined_data(earlier.data, data)
        about = About(
            name=name,
            licence=options.licence,
            data=data,
            scores=[
                score_table(path, name=name, dataset=known["dataset"], known=known["artists"])
                for path in options.scores
            ],
            weaknesses=options.weakness,
            machine=options.machine,
            start=options.start,
            url=options.url,
        )
        card = publish(options.model, options.into, about, ship=options.ship)
    except AuralflowError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{card.name}: {card.size / 1e6:.1f} MB, {card.file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
