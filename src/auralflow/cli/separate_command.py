"""``auralflow separate``."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from auralflow.cli.console import error_line, file_progress, note, print_json, result_line, stderr
from auralflow.cli.parameters import FamilyName, Flatten, TrustCode, switch
from auralflow.cli.plain import one_line
from auralflow.config import SOURCES, SeparateConfig
from auralflow.errors import AuralflowError, ExitCode, NotFoundError, UsageError

if TYPE_CHECKING:
    from auralflow.separation import Outcome, Plan, Separator, Song

__all__ = ["separate"]


def separate(
    *paths: Path,
    instrumental: Annotated[
        bool,
        switch(
            "Write vocals and instrumental (karaoke, a cappella), which sum to the original: the same as "
            "--two-stems vocals."
        ),
    ] = False,
    force: Annotated[bool, switch("Do again what is done, and replace files of other origin.")] = False,
    dry_run: Annotated[
        bool, switch("Only tell what would be done, how long it takes and whether the disk can hold it.")
    ] = False,
    json: Annotated[bool, switch("Print the result as JSON.")] = False,
    family: FamilyName = None,
    trust_code: TrustCode = False,
    options: Annotated[SeparateConfig, Flatten] = SeparateConfig(),  # noqa: B008 - frozen
) -> int:
    """Separate songs, or folders of songs, into stems.

    The first word may be a model: a folder with a model.json, or a name that auralflow models lists. Without
    one, the model that is part of auralflow separates. For karaoke, an instrumental or an acapella there is
    --instrumental. What an earlier run finished is verified and kept; what was interrupted is done again.

    Parameters
    ----------
    paths
        A model, if any, then songs and folders of songs.

    Examples
    --------
    auralflow separate song.mp3                       # to separated_audio/song
    auralflow separate umxhq song.mp3                 # with a model of others
    auralflow separate song.mp3 --instrumental        # karaoke, a cappella
    auralflow separate my_model music --save stems    # a folder; again: goes on
    auralflow separate my_model song.wav --targets vocals --residual
    auralflow separate my_model music --dry-run       # how long, how much disk
    """
    if instrumental:
        options = _with_instrumental(options)
    for path in paths:
        if str(path) in SOURCES and options.targets and not path.exists():
            raise UsageError(
                f"no such file or folder: '{path}'",
                advice=f"Several targets are one word: --targets {','.join((*options.targets, str(path)))}.",
            )
    model, named = _model_and_songs(paths)

    from auralflow.audio.encoding import check_subtype
    from auralflow.cli.pretrained import open_model
    from auralflow.separation import Separator, find_songs

    check_subtype(options.format, options.subtype)
    songs = find_songs(named)
    if named == paths:
        note(f"separating with {model}, which is part of auralflow; for better ones see: auralflow models")
    separator = Separator(open_model(model, trust_code=family or trust_code), options)
    if dry_run:
        return _plan(separator, songs, options, force=force, json=json)
    try:
        return _run(separator, songs, options, force=force, json=json)
    except KeyboardInterrupt:
        stderr.print("stopped; what is finished is kept, and the same command goes on from there")
        return ExitCode.INTERRUPTED


def _with_instrumental(options: SeparateConfig) -> SeparateConfig:
    if options.two_stems not in (None, "vocals") or options.targets:
        raise UsageError(
            "--instrumental writes vocals and instrumental, and no other stems",
            advice="Leave out --two-stems and --targets.",
        )
    if options.residual:
        raise UsageError(
            "--residual is silence with --instrumental: vocals and instrumental sum to the original"
        )
    return options.model_copy(update={"two_stems": "vocals"})


def _model_and_songs(paths: tuple[Path, ...]) -> tuple[str, tuple[Path, ...]]:
    """The model, which is the first word if that means one, and what is to be separated."""
    from auralflow.cli.pretrained import note_hidden_name
    from auralflow.models.loading import DEFAULT_MODEL, is_model

    if paths and is_model(paths[0]):
        model, songs = str(paths[0]), paths[1:]
    else:
        model, songs = DEFAULT_MODEL, paths
    if not songs:
        raise UsageError(
            "no song was given",
            found=f"'{model}' alone, which is a model" if paths else "",
            expected="auralflow separate [MODEL] SONG-OR-FOLDER ..., as in: auralflow separate song.mp3",
        )
    if songs == paths:
        _check_first(songs)
        note_hidden_name(songs[0])
    return model, songs


def _check_first(songs: tuple[Path, ...]) -> None:
    """Say that a first word which is no path may be a model's name with a mistake in it."""
    from auralflow.config.base import suggestion
    from auralflow.models import installed_registry

    first = str(songs[0])
    meant = suggestion(first, installed_registry().all_names)
    if not songs[0].exists() and (meant or len(songs) > 1):
        raise NotFoundError(
            f"no model, file or folder '{first}'{meant}",
            expected="a folder with a model.json, a name that auralflow models lists, or a song",
        )


