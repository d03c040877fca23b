"""The training data: real songs and songs generated from the source material, in one prepared cache."""

import math
import shutil
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import Field
from recipe_credits import FOLDERS, credited_files, describe_credited
from recipe_source import data_card, fingerprint, licences
from recipe_steps import Steps, say

from auralflow.audio import is_audio
from auralflow.config import Settings, SynthConfig, option_name
from auralflow.datasets.tracks import MIXTURE, SPLITS, find_tracks, index_split
from auralflow.errors import DatasetError, UsageError
from auralflow.models import DataPart
from auralflow.storage import write_json


class GeneratedPart(Settings):
    """One kind of generated songs."""

    name: str = Field(pattern=r"^[a-z0-9-]+$", description="Folder of the songs.")
    share: float = Field(gt=0, le=1, description="Fraction of the generated hours.")
    seconds: float = Field(60, gt=0, description="Length of a song.")
    needs: tuple[str, ...] = Field(
        (), description="Folders of the source that it requires; left out without them."
    )
    options: dict[str, Any] = Field(
        {}, description="Options of auralflow synth; {source} and {soundfonts} are filled in."
    )


class Soundfont(Settings):
    """A General MIDI soundfont on this machine."""

    path: Path = Field(description="The file.")
    name: str = Field(description="Its name.")
    licence: str = Field(description="Its licence.")
    credit: str = Field("", description="Artist to credit.")
    source: str = Field("", description="Where it is available.")


class Recordings(Settings):
    """Recordings that are used unchanged, each file as a track of which one stem is known."""

    folder: str = Field(description="Folder of the source.")
    stem: str = Field(description="The stem that they contain.")


class Instrumentals(Settings):
    """Mixes without a voice: the vocals are known to be silent, and the other stems only as a sum."""

    folder: str = Field(description="Folder of the source.")
    held_out: tuple[str, ...] = Field(
        (), description="Artists that are held out for validation, as named in credits.json."
    )


class DataRecipe(Settings):
    """The content of data.json."""

    hours: float = Field(gt=0, description="Hours of generated songs, all kinds together.")
    seed: int = Field(ge=0, description="Seed of the first kind; the others count up from it.")
    copies: int = Field(1, ge=1, description="Number of times each real song is in the data.")
    unclean: dict[str, tuple[str, ...]] = Field(
        default={}, description="By real song, stems that contain something else: not trained on."
    )
    variants: int = Field(0, ge=0, description="Copies of each song with another pitch and tempo.")
    pitch_range: float = Field(2, ge=0, le=12, description="Largest change of their pitch in semitones.")
    soundfonts: tuple[Soundfont, ...] = Field((), description="Soundfonts; those that exist are used.")
    recordings: tuple[Recordings, ...] = Field(
        default=(), description="Recordings of single stems; those in the source are used."
    )
    instrumentals: tuple[Instrumentals, ...] = Field(
        default=(), description="Mixes without a voice; those in the source are used."
    )
    generated: tuple[GeneratedPart, ...] = Field(description="Kinds of generated songs.")


def make_data(source: Path, work: Path, recipe: DataRecipe, steps: Steps, *, workers: int) -> Path:
    """Generate songs, combine them with the real ones, and prepare a cache of both.

    Args:
        source: The source.
        work: The work folder.
        recipe: The recipe of the data.
        steps: The steps, of which some may be done.
        workers: Number of processes.

    Returns:
        The cache.
    """
    parts = usable_parts(source, recipe)
    made = []
    for number, part in enumerate(parts):
        words = synth_command(source, work, recipe, part, number)
        made.append([str(word) for word in words] + [fingerprint(source / folder) for folder in part.needs])
        whole = [*words, "--num-workers", workers]
        steps.once(f"songs-{part.name}", made[-1], lambda words=whole: steps.auralflow(*words))
    dataset, cache = work / "dataset", work / "cache"
    recordings = [
        [used.folder, used.stem, fingerprint(source / used.folder)]
        for used in found_recordings(source, recipe)
    ]
    instrumentals = [
        [used.folder, list(used.held_out), fingerprint(source / used.folder)]
        for used in found_instrumentals(source, recipe)
    ]
    unclean = {song: list(stems) for song, stems in recipe.unclean.items()}
    songs = [fingerprint(source / "songs"), recipe.copies, unclean]
    inputs = [*songs, made, recordings, instrumentals]
    steps.once("dataset", inputs, lambda: assemble(source, work, dataset, recipe, parts))
    command = ["data", "prepare", dataset, cache, "--variants", recipe.variants]
    command += ["--pitch-range", recipe.pitch_range]
    inputs = [*inputs, recipe.variants, recipe.pitch_range]
    steps.once("cache", inputs, lambda: steps.auralflow(*command, "--num-workers", workers))
    return cache


def usable_parts(source: Path, recipe: DataRecipe) -> list[GeneratedPart]:
    """The kinds of songs that can be generated from this source."""
    parts = []
    for part in recipe.generated:
        missing = [folder for folder in part.needs if not (source / folder).is_dir()]
        if missing:
            say(f"songs of the kind '{part.name}' are left out: the source has no {', '.join(missing)}")
        else:
            parts.append(part)
    return parts


def found_recordings(source: Path, recipe: DataRecipe) -> list[Recordings]:
    """The recordings in the source."""
    return [used for used in recipe.recordings if (source / used.folder).is_dir()]


def found_instrumentals(source: Path, recipe: DataRecipe) -> list[Instrumentals]:
    """The mixes without a voice in the source."""
    return [used for used in recipe.instrumentals if (source / used.folder).is_dir()]


