"""Checking a dataset before training runs into its faults."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from auralflow.audio import is_audio
from auralflow.config import SOURCES, CheckConfig
from auralflow.config.base import suggestion
from auralflow.cores import usable_workers
from auralflow.datasets.cache import is_cache, read_manifest
from auralflow.datasets.facts import FACTS_FILE, read_facts, silent_stems
from auralflow.datasets.measure import StemReport, TrackReport, measure_track
from auralflow.datasets.tracks import (
    LENGTH_TOLERANCE,
    MIXTURE,
    SPLITS,
    Split,
    find_tracks,
    list_folder,
    split_of,
    stem_files,
    stem_order,
)
from auralflow.datasets.trainable import find_trainable
from auralflow.errors import AuralflowError, DatasetError, UsageError

__all__ = ["DatasetReport", "Finding", "check_dataset"]

LARGEST_RESIDUAL_DB = -30.0
"""Residual in dB, relative to the mixture, above which it is not the sum of its stems."""
USUAL_STEMS = (*SOURCES, MIXTURE, "guitar", "piano")
"""Names of stems that published models estimate, and the mixture's."""
SEEKABLE = frozenset({"WAV", "WAVEX", "RF64", "W64", "FLAC", "OGG", "AIFF", "AU", "CAF", "MP3"})


@dataclass(frozen=True)
class Finding:
    """Something worth knowing: an error makes training fail, a warning does not."""

    severity: Literal["error", "warning"]
    place: str
    text: str


@dataclass
class DatasetReport:
    """What a dataset is like.

    Attributes:
        dataset: Its folder.
        tracks: What each track is like, by split.
        findings: Errors first.
        targets: Stems that a model can be trained to estimate.
    """

    dataset: Path
    tracks: dict[Split, list[TrackReport]] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    targets: tuple[str, ...] = ()

    @property
    def can_train(self) -> bool:
        """Whether the dataset can be trained on."""
        return all(finding.severity == "warning" for finding in self.findings)

    def summary(self, split: Split) -> dict[str, Any]:
        """Tracks, minutes by stem, rates, channels and formats of one split."""
        tracks = self.tracks.get(split, [])
        minutes: dict[str, float] = defaultdict(float)
        infos = []
        for track in tracks:
            for stem, part in track.stems.items():
                if part.info and not part.error:
                    minutes[stem] += part.info.seconds / 60
                    infos.append(part.info)
        return {
            "tracks": len(tracks),
            "minutes": {stem: round(minutes[stem], 2) for stem in sorted(minutes, key=stem_order)},
            "sample_rates": sorted({info.sample_rate for info in infos}),
            "channels": sorted({info.channels for info in infos}),
            "formats": sorted({f"{info.format} {info.subtype}" for info in infos}),
        }

    def as_json(self) -> dict[str, Any]:
        """The report as plain data for JSON."""
        return {
            "dataset": str(self.dataset),
            "can_train": self.can_train,
            "targets": list(self.targets),
            "findings": [vars(finding) for finding in self.findings],
            "splits": {
                split: self.summary(split)
                | {"details": [_track_json(track) for track in self.tracks.get(split, [])]}
                for split in SPLITS
            },
        }


def _track_json(track: TrackReport) -> dict[str, Any]:
    return {
        "name": track.folder.name,
        "residual_db": track.residual,
        "silent": list(track.facts.silent),
        "stems": {stem: _stem_json(part) for stem, part in track.stems.items()},
    }


def _stem_json(part: StemReport) -> dict[str, Any]:
    found = {"peak_dbfs": part.peak, "rms_dbfs": part.rms, "clipped": part.clipped, "content": part.content}
    if part.info:
        names = ("sample_rate", "channels", "frames", "format", "subtype")
        found |= {name: getattr(part.info, name) for name in names}
    return {"file": part.path.name} | found | ({"error": part.error} if part.error else {})