def _run(
    separator: "Separator", songs: "Sequence[Song]", options: SeparateConfig, *, force: bool, json: bool
) -> int:
    from auralflow.separation.folder import output_folder

    output_folder(options.save)
    outcomes: list[Outcome] = []
    under_way: dict[str, float] = {}
    with file_progress() as progress:
        task = progress.add_task(f"{len(songs)} songs", total=len(songs))

        def show(song: "Song", share: float) -> None:
            under_way[str(song.path)] = share
            progress.update(
                task, completed=len(outcomes) + sum(under_way.values()), description=song.path.name
            )

        for outcome in _outcomes(separator, songs, options, force, show):
            outcomes.append(outcome)
            under_way.pop(str(outcome.song.path), None)
            progress.update(task, completed=len(outcomes) + sum(under_way.values()))
            if not json and outcome.error is None:
                result_line(_line(outcome))
    failures = [(outcome.song, outcome.error) for outcome in outcomes if outcome.error]
    if json:
        print_json({"songs": [outcome.to_json() for outcome in outcomes], "failed": len(failures)})
    return _show_failures(failures, len(songs))


def _outcomes(
    separator: "Separator",
    songs: "Sequence[Song]",
    options: SeparateConfig,
    force: bool,
    show: "Callable[[Song, float], None]",
) -> "Iterator[Outcome]":
    if options.executor == "ray":
        from auralflow.separation.cluster import separate_on_ray

        return separate_on_ray(
            separator.model,
            separator.settings,
            songs,
            options.save,
            options,
            force=force,
            address=options.address,
        )
    from auralflow.separation import separate_files

    return separate_files(
        separator, songs, options.save, options, force=force, jobs=options.jobs, on_progress=show
    )


def _line(outcome: "Outcome") -> str:
    """A finished song in one line: where its stems are, and what should be known about them."""
    remarks = []
    if outcome.status == "kept":
        remarks.append("kept from an earlier run")
    if others := _other_files(outcome):
        remarks.append(f"from another run: {', '.join(others)}")
    gain = outcome.report.get("gain_db", 0.0)
    if gain:
        remarks.append(f"all files lowered by {-gain:.2f} dB, for one would have clipped")
    return f"{outcome.folder}" + (f" ({'; '.join(remarks)})" if remarks else "")


def _other_files(outcome: "Outcome") -> list[str]:
    """Audio that lies beside a song's stems and is none of them: of other targets, or in another format."""
    from auralflow.audio import is_audio

    own = outcome.report.get("files", ())
    return sorted(path.name for path in outcome.folder.iterdir() if is_audio(path) and path.name not in own)


def _plan(
    separator: "Separator", songs: "Sequence[Song]", options: SeparateConfig, *, force: bool, json: bool
) -> int:
    from auralflow.separation import plan_files

    plan = plan_files(separator, songs, options.save, options, force=force)
    if json:
        print_json(plan.to_json())
    else:
        for planned in plan.songs:
            result_line(f"{planned.action}: {planned.song.path}")
        result_line(_summary(plan))
    code = _show_failures([(song.song, song.error) for song in plan.songs if song.error], len(songs))
    if not plan.fits:
        raise AuralflowError(
            f"the disk of '{options.save}' cannot hold the stems",
            found=f"{plan.bytes_free / 1e9:.2f} GB free",
            expected=f"{plan.bytes / 1e9:.2f} GB",
            advice="Free some space, choose another --save, or another --format.",
        )
    return code


def _summary(plan: "Plan") -> str:
    count = sum(song.action == "separate" for song in plan.songs)
    return (
        f"{count} of {len(plan.songs)} songs to separate: about {plan.seconds:.0f} s at {plan.speed:.1f} "
        f"times real time, and up to {plan.bytes / 1e6:.0f} MB of {plan.bytes_free / 1e6:.0f} MB free"
    )


def _show_failures(failures: "Sequence[tuple[Song, AuralflowError | None]]", total: int) -> int:
    if not failures:
        return ExitCode.DONE
    from rich.table import Table

    table = Table(title="failed", title_justify="left")
    table.add_column("song", overflow="fold")
    table.add_column("why", overflow="fold")
    for song, error in failures:
        table.add_row(one_line(str(song.path)), one_line(str(error)))
    stderr.print(table)
    error_line(f"{len(failures)} of {total} songs failed")
    return ExitCode.FAILED
