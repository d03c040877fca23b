"""What the web page does with a song: limits, the line, what is kept and for how long."""

import errno
import json
import os
import re
import socket
import sys
import threading
import time
import zipfile
from contextlib import ExitStack

import av
import numpy as np
import pytest
import soundfile
import torch
from conftest import RATE, constant_model, tiny_config
from hypothesis import given
from hypothesis import strategies as st

from auralflow.app import Order, Stage, Studio, Workspace, intake, wording
from auralflow.app.intake import check_song, take_in
from auralflow.app.line import Line
from auralflow.app.mixer import CODE, describe
from auralflow.app.tracks import COLUMNS, outline, spectrogram_strip
from auralflow.cli import main
from auralflow.config import AppConfig
from auralflow.errors import AudioError, NotFoundError, UsageError
from auralflow.nets.unet.model import SpectrogramMaskModel


@pytest.fixture
def workspace(tmp_path):
    with Workspace(keep=60, parent=tmp_path / "kept") as workspace:
        yield workspace


def noise(seconds=1.0, channels=2, level=0.1):
    generator = np.random.default_rng(0)
    return level * generator.standard_normal((round(seconds * RATE), channels))


@pytest.fixture
def song(tmp_path):
    soundfile.write(tmp_path / "my song.wav", noise(), RATE, subtype="PCM_16")
    return tmp_path / "my song.wav"


def studio(workspace, *masks, **settings):
    models = {"mine": constant_model(*(masks or (0.25, 0.5)), num_channels=2)}
    return Studio(models, AppConfig(**settings), workspace)


def finish(work):
    """Run a generator to its end: what it yielded, and what it returned."""
    stages = []
    while True:
        try:
            stages.append(next(work))
        except StopIteration as end:
            return stages, end.value


def order(song, targets=("vocals", "drums")):
    return Order(song, "mine", targets)


def test_original_is_the_sum_of_stems_and_residual_in_the_archive(workspace, song):
    _, result = finish(studio(workspace).run(order(song)))
    assert [track.name for track in result.tracks] == [
        "original",
        "instrumental",
        "vocals",
        "drums",
        "residual",
    ]
    with zipfile.ZipFile(result.archive) as archive:
        names = sorted(archive.namelist())
        audio = {name: soundfile.read(archive.open(name), dtype="int16")[0].astype(int) for name in names}
    parts = ("vocals", "drums", "residual")
    stems = {name.removeprefix("my song/my song - ").removesuffix(".wav"): audio[name] for name in names}
    assert set(stems) == {*parts, "original", "instrumental"}
    np.testing.assert_array_equal(stems["original"], sum(stems[name] for name in parts))
    np.testing.assert_array_equal(stems["original"], stems["vocals"] + stems["instrumental"])
    np.testing.assert_array_equal(stems["original"], soundfile.read(song, dtype="int16")[0])


def test_only_the_chosen_stems_are_made_in_the_order_of_the_model(workspace, song):
    model = SpectrogramMaskModel(tiny_config(targets=("vocals", "drums", "bass"))).eval()
    work = Studio({"mine": model}, AppConfig(), workspace)
    _, result = finish(work.run(order(song, ("bass", "vocals"))))
    names = [track.name for track in result.tracks]
    assert names == ["original", "instrumental", "vocals", "bass", "residual"]
    assert [track.name for track in result.tracks if track.repeats] == ["original", "instrumental"]


def test_without_other_stems_what_the_vocals_leave_is_the_instrumental(workspace, song):
    model = SpectrogramMaskModel(tiny_config(num_channels=2)).eval()
    _, result = finish(Studio({"mine": model}, AppConfig(), workspace).run(order(song, ("vocals",))))
    assert [track.name for track in result.tracks] == ["original", "vocals", "instrumental"]
    assert [track.repeats for track in result.tracks] == [True, False, False]


def test_without_vocals_there_is_no_instrumental(workspace, song):
    model = SpectrogramMaskModel(tiny_config(num_channels=2)).eval()
    _, result = finish(Studio({"mine": model}, AppConfig(), workspace).run(order(song, ("drums",))))
    assert [track.name for track in result.tracks] == ["original", "drums", "residual"]