def check_dataset(
    dataset: Path,
    settings: CheckConfig | None = None,
    *,
    on_track: Callable[[int, int, str], None] | None = None,
) -> DatasetReport:
    """Read a whole dataset and report what it is like.

    Args:
        dataset: A MUSDB-shaped dataset.
        settings: When a stem counts as silent, and how many tracks are read at a time.
        on_track: Called with the number of tracks done, the number of all tracks and the last one's name.

    Returns:
        What was found.

    Raises:
        NotFoundError: If there is no such folder.
        DatasetError: If the folder itself may not be read.
        UsageError: If it is a prepared cache.
    """
    settings = settings or CheckConfig()
    if is_cache(dataset):
        raise UsageError(
            f"'{dataset}' is a prepared cache",
            expected="a dataset",
            advice=f"Check '{read_manifest(dataset).source}', or bring it up to date with data prepare.",
        )
    report = DatasetReport(dataset)
    report.findings += _look_around(dataset)
    folders = [(split, folder) for split in SPLITS for folder in _find(dataset, split, report)]
    with ThreadPoolExecutor(usable_workers(settings.num_workers)) as pool:
        measured = pool.map(lambda item: _measure(item[1]), folders)
        for done, ((split, folder), track) in enumerate(zip(folders, measured, strict=True), start=1):
            report.findings += _judge(track, split, settings)
            if track.stems:
                report.tracks.setdefault(split, []).append(track)
            if on_track:
                on_track(done, len(folders), folder.name)
    report.findings += _find_copies(report)
    report.findings += _find_misnamed(report)
    if report.can_train:
        found = find_trainable(dataset)
        report.targets = found.targets
        report.findings += [Finding("error", ".", found.problem)] if found.problem else []
        report.findings += [Finding("warning", ".", text) for text in found.warnings]
    report.findings.sort(key=lambda finding: finding.severity)
    return report


def _find(dataset: Path, split: Split, report: DatasetReport) -> list[Path]:
    try:
        return find_tracks(dataset, split)
    except DatasetError as error:
        report.findings.append(Finding(_severity(split), split, str(error)))
        return []


def _measure(folder: Path) -> TrackReport:
    try:
        files = stem_files(folder)
        silent_stems(folder, files)
        return measure_track(folder, files, read_facts(folder))
    except AuralflowError as error:
        return TrackReport(folder, error=str(error))


def _severity(split: Split) -> Literal["error", "warning"]:
    # Training never touches the test tracks.
    return "warning" if split == "test" else "error"


def _look_around(dataset: Path) -> Iterator[Finding]:
    parts: dict[Split, list[str]] = defaultdict(list)
    entries = list_folder(dataset)
    if not any(entry.is_dir() and split_of(entry.name) for entry in entries):
        # No dataset at all: one error says so, see `no_tracks`.
        return
    for entry in entries:
        split = split_of(entry.name)
        if split is None and entry.is_dir():
            advice = "; rename it to valid" if entry.name.lower().startswith("val") else ""
            yield Finding("warning", entry.name, f"not train, valid or test: it is not used{advice}")
        elif split is not None and entry.is_dir():
            parts[split].append(entry.name)
        elif is_audio(Path(entry.name)):
            yield Finding("warning", entry.name, "audio outside of a track's folder: it is not used")
    for split, names in parts.items():
        if len(names) > 1:
            yield Finding("warning", split, f"consists of the folders {' and '.join(names)}")


def _judge(track: TrackReport, split: Split, settings: CheckConfig) -> Iterator[Finding]:
    place = f"{split}/{track.folder.name}"
    severity = _severity(split)
    if track.error:
        yield Finding(severity, place, track.error)
    elif not track.stems:
        yield Finding("warning", place, "a folder without audio: it is not used")
    for part in track.stems.values():
        if part.error:
            yield Finding(severity, f"{place}/{part.path.name}", part.error)
        else:
            yield from (
                Finding("warning", f"{place}/{part.path.name}", text) for text in _oddities(part, settings)
            )
    yield from _incomplete(track, place, severity)
    yield from _compare(track, place, severity)
    if track.residual is not None and track.residual > LARGEST_RESIDUAL_DB:
        text = f"the mixture is not the sum of its stems: the difference is {track.residual:.1f} dB"
        yield Finding("warning", place, f"{text} relative to the mixture")


