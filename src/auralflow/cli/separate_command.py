"""``auralflow separate``."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from auralflow.cli.console import error_line, note, print_json, result_line, stage, stderr
from auralflow.cli.decoder_notes import without_decoder_notes
from auralflow.cli.parameters import FamilyName, Flatten, TrustCode, switch
from auralflow.cli.separating import Output, Show, spoken
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
            "Write vocals and instrumental (a cappella and karaoke), which sum to the original; same as "
            "--two-stems vocals."
        ),
    ] = False,
    force: Annotated[
        bool, switch("Separate finished songs again, and overwrite files from elsewhere.")
    ] = False,
    dry_run: Annotated[
        bool, switch("Only show what would be done, how long it would take and whether it fits on the disk.")
    ] = False,
    json: Annotated[bool, switch("Print the results as JSON at the end.")] = False,
    json_lines: Annotated[bool, switch("Print a line of JSON for each song as soon as it is done.")] = False,
    family: FamilyName = None,
    trust_code: TrustCode = False,
    options: Annotated[SeparateConfig, Flatten] = SeparateConfig(),  # noqa: B008 - frozen
) -> int:
    """Separate songs, or folders of songs, into stems.

    The first argument may be a model: a folder with a model.json, or a name listed by auralflow models. The
    default is a model that comes with auralflow. Use --instrumental for karaoke, an instrumental or an
    acapella. Songs finished by an earlier run are verified and kept; interrupted ones are separated again.

    Parameters
    ----------
    paths
        Optionally a model, then songs and folders of songs.

    Examples
    --------
    auralflow separate song.mp3                       # to separated_audio/song
    auralflow separate umxhq song.mp3                 # with a published model
    auralflow separate song.mp3 --instrumental        # karaoke, a cappella
    auralflow separate my_model music --save stems    # a folder; resumable
    auralflow separate my_model song.wav --targets vocals --residual
    auralflow separate my_model music --dry-run       # time and disk space
    auralflow separate my_model music --only-failed   # retry what failed
    auralflow separate song.mp3 --format m4a --bitrate 256 --layout flat
    """
    output = _output(json=json, json_lines=json_lines, dry_run=dry_run)
    if instrumental:
        options = _with_instrumental(options)
    _check_targets(paths, options)
    with stage("starting"):
        from auralflow.audio.encoding import check_subtype
        from auralflow.cli.pretrained import open_model

        model, named = _model_and_songs(paths, is_listed=options.from_file is not None)
        check_subtype(options.format, options.subtype)
    with stage("looking for songs"):
        songs = _find(options, named, is_default=named == paths)
    if not songs:
        where = "failed" if options.only_failed else "is in this shard" if options.share else "was found"
        note(f"nothing to do: no song {where}")
        if json:
            print_json({"songs": [], "failed": 0})
        return ExitCode.DONE
    if named == paths:
        note(f"using the bundled model {model}; for better ones, see: auralflow models")
    loaded = open_model(model, trust_code=family or trust_code)
    with stage("preparing the model"):
        from auralflow.allocator import memory_kept
        from auralflow.separation import Separator

        separator = Separator(loaded, options)
    try:
        with without_decoder_notes(), memory_kept():
            if dry_run:
                return _plan(separator, songs, options, force=force, json=json)
            return _run(separator, songs, options, force=force, output=output)
    except KeyboardInterrupt:
        kept = "" if dry_run else "; finished songs are kept, and the same command resumes from there"
        stderr.print(f"stopped{kept}")
        return ExitCode.INTERRUPTED


def _output(*, json: bool, json_lines: bool, dry_run: bool) -> Output:
    if json and json_lines:
        raise UsageError("--json and --json-lines exclude each other")
    if dry_run and json_lines:
        raise UsageError("--json-lines does not work with --dry-run", advice="Use --dry-run --json.")
    return "json" if json else "json-lines" if json_lines else "text"


def _check_targets(paths: tuple[Path, ...], options: SeparateConfig) -> None:
    for path in paths:
        if str(path) in SOURCES and options.targets and not path.exists():
            raise UsageError(
                f"no such file or folder: '{path}'",
                advice=f"Join targets with commas: --targets {','.join((*options.targets, str(path)))}.",
            )


def _with_instrumental(options: SeparateConfig) -> SeparateConfig:
    if options.two_stems not in (None, "vocals") or options.targets:
        raise UsageError(
            "--instrumental writes vocals and instrumental only",
            advice="Leave out --two-stems and --targets.",
        )
    if options.residual:
        raise UsageError(
            "--residual would be silent with --instrumental: vocals and instrumental sum to the original"
        )
    return options.model_copy(update={"two_stems": "vocals"})


def _model_and_songs(paths: tuple[Path, ...], *, is_listed: bool = False) -> tuple[str, tuple[Path, ...]]:
    """Split the arguments into the model, if the first one is a model, and the songs."""
    from auralflow.cli.pretrained import note_hidden_name
    from auralflow.models.lookup import DEFAULT_MODEL, is_model

    if paths and is_model(paths[0]):
        model, songs = str(paths[0]), paths[1:]
    else:
        model, songs = DEFAULT_MODEL, paths
    if not songs and not is_listed:
        raise UsageError(
            "no songs given",
            found=f"only '{model}', which is a model" if paths else "",
            expected="auralflow separate [MODEL] SONG-OR-FOLDER ..., as in: auralflow separate song.mp3",
        )
    if songs and songs == paths:
        _check_first(songs)
        note_hidden_name(songs[0])
    return model, songs


def _check_first(songs: tuple[Path, ...]) -> None:
    """Suggest a model if the first argument is not a path and may be a misspelt model name."""
    from auralflow.config.base import suggestion
    from auralflow.models import installed_registry

    first = str(songs[0])
    meant = suggestion(first, installed_registry().all_names)
    if not songs[0].exists() and (meant or len(songs) > 1):
        raise NotFoundError(
            f"no model, file or folder '{first}'{meant}",
            expected="a folder with a model.json, a name listed by auralflow models, or a song",
        )


def _find(options: SeparateConfig, named: "Sequence[Path]", *, is_default: bool) -> "list[Song]":
    """Find the songs to separate, with the default model or with one that was named."""
    from auralflow.separation import find_songs
    from auralflow.separation.lists import FailedSongs, paths_in, share_of
    from auralflow.separation.songs import OUTPUT_FOLDER

    listed = [] if options.from_file is None else paths_in(_list_of(options.from_file))
    # A job that runs again and again may find a folder that is still empty.
    songs = find_songs(named, listed=listed, flat=options.layout == "flat", may_be_none=options.accept_failed)
    _note_empty_folders(named, songs, is_default=is_default)
    if options.share:
        songs = share_of(songs, options.share)
    if options.only_failed:
        output = options.save / OUTPUT_FOLDER
        if not output.is_dir():
            raise UsageError(
                "--only-failed retries the failed songs of an earlier run, and there was none",
                found=f"no folder '{output}'",
                advice="Choose the --save of that run, or leave out --only-failed.",
            )
        songs = FailedSongs(output).chosen(songs)
    return songs


def _note_empty_folders(named: "Sequence[Path]", songs: "Sequence[Song]", *, is_default: bool) -> None:
    """Note each given folder without a song; without another model, the first may be meant as one."""
    paths = [Path(os.path.abspath(song.path)) for song in songs]  # noqa: PTH100 - links are not followed
    filled = {folder for path in paths for folder in (path, *path.parents)}
    for number, path in enumerate(named):
        if path.is_dir() and Path(os.path.abspath(path)) not in filled:  # noqa: PTH100
            is_model = ", and no model.json, which would make it a model" if is_default and not number else ""
            note(f"no audio files in '{path}'{is_model}")


def _list_of(name: str) -> bytes:
    if name == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise NotFoundError(
            f"cannot read the list '{name}'",
            found=f"'{error.strerror}'",
            expected="a file, or - for standard input",
        ) from None


def _run(
    separator: "Separator", songs: "Sequence[Song]", options: SeparateConfig, *, force: bool, output: Output
) -> int:
    from auralflow.separation.folder import output_folder
    from auralflow.separation.lists import FailedSongs
    from auralflow.separation.naming import stem_names

    failed = FailedSongs(output_folder(options.save))
    show = Show(songs, options, failed, output, stem_names(separator.targets, options))
    with show:
        for outcome in _outcomes(separator, songs, options, force, show.under_way):
            show.ended(outcome)
    return show.finish()


def _outcomes(
    separator: "Separator",
    songs: "Sequence[Song]",
    options: SeparateConfig,
    force: bool,
    on_progress: "Callable[[Song, float], None]",
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
            on_progress=on_progress,
        )
    from auralflow.separation import separate_files

    return separate_files(
        separator, songs, options.save, options, force=force, jobs=options.jobs, on_progress=on_progress
    )


def _plan(
    separator: "Separator", songs: "Sequence[Song]", options: SeparateConfig, *, force: bool, json: bool
) -> int:
    from auralflow.separation import plan_files

    with stage("measuring the speed"):
        plan = plan_files(separator, songs, options.save, options, force=force)
    if json:
        print_json(plan.to_json())
    else:
        for planned in plan.songs:
            result_line(f"{planned.action}: {planned.song.path}")
        result_line(_summary(plan))
    failures = [song.error for song in plan.songs if song.error]
    for error in failures:
        error_line(str(error))
    if failures:
        error_line(f"{len(failures)} of {len(songs)} songs would fail")
    if not plan.fits:
        raise AuralflowError(
            f"the stems do not fit on the disk of '{options.save}'",
            found=f"{plan.bytes_free / 1e9:.2f} GB free",
            expected=f"{plan.bytes / 1e9:.2f} GB",
            advice="Free some space, or choose another --save or --format.",
        )
    return ExitCode.FAILED if failures and not options.accept_failed else ExitCode.DONE


def _summary(plan: "Plan") -> str:
    count = sum(song.action == "separate" for song in plan.songs)
    return (
        f"{count} of {len(plan.songs)} songs to separate: about {spoken(plan.seconds)} at {plan.speed:.1f}x "
        f"real time, and up to {_size(plan.bytes)} of the {_size(plan.bytes_free)} that are free"
    )


def _size(count: int) -> str:
    """Format a number of bytes in MB, or in GB from 1 GB on.

    Example:
        >>> _size(188_300_000), _size(68_169_000_000)
        ('188 MB', '68.2 GB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
