"""Makes the pretrained models: ``python recipes/pretrained/make.py SOURCE --work DIR``.

Checks the source, makes the training data, trains each net, scores it on the validation songs and writes the
files to publish to ``DIR/published``. Every step is done once: run the same command again to continue after
an interruption or after ``--minutes``. See ``README.md`` in this folder for the details.
"""

import argparse
import hashlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from publish import About, halved, publish, score_table
from pydantic import Field
from recipe_data import DataRecipe, describe_data, found_instrumentals, make_data
from recipe_source import artists, check_songs, fingerprint, licences
from recipe_steps import OutOfTimeError, Steps, say
from recipe_validation import make_validation, score_validation

from auralflow.config import Settings, TrainConfig, parse_settings, read_settings
from auralflow.errors import AuralflowError, UsageError
from auralflow.models import DataPart, create_model_folder, read_model_config
from auralflow.models.folder import WEIGHTS_FILE, read_weights, save_weights
from auralflow.nets.families import settings_of_net
from auralflow.nets.unet import NETS, SpectrogramNetConfig
from auralflow.storage import write_json
from auralflow.trainer.run import TRAINER_FILE

HERE = Path(__file__).parent
QUICK_FILE = HERE / "quick.json"
NOT_FINISHED = 75
"""Exit code when the time is up: run the same command again."""


class NetRecipe(Settings):
    """The JSON file of a net."""

    model: dict[str, Any] = Field(description="Settings of the model, as in model.json.")
    train: dict[str, Any] = Field(description="Settings of the training run, as in trainer.json.")
    init: str | None = Field(None, description="The net whose weights it starts from, trained before it.")
    ship: bool = Field(False, description="Whether the weights go into the package.")
    licence: str = Field("MIT", description="Licence of the weights.")
    weaknesses: tuple[str, ...] = Field((), description="Known weaknesses.")