def _incomplete(track: TrackReport, place: str, severity: Literal["error", "warning"]) -> Iterator[Finding]:
    silent = set(track.facts.silent)
    missing = [source for source in SOURCES if source not in track.stems.keys() | silent]
    has_sources = bool((track.stems.keys() | silent) & set(SOURCES))
    if track.stems and missing and has_sources and silent and MIXTURE not in track.stems:
        text = f"no mixture, and no {', '.join(missing)}: whether they are silent is unknown"
        yield Finding(severity, place, text)
    elif track.stems and missing and has_sources and not silent:
        yield Finding("warning", place, f"no {', '.join(missing)}: unknown, not silent")
    if track.facts.notes and not silent:
        keys = ", ".join(repr(key) for key in track.facts.notes)
        yield Finding("warning", f"{place}/{FACTS_FILE}", f"has no 'silent', only {keys}")


def _oddities(part: StemReport, settings: CheckConfig) -> Iterator[str]:
    if part.peak is None or part.peak <= settings.silence_threshold:
        yield "silent"
    if part.clipped:
        yield f"clipped in {part.clipped} places"
    if part.info and part.info.channels > 2:
        yield f"{part.info.channels} channels: only for models with 1 or {part.info.channels}"
    if part.info and (part.info.format not in SEEKABLE or part.info.subtype == "OPUS"):
        name = "Opus" if part.info.subtype == "OPUS" else part.info.format
        yield f"{name} is slow to read from the middle: train from a prepared cache"


def _compare(track: TrackReport, place: str, severity: Literal["error", "warning"]) -> Iterator[Finding]:
    infos = {stem: part.info for stem, part in track.stems.items() if part.info}
    seconds = {stem: info.seconds for stem, info in infos.items()}
    if not seconds:
        return
    if 0 in seconds.values():
        empty = ", ".join(stem for stem, length in seconds.items() if not length)
        yield Finding(severity, place, f"no samples in {empty}")
    spread = max(seconds.values()) - min(seconds.values())
    if spread:
        lengths = ", ".join(f"{stem} {length:.3f} s" for stem, length in seconds.items())
        fatal = spread > LENGTH_TOLERANCE
        note = "" if fatal else "; the shortest counts"
        yield Finding(severity if fatal else "warning", place, f"unequal lengths: {lengths}{note}")
    for attribute, text in (("sample_rate", "sample rates"), ("channels", "numbers of channels")):
        values = {stem: getattr(info, attribute) for stem, info in infos.items()}
        if len(set(values.values())) > 1:
            found = ", ".join(f"{stem} {value}" for stem, value in values.items())
            yield Finding("warning", place, f"different {text}: {found}")


def _find_copies(report: DatasetReport) -> Iterator[Finding]:
    places: dict[str, list[tuple[Split, str]]] = defaultdict(list)
    for split, tracks in report.tracks.items():
        for track in tracks:
            for part in track.stems.values():
                if part.content:
                    places[part.content].append((split, f"{split}/{track.folder.name}/{part.path.name}"))
    for copies in places.values():
        if len({split for split, _ in copies}) > 1:
            first, *others = (place for _, place in copies)
            yield Finding("warning", first, f"the same audio as {', '.join(others)}: scores will be too high")


def _find_misnamed(report: DatasetReport) -> Iterator[Finding]:
    """Folders of tracks that are named like stems, and statements about stems that there are nowhere."""
    files = {stem for tracks in report.tracks.values() for track in tracks for stem in track.stems}
    known = sorted((files | set(USUAL_STEMS)) - {MIXTURE}, key=stem_order)
    for split, tracks in report.tracks.items():
        swapped = [track.folder.name for track in tracks if track.folder.name.lower() in USUAL_STEMS]
        if swapped:
            text = f"{', '.join(swapped)}: named like stems, but these folders are taken for tracks"
            yield Finding("warning", split, f"{text}; expected {split}/<track>/{swapped[0].lower()}.wav")
        for track in tracks:
            for stem in track.facts.silent:
                if stem not in known:
                    place = f"{split}/{track.folder.name}/{FACTS_FILE}"
                    text = f"{stem!r} is no stem of this dataset{suggestion(stem, known)}"
                    yield Finding("warning", place, f"{text}: stated to be silent without effect")