def test_progress_goes_through_its_stages_and_never_back(workspace, song):
    stages, _ = finish(studio(workspace).run(order(song)))
    names = [stage.name for stage in stages]
    assert list(dict.fromkeys(names)) == ["separating", "drawing", "packing"]
    for name in ("separating", "drawing"):
        shares = [stage.share for stage in stages if stage.name == name]
        assert shares == sorted(shares)
        assert 0 <= shares[0] <= shares[-1] <= 1


def test_the_song_itself_does_not_stay_with_its_stems(workspace, song):
    _, result = finish(studio(workspace).run(order(song)))
    assert {path.suffix for path in result.archive.parent.iterdir()} == {".wav", ".png", ".zip"}
    assert song.exists()


def test_the_models_are_loaded_once_and_stay_as_they_are(workspace, song):
    works = Studio({"mine": SpectrogramMaskModel(tiny_config()).eval()}, AppConfig(), workspace)
    before = {name: tensor.clone() for name, tensor in works.models["mine"].state_dict().items()}
    finish(works.run(order(song)))
    finish(works.run(order(song, ("vocals",))))
    for name, tensor in works.models["mine"].state_dict().items():
        assert torch.equal(tensor, before[name])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"targets": ()}, UsageError, "no stems chosen: expected one or more of vocals, drums"),
        ({"targets": ("flute",)}, NotFoundError, "no target 'flute'"),
        ({"model": "theirs"}, NotFoundError, "no model 'theirs': expected mine"),
    ],
)
def test_orders_that_cannot_be_taken_say_why_and_leave_nothing(workspace, song, change, error, message):
    wanted = Order(**{"song": song, "model": "mine", "targets": ("vocals",)} | change)
    with pytest.raises(error, match=message):
        finish(studio(workspace).run(wanted))
    assert list(workspace.jobs.iterdir()) == []


def write_text(path):
    path.write_text("no audio at all\n" * 100)


def write_long(path):
    soundfile.write(path, np.zeros(RATE * 3), RATE)


def write_empty(path):
    soundfile.write(path, np.zeros((0, 2)), RATE)


def write_large(path):
    soundfile.write(path, noise(1.5), RATE, subtype="DOUBLE")


def write_cut(path):
    soundfile.write(path, noise(), RATE)
    path.write_bytes(path.read_bytes()[:10000])


@pytest.mark.parametrize(
    ("write", "error", "message"),
    [
        (write_text, AudioError, "cannot read 'a song.wav'"),
        (
            write_long,
            UsageError,
            "'a song.wav' is too long: found at least 0:03 minutes, expected at most 0:02",
        ),
        (write_empty, UsageError, "'a song.wav' is empty"),
        (write_large, UsageError, "'a song.wav' is too large: found 0.2 MiB, expected at most 0.1 MiB"),
        (write_cut, AudioError, "'a song.wav' ends early"),
        (lambda _: None, NotFoundError, "'a song.wav' is no longer available.*in the last 60 minutes"),
    ],
)
def test_a_bad_song_is_refused_in_one_line_that_calls_it_by_its_name(
    workspace, tmp_path, write, error, message
):
    path = tmp_path / "a song.wav"
    write(path)
    works = studio(workspace, max_duration=2, max_size=0.1)
    with pytest.raises(error, match=message) as caught:
        finish(works.run(order(path)))
    assert str(tmp_path) not in str(caught.value)
    assert list(workspace.jobs.iterdir()) == []