def main(words: Sequence[str] | None = None) -> int:
    """Continue until everything is done or the time is up.

    Returns:
        The exit code: 0 if all is done, 75 if the time is up, 130 if interrupted, or that of the error.
    """
    options = parse(words)
    steps = Steps(options.work, options.minutes)
    try:
        make(options, steps)
    except OutOfTimeError:
        say("the time is up: run the same command again to continue")
        return NOT_FINISHED
    except KeyboardInterrupt:
        say("interrupted: run the same command again to continue")
        return 130
    except AuralflowError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def parse(words: Sequence[str] | None) -> argparse.Namespace:
    """Parse the options."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="folder of the source material")
    parser.add_argument(
        "--work", type=Path, required=True, help="folder for everything that the recipe makes"
    )
    parser.add_argument("--net", choices=NETS, action="append", help="train only this net; can be repeated")
    parser.add_argument("--hours", type=float, help="hours of generated songs, instead of those in data.json")
    parser.add_argument("--minutes", type=float, help="stop after this time; the next run continues")
    parser.add_argument("--workers", type=int, default=2, help="processes that make and read data")
    parser.add_argument("--test", action="store_true", help="also score on the test songs: once, at the end")
    parser.add_argument(
        "--quick", action="store_true", help="run every step with tiny nets and little data, as a trial"
    )
    return parser.parse_args(words)


def make(options: argparse.Namespace, steps: Steps) -> None:
    """Run every step that is not done yet."""
    source, work = options.source, options.work
    quick = read_settings(QUICK_FILE) if options.quick else {}
    check_kind(work, quick=options.quick)
    licences(source)
    steps.once("check", fingerprint(source / "songs"), lambda: check_songs(source))
    hours = {"hours": options.hours} if options.hours else {}
    wanted = read_settings(HERE / "data.json") | quick.get("data", {}) | hours
    data = parse_settings(DataRecipe, wanted, source="data.json")
    cache = make_data(source, work, data, steps, workers=options.workers)
    sets = work / "validation"
    parts = [fingerprint(source / used.folder) for used in found_instrumentals(source, data)]
    inputs = [data.model_dump(mode="json")["instrumentals"], parts, fingerprint(source / "songs")]
    steps.once("validation", inputs, lambda: make_validation(source, sets, data))
    described = [part.model_dump(mode="json") for part in describe_data(source, work, data)]
    about = {"dataset": "SOURCE/songs", "artists": sorted(artists(source)), "data": described}
    write_json(work / "about.json", about)
    for net in options.net or NETS:
        recipe = net_recipe(net, quick)
        if not found_instrumentals(source, data):
            recipe.train["over_mixture"] = 0.0
        train(work / net, net, cache, recipe, steps, options.workers)
        for subset in ("valid", "test") if options.test else ("valid",):
            evaluate(work / net, source, subset, steps)
        score_more(work / net, sets, steps)
        publish_net(work / net, about, recipe, into=work / "published")


def check_kind(work: Path, *, quick: bool) -> None:
    """Keep quick and full runs in separate work folders.

    Raises:
        UsageError: If the work folder belongs to the other kind.
    """
    marker = work / "done" / "kind.json"
    if marker.is_file() and read_settings(marker) != {"quick": quick}:
        raise UsageError(
            f"'{work}' was made {'without' if quick else 'with'} --quick", advice="Choose another."
        )
    write_json(marker, {"quick": quick})


def net_recipe(net: str, quick: dict[str, Any]) -> NetRecipe:
    """The recipe in the JSON file of a net, with the changes for ``--quick``."""
    values = read_settings(HERE / f"{net}.json")
    small = {name: values[name] | quick.get(name, {}) for name in ("model", "train")}
    if quick and net != "SpectrogramNetSimple":
        small["model"] |= quick["recurrent"]
    return parse_settings(NetRecipe, values | small, source=f"{net}.json")


def train(folder: Path, net: str, cache: Path, recipe: NetRecipe, steps: Steps, workers: int) -> None:
    """Train a net to the end."""
    config = parse_settings(settings_of_net(net), {"net": net, **recipe.model}, source=f"{net}.json")
    mixed = {"use_amp": bool(recipe.train.get("use_amp")) and has_fast_bfloat16()}
    chosen = {"num_workers": workers, **recipe.train, **mixed}
    settings = parse_settings(TrainConfig, chosen, source=f"{net}.json")
    prepare_model(folder, config)
    wanted = settings.model_dump(mode="json")

    # Has no effect once there is a checkpoint.
    start = ("--init", folder.parent / recipe.init) if recipe.init else ()

    def action() -> None:
        write_json(folder / TRAINER_FILE, wanted)
        steps.auralflow("train", folder, cache, "--resume", *start)

    steps.once(f"train-{net}", [config.model_dump(mode="json"), wanted, recipe.init], action)


def has_fast_bfloat16() -> bool:
    """Whether mixed precision is faster here: a CPU without bfloat16 units is ten times slower."""
    if torch.cuda.is_available():
        return True
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def prepare_model(folder: Path, config: SpectrogramNetConfig) -> None:
    """Create the model folder, or check that an existing one has the same settings.

    Raises:
        UsageError: If it has different settings.
    """
    if not (folder / "model.json").is_file():
        create_model_folder(folder, config)
    elif read_model_config(folder) != config:
        raise UsageError(
            f"'{folder}' was created with other settings than its JSON file now has",
            advice="Restore the settings, or choose another work folder.",
        )


def evaluate(folder: Path, source: Path, subset: str, steps: Steps) -> None:
    """Score a trained net as it is published: with weights in half precision."""
    final = folder / "final"
    write_json(final / "model.json", read_settings(folder / "model.json"))
    save_weights(halved(read_weights(folder / WEIGHTS_FILE)), final / WEIGHTS_FILE)
    digest = hashlib.sha256((final / WEIGHTS_FILE).read_bytes()).hexdigest()
    words = ["evaluate", final, source / "songs", "--subset", subset, "--save", folder / f"{subset}.json"]
    inputs = [fingerprint(source / "songs"), digest]
    steps.once(f"{subset}-{folder.name}", inputs, lambda: steps.auralflow(*words))


def score_more(folder: Path, sets: Path, steps: Steps) -> None:
    """Score a trained net on real accompaniments, with and without a voice; write ``accompaniments.json``."""
    final = folder / "final"
    inputs = [fingerprint(sets), hashlib.sha256((final / WEIGHTS_FILE).read_bytes()).hexdigest()]

    def action() -> None:
        scores = score_validation(final, sets)
        write_json(folder / "accompaniments.json", scores)
        if scores["leaks"]:
            say(f"vocals in music without a voice: {scores['leak']:.1f} dB relative to the mixture")
        if scores["overs"]:
            over = scores["over"]
            say(
                f"vocals over real music: SI-SDR {over['si_sdr']:+.2f} ({over['si_sdr_improvement']:+.2f}) dB"
            )

    steps.once(f"accompaniments-{folder.name}", inputs, action)


def publish_net(folder: Path, known: dict[str, Any], recipe: NetRecipe, *, into: Path) -> None:
    """Write the card and the weights of a trained net."""
    files = [folder / f"{subset}.json" for subset in ("valid", "test")]
    about = About(
        name=folder.name,
        licence=recipe.licence,
        data=[DataPart.model_validate(part) for part in known["data"]],
        scores=[
            score_table(file, name=folder.name, dataset=known["dataset"], known=known["artists"])
            for file in files
            if file.is_file()
        ],
        weaknesses=recipe.weaknesses,
        start=recipe.init or "",
    )
    card = publish(folder, into, about, ship=recipe.ship)
    say(f"published {card.name} in {into}: {card.size / 1e6:.1f} MB, {card.file}")


if __name__ == "__main__":
    # A batch system stops the current command as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