def kept_aside(source: Path, mixes: Instrumentals) -> list[Path]:
    """The mixes without a voice that are held out."""
    used = set(credited_files(source, mixes.folder, without=mixes.held_out))
    return [path for path in credited_files(source, mixes.folder) if path not in used]


def synth_command(
    source: Path, work: Path, recipe: DataRecipe, part: GeneratedPart, number: int
) -> list[object]:
    """The command that generates one kind of songs.

    Raises:
        UsageError: If it needs an option that this version of auralflow lacks.
        DatasetError: If it needs soundfonts and there are none.
    """
    tracks = max(1, math.ceil(recipe.hours * 3600 * part.share / part.seconds))
    words: list[object] = ["synth", work / "songs" / part.name, "--tracks", tracks]
    words += ["--seconds", f"{part.seconds:g}", "--seed", recipe.seed + number]
    for name, value in part.options.items():
        if name not in SynthConfig.model_fields:
            raise UsageError(
                f"songs of the kind '{part.name}' cannot be generated",
                found="an auralflow without " + option_name(name),
                expected=f"auralflow synth {option_name(name)}",
            )
        for filled in _filled(value, source, recipe):
            if str(value).startswith("{source}/") and not Path(filled).exists():
                say(f"songs of the kind '{part.name}' are made without {option_name(name)}: no {filled}")
            else:
                words += [option_name(name), filled]
    return words


def _filled(value: Any, source: Path, recipe: DataRecipe) -> list[str]:
    if value != "{soundfonts}":
        return [str(value).replace("{source}", str(source))]
    found = [str(soundfont.path) for soundfont in recipe.soundfonts if soundfont.path.is_file()]
    if not found:
        wanted = " or ".join(str(soundfont.path) for soundfont in recipe.soundfonts)
        raise DatasetError("there is no soundfont", expected=wanted)
    return found


def describe_data(source: Path, work: Path, recipe: DataRecipe) -> list[DataPart]:
    """The training data, for the card: the material that was used, and the songs generated from it.

    Args:
        source: The source.
        work: The work folder, with the generated songs.
        recipe: The recipe of the data.
    """
    parts = usable_parts(source, recipe)
    used = ["songs/train", *(folder for part in parts for folder in part.needs)]
    recorded = [recording.folder for recording in found_recordings(source, recipe)]
    described = data_card(source, licences(source), [*used, *recorded])
    credited = [
        file
        for folder in recorded
        if folder.split("/")[0] in FOLDERS
        for file in credited_files(source, folder)
    ]
    for mixes in found_instrumentals(source, recipe):
        credited += credited_files(source, mixes.folder, without=mixes.held_out)
    described += describe_credited(source, credited)
    if any("{soundfonts}" in part.options.values() for part in parts):
        described += [
            DataPart(minutes=0, **soundfont.model_dump(exclude={"path"}))
            for soundfont in recipe.soundfonts
            if soundfont.path.is_file()
        ]
    for part in parts:
        songs = [track for split in SPLITS for track in index_split(work / "songs" / part.name, split)]
        described.append(
            DataPart(
                name=f"generated songs: {part.name}",
                licence="made by auralflow synth" + (" from the parts above" if part.needs else ""),
                minutes=round(sum(song.seconds for song in songs) / 60, 1),
            )
        )
    return described


def assemble(source: Path, work: Path, dataset: Path, recipe: DataRecipe, parts: list[GeneratedPart]) -> None:
    """Link real songs, recordings, mixes and generated songs into one dataset with train and valid.

    Args:
        source: The source.
        work: The work folder.
        dataset: The dataset's folder.
        recipe: The recipe of the data.
        parts: The kinds of generated songs.
    """
    wanted = {dataset / "valid" / track.name: track for track in find_tracks(source / "songs", "valid")}
    for track in find_tracks(source / "songs", "train"):
        names = [track.name, *(f"{track.name} (again {number})" for number in range(1, recipe.copies))]
        unclean = recipe.unclean.get(track.name, ())
        clean = [file for file in track.iterdir() if file.stem.lower() not in unclean]
        for name in names:
            folder = dataset / "train" / name
            wanted |= {folder / file.name: file for file in clean} if unclean else {folder: track}
    # Scores on generated songs mean little, so all of them are trained on.
    for part, split in product(parts, SPLITS):
        songs = find_tracks(work / "songs" / part.name, split)
        wanted |= {dataset / "train" / f"{part.name} {split} {song.name}": song for song in songs}
    for used in found_recordings(source, recipe):
        for file in sorted(path for path in (source / used.folder).rglob("*") if is_audio(path)):
            name = "-".join(file.relative_to(source).with_suffix("").parts)
            wanted[dataset / "train" / name / f"{used.stem}{file.suffix.lower()}"] = file
    voiceless = {
        dataset / "train" / f"{mixes.folder} {file.stem}": file
        for mixes in found_instrumentals(source, recipe)
        for file in credited_files(source, mixes.folder, without=mixes.held_out)
    }
    # By held-out artists, to measure how much of it ends up in the vocals.
    voiceless |= {
        dataset / "valid" / f"{mixes.folder} {file.stem}": file
        for mixes in found_instrumentals(source, recipe)
        for file in kept_aside(source, mixes)
    }
    wanted |= {folder / f"{MIXTURE}{file.suffix.lower()}": file for folder, file in voiceless.items()}
    for folder in dataset.glob("*/*"):
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)
    for link, track in wanted.items():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(track.resolve(), target_is_directory=track.is_dir())
    for folder in voiceless:
        write_json(folder / "track.json", {"silent": ["vocals"]})