def write_m4a(path, seconds):
    """Silence, whose length no header states to the sample."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = RATE
        for start in range(0, seconds * RATE, 1024):
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_a_song_is_measured_no_further_than_it_may_be_long(workspace, tmp_path):
    write_m4a(tmp_path / "a.m4a", 600)
    works = studio(workspace, max_duration=5)
    with pytest.raises(UsageError, match=r"'a\.m4a' is too long: found at least 0:0[56] minutes, expected"):
        finish(works.run(order(tmp_path / "a.m4a")))
    assert list(workspace.jobs.iterdir()) == []


def test_a_song_is_measured_in_its_turn_and_not_before(workspace, song, monkeypatch):
    measured = []

    def probe(path, **limits):
        measured.append(limits)
        return real(path, **limits)

    real = intake.probe  # type: ignore[attr-defined]
    monkeypatch.setattr(intake, "probe", probe)
    works = studio(workspace, concurrency=1, max_duration=7)
    first, second = works.run(order(song)), works.run(order(song))
    next(first)
    assert next(second) == Stage("waiting", ahead=1)
    assert measured == [{"max_seconds": 7}]
    first.close()
    assert next(second).name == "separating"
    assert measured == [{"max_seconds": 7}] * 2
    second.close()


def test_songs_at_the_limits_are_taken(workspace, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(RATE * 2), RATE, subtype="PCM_16")
    size = (tmp_path / "a.wav").stat().st_size / 2**20
    settings = AppConfig(max_duration=2, max_size=size)
    kept = take_in(tmp_path / "a.wav", workspace.new_job(), settings)
    assert check_song(kept, "a.wav", settings).seconds == 2


def test_a_full_disk_is_reported_before_the_work(workspace, song, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("usage", (), {"free": 1000}))
    with pytest.raises(AudioError, match="not enough disk space for the stems: found 0 MB free"):
        finish(studio(workspace).run(order(song)))


def test_a_disk_that_fills_up_on_the_way_is_reported_and_leaves_nothing(workspace, song, monkeypatch):
    def fill_up(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("auralflow.app.studio.separate_file", fill_up)
    with pytest.raises(AudioError, match=r"cannot write the stems: found No space left.*Try again later"):
        finish(studio(workspace).run(order(song)))
    assert list(workspace.jobs.iterdir()) == []


def test_leaving_stops_the_work(workspace, tmp_path):
    soundfile.write(tmp_path / "long.wav", np.zeros(RATE * 600), RATE, subtype="PCM_16")
    work = studio(workspace).run(order(tmp_path / "long.wav"))
    next(work)
    threads = threading.active_count()
    work.close()
    assert threading.active_count() < threads
    assert list(workspace.jobs.iterdir()) == []


def test_the_second_waits_until_the_first_is_done_and_the_third_is_sent_away(workspace, song):
    works = studio(workspace, concurrency=1, max_waiting=1)
    first, second, third = (works.run(order(song)) for _ in range(3))
    next(first)
    assert next(second) == Stage("waiting", ahead=1)
    with pytest.raises(UsageError, match=r"too many songs are waiting: found 1\. Try again"):
        next(third)
    assert next(second).name == "waiting"
    finish(first)
    stages, result = finish(second)
    assert "waiting" not in [stage.name for stage in stages]
    assert result.title == "my song"


def test_as_many_at_once_as_the_settings_say(workspace, song):
    works = studio(workspace, concurrency=2)
    first, second, third = (works.run(order(song)) for _ in range(3))
    assert [next(work).name for work in (first, second, third)] == ["separating", "separating", "waiting"]
    for work in (first, second, third):
        work.close()


@given(seats=st.integers(1, 4), leaving=st.lists(st.integers(0, 5), max_size=6))
def test_the_line_serves_in_order_whoever_leaves(seats, leaving):
    line = Line(seats, max_waiting=10)
    blocks = [line.join() for _ in range(6)]
    places = [block.__enter__() for block in blocks]
    left = list(range(6))
    for number in leaving:
        if number in left:
            blocks[number].__exit__(None, None, None)
            left.remove(number)
        assert [places[i].ahead for i in left] == [max(0, k - seats + 1) for k in range(len(left))]
    for number in left:
        blocks[number].__exit__(None, None, None)


@given(
    seats=st.integers(1, 3),
    left=st.lists(st.integers(0, 100), min_size=3, max_size=3),
    usual=st.integers(1, 100),
    waiting=st.integers(1, 5),
)
def test_the_estimate_of_a_turn_is_when_a_seat_becomes_free(seats, left, usual, waiting):
    line = Line(seats, max_waiting=10)
    line.record(usual)
    with ExitStack() as stack:
        places = [stack.enter_context(line.join()) for _ in range(seats + waiting)]
        for place, seconds in zip(places[:seats], left, strict=False):
            place.seconds_left = seconds
        # Second by second: who is done leaves, and the next one takes the seat.
        free, turns, second = list(left[:seats]), [], 0
        while len(turns) < waiting:
            for seat, end in enumerate(free):
                if end <= second and len(turns) < waiting:
                    turns.append(second)
                    free[seat] = second + usual
            second += 1
        assert [place.seconds_ahead for place in places] == [0] * seats + turns


def test_without_anything_known_there_is_no_estimate():
    line = Line(1, max_waiting=3)
    with line.join() as first, line.join() as second, line.join() as third:
        assert second.seconds_ahead is None
        first.seconds_left = 7
        assert (second.seconds_ahead, third.seconds_ahead) == (7, None)


def test_what_has_been_kept_long_enough_is_removed_and_what_is_worked_on_stays(workspace):
    begun = time.time()
    upload = workspace.uploads / "hash"
    upload.mkdir()
    (upload / "song.wav").write_bytes(b"x")
    old, busy = workspace.new_job(), workspace.new_job()
    workspace.end_job(old)
    assert workspace.sweep(lambda: begun + 50) == []
    assert sorted(workspace.sweep(lambda: time.time() + 70)) == sorted([upload, old])
    assert not upload.exists()
    assert busy.exists()
    workspace.end_job(busy)
    assert workspace.sweep(lambda: time.time() + 70) == [busy]


def test_the_time_of_stems_begins_when_they_are_done(workspace):
    job = workspace.new_job()
    begun = time.time() - 1000
    os.utime(job, (begun, begun))
    workspace.end_job(job)
    assert workspace.sweep() == []


def test_files_are_removed_by_themselves(tmp_path):
    with Workspace(keep=0.05, parent=tmp_path) as workspace:
        (workspace.uploads / "song.wav").write_bytes(b"x")
        deadline = time.monotonic() + 300
        while any(workspace.uploads.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert list(workspace.uploads.iterdir()) == []


def test_the_folder_of_a_killed_server_is_removed_by_the_next_and_that_of_a_living_one_is_not(tmp_path):
    (tmp_path / "something else").mkdir()
    with Workspace(keep=60, parent=tmp_path) as living:
        killed = Workspace(keep=60, parent=tmp_path)
        (killed.jobs / "stem.wav").write_bytes(b"x")
        killed._lock.release()  # as the operating system does for a dead process
        with Workspace(keep=60, parent=tmp_path):
            assert not killed.root.exists()
            assert living.root.exists()
        killed.close()
    assert [path.name for path in tmp_path.iterdir()] == ["something else"]


def test_a_folder_that_cannot_be_written_to_is_a_usage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot store songs in .*`folder`"):
        Workspace(keep=60, parent=tmp_path / "file")


@given(st.integers(1, 3000), st.integers(1, 2))
def test_the_outline_shows_the_highest_and_lowest_sample(length, channels):
    audio = torch.from_numpy(np.random.default_rng(length).uniform(-1, 1, (channels, length)))
    low, high = outline(audio)
    assert len(low) == len(high) == min(COLUMNS, length)
    assert min(low) == pytest.approx(audio.min().item(), abs=1e-3)
    assert max(high) == pytest.approx(audio.max().item(), abs=1e-3)


def test_a_tone_is_a_line_at_its_height_in_the_spectrogram():
    times = torch.arange(RATE * 2) / RATE
    rows = [spectrogram_strip(torch.sin(2 * np.pi * f * times)[None], RATE) for f in (300.0, 3000.0)]
    heights = [int(strip.mean(axis=1).argmax()) for strip in rows]
    assert heights[0] > heights[1]  # row 0 is on top, where high notes are
    assert all(strip.min() >= 0 and strip.max() <= 1 for strip in rows)


def test_the_players_get_all_of_a_song(workspace, song):
    _, result = finish(studio(workspace).run(order(song)))
    described = describe(result, "a-job")
    assert [track["file"] for track in described["tracks"]][:2] == [
        "/auralflow/jobs/a-job/listen/original.wav",
        "/auralflow/jobs/a-job/listen/instrumental.wav",
    ]
    assert described["formats"] == ["wav", "flac", "mp3"]
    assert re.fullmatch(r"peak -\d+\.\d dBFS, drawn \d\.\dx", described["tracks"][0]["level"])
    assert any("residual" in note for note in described["notes"])
    assert str(workspace.root) not in json.dumps(described)  # no path of the server
    assert "innerHTML" not in CODE  # names of songs and stems are text, whatever they hold


def test_quiet_stems_fill_their_lane_and_say_how_much_they_were_enlarged(workspace, tmp_path):
    soundfile.write(tmp_path / "quiet.wav", noise(level=0.01), RATE, subtype="PCM_24")
    _, result = finish(studio(workspace, 0.5, 0.001).run(order(tmp_path / "quiet.wav")))
    tracks = {track.name: track for track in result.tracks}
    for name in ("original", "vocals", "residual"):
        assert max(map(abs, (*tracks[name].low, *tracks[name].high))) == pytest.approx(1, abs=0.01)
    # What is far too quiet to be heard still looks quiet.
    assert tracks["drums"].scale == 100
    assert max(tracks["drums"].high) < 0.01


def test_silence_is_called_silence(workspace, tmp_path):
    soundfile.write(tmp_path / "still.wav", np.zeros((RATE, 2)), RATE)
    _, result = finish(studio(workspace).run(order(tmp_path / "still.wav")))
    assert {track["level"] for track in describe(result, "job")["tracks"]} == {"silent"}


def test_lowered_files_are_reported(workspace, tmp_path):
    soundfile.write(tmp_path / "loud.wav", np.clip(noise(level=1.0), -1, 1), RATE, subtype="PCM_16")
    _, result = finish(studio(workspace, 2.0, 1.5).run(order(tmp_path / "loud.wav")))
    assert describe(result, "job")["notes"][0].startswith("All files were lowered by")


def test_what_is_shown_of_names_and_errors_is_no_markup():
    assert "<script>" not in wording.failure("cannot read '<script>x</script>'")
    assert "<script>" not in wording.chosen("<script>x</script>.wav")
    assert wording.progress(Stage("waiting", ahead=2)) == "<p>Waiting: 2 songs ahead of yours</p>"


def test_who_waits_learns_when_it_is_their_turn():
    stage = Stage("waiting", ahead=1, seconds_left=130)
    assert wording.progress(stage) == "<p>Waiting: 1 song ahead of yours; yours starts in about 2 min</p>"
    assert wording.announcement(stage) == "Waiting: 1 song ahead of yours"


def test_a_screen_reader_hears_a_quarter_at_a_time():
    words = [wording.announcement(Stage("separating", share / 100)) for share in range(101)]
    assert list(dict.fromkeys(words)) == [
        "separating",
        "separating, 25 percent",
        "separating, 50 percent",
        "separating, 75 percent",
        "separating, 100 percent",
    ]


def test_the_time_left_follows_from_the_share():
    stage = Stage("separating", 0.5, seconds_left=31.0)
    assert "50 %, about 30 s left" in wording.progress(stage)


def test_without_gradio_the_command_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    assert main(["app"]) == 2
    assert 'Gradio is not installed. Run: pip install "auralflow[app]"' in capsys.readouterr().err


def test_a_model_that_does_not_exist_ends_the_command(capsys):
    pytest.importorskip("gradio", reason="needs the extra app")
    assert main(["app", "--model", "no/such/model"]) == 2
    assert "no/such/model" in capsys.readouterr().err


def test_a_port_that_is_taken_is_reported_before_anything_is_loaded(tmp_path, capsys):
    pytest.importorskip("gradio", reason="needs the extra app")
    (tmp_path / "model.json").write_text("damaged, which loading would find")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["app", "--model", str(tmp_path), "--port", port]) == 2
    error = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1:{port}" in error
    assert "another program listening there" in error
    assert "Errno" not in error
    assert "Choose another --port" in error
