"""Scores against museval and hand computation; bounds, resuming, jobs, other separators, statistics."""

import json
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from outside_museval import museval

from auralflow.audio import read_audio, write_audio
from auralflow.config import SOURCES
from auralflow.datasets import index_split
from auralflow.errors import DatasetError, NotFoundError, UsageError
from auralflow.evaluation import (
    IdealMask,
    MixtureAsEstimate,
    ModelSystem,
    Report,
    Score,
    StemFolder,
    TrackScores,
    compare,
    paired_difference,
    read_museval,
    run,
    summarize,
    write_museval,
)
from auralflow.evaluation.scoring import Extras, score_track
from auralflow.evaluation.streams import BlockReader
from auralflow.metrics import pool_channels, si_sdr
from auralflow.models import create_model
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.separation import Separator

RATE = 8000
CONFIG = SpectrogramNetConfig(
    targets=SOURCES,
    num_channels=2,
    num_hidden_channels=1,
    sample_rate=RATE,
    sample_length=1.0,
    num_fft=256,
    window_size=256,
    hop_length=128,
)


def write_song(folder, *, seed=0, seconds=3.3, stems=SOURCES, silent=(), channels=2):
    generator = np.random.default_rng(seed)
    audio = {}
    for index, name in enumerate(stems):
        noise = generator.standard_normal((channels, round(RATE * seconds)))
        # Each in a band of its own, more or less: something a mask can separate.
        spectrum = np.fft.rfft(noise)
        band = np.arange(spectrum.shape[1]) * 8 // spectrum.shape[1]
        audio[name] = 0.1 * np.fft.irfft(spectrum * ((band == index) + 0.1), n=noise.shape[1]).astype(
            np.float32
        )
        audio[name] *= name not in silent
        write_audio(folder / f"{name}.wav", audio[name], RATE)
    return audio


@pytest.fixture
def songs(tmp_path):
    for index, name in enumerate("ab"):
        write_song(tmp_path / "data" / "test" / name, seed=index)
    return tmp_path / "data"


def model(seed=0, name="model"):
    torch.manual_seed(seed)
    return ModelSystem(Separator(SpectrogramMaskModel(CONFIG), device="cpu"), name)


def stems_of(dataset, name):
    return {path.stem: read_audio(path)[0] for path in (dataset / "test" / name).glob("*.wav")}


def by_name(comparison):
    return {report.name: report for report in comparison.reports}


def test_every_score_lies_between_floor_and_ceiling(songs):
    halves = songs.parent / "half"
    for name in "ab":
        stems = stems_of(songs, name)
        for target, truth in stems.items():
            write_audio(
                halves / name / f"{target}.wav", (truth + 0.3 * sum(stems.values())).astype(np.float32), RATE
            )
    reports = by_name(compare([model(), StemFolder(halves, "test", SOURCES)], songs))
    for target in SOURCES:
        floor, middle, binary, ratio = (
            np.mean(list(reports[name].column(target, "si_sdr").values()))
            for name in ("mixture", "half", "ideal binary mask", "ideal ratio mask")
        )
        assert floor + 3 < middle < binary < ratio
    assert all(value == 0 for value in reports["mixture"].column("bass", "si_sdr_improvement").values())


@pytest.mark.parametrize("kind", ["irm", "ibm"])
def test_ideal_masks_equal_a_naive_loop_over_the_whole_track(songs, kind):
    track = index_split(songs, "test")[0]
    config = CONFIG.model_copy(update={"sample_length": 8.0})
    [estimate] = IdealMask(kind, create_model(config)).stream(track, SOURCES, ["drums"])
    stems = stems_of(songs, "a")
    mixture, truth = sum(stems.values()), stems["drums"]

    def transform(audio):
        return torch.stft(
            torch.from_numpy(audio).double(),
            256,
            128,
            window=torch.hann_window(256).double(),
            return_complex=True,
            pad_mode="constant",
        )

    target, rest = transform(truth).abs() ** 2, transform(mixture - truth).abs() ** 2
    mask = target / (target + rest) if kind == "irm" else (target > rest).double()
    masked = mask * transform(mixture)
    naive = torch.istft(
        masked, 256, 128, window=torch.hann_window(256).double(), length=truth.shape[-1] - 200
    )
    np.testing.assert_allclose(estimate[0][:, :-300], naive[:, :-100].numpy(), atol=1e-4)


def test_ideal_masks_work_at_the_sample_rate_of_the_model(songs):
    track = index_split(songs, "test")[0]
    other = CONFIG.model_copy(update={"sample_rate": 11025})
    scores = score_track(IdealMask("irm", create_model(other)), track, SOURCES, SOURCES)
    assert (
        scores.scores["drums"].si_sdr
        > score_track(MixtureAsEstimate(SOURCES), track, SOURCES, SOURCES).scores["drums"].si_sdr
    )


def test_accompaniment_is_the_mixture_without_the_vocals(songs):
    report = by_name(compare([model()], songs))["model"]
    assert report.targets == (*SOURCES, "accompaniment")
    stems = stems_of(songs, "a")
    mixture = sum(stems.values())
    separated = model().separator.separate(mixture, RATE)
    expected = si_sdr(
        pool_channels(torch.from_numpy(mixture - separated[0])),
        pool_channels(torch.from_numpy(mixture - stems["vocals"])),
    )
    assert report.tracks[0].scores["accompaniment"].si_sdr == pytest.approx(expected.item(), abs=1e-3)


def test_residual_is_scored_where_the_targets_are_not_all_sources(songs):
    config = CONFIG.model_copy(update={"targets": ("drums", "bass")})
    system = ModelSystem(Separator(SpectrogramMaskModel(config), device="cpu"), "two")
    report = by_name(compare([system], songs))["two"]
    assert report.targets == ("drums", "bass", "residual")
    stems = stems_of(songs, "a")
    mixture = sum(stems.values())
    estimate = mixture - system.separator.separate(mixture, RATE).sum(axis=0)
    expected = si_sdr(
        pool_channels(torch.from_numpy(estimate)),
        pool_channels(torch.from_numpy(stems["vocals"] + stems["other"])),
    )
    assert report.tracks[0].scores["residual"].si_sdr == pytest.approx(expected.item(), abs=1e-3)


def test_silence_gives_a_reason_and_spoils_no_mean(songs):
    write_song(songs / "test" / "c", seed=5, silent=("vocals",))
    report = by_name(compare([model()], songs))["model"]
    silent = report.tracks[2]
    assert silent.reasons == {"vocals": "the reference is silent", "accompaniment": "is the mixture itself"}
    assert silent.scores["vocals"].si_sdr is None
    assert set(report.column("accompaniment", "si_sdr")) == {"a", "b"}
    assert set(report.column("bass", "si_sdr")) == {"a", "b", "c"}


def test_memory_does_not_grow_with_the_track(songs, monkeypatch):
    held = []
    write_song(songs / "test" / "long", seconds=40.0)
    original = BlockReader.take

    def watched(self, count):
        held.append(self.rest.shape[-1] + count)
        return original(self, count)

    monkeypatch.setattr(BlockReader, "take", watched)
    compare([model()], songs)
    # One block of the decoder and a few chunks of the model, not forty seconds.
    assert max(held) < 20 * RATE


def museval_frames(dataset, name, estimates):
    stems = stems_of(dataset, name)
    order = [target for target in SOURCES if target in stems]
    result = museval.evaluate(
        np.stack([stems[target].T for target in order]).astype(np.float64),
        np.stack([estimates[target].T for target in order]).astype(np.float64),
        win=RATE,
        hop=RATE,
    )
    return dict(zip(order, zip(*result, strict=True), strict=True))


@pytest.fixture
def estimated(songs):
    folder = songs.parent / "other_separator"
    for name in "ab":
        stems = stems_of(songs, name)
        for target, truth in stems.items():
            leak = truth + 0.2 * sum(stems.values())
            write_audio(folder / name / f"{target}.wav", leak.astype(np.float32), RATE)
    return folder


@pytest.fixture
def duets(tmp_path):
    """Mono songs of two sources: solving for the filters of four stereo ones takes many seconds."""
    for index, name in enumerate("ab"):
        stems = write_song(
            tmp_path / "duets" / "test" / name, seed=index, stems=("vocals", "bass"), channels=1
        )
        write_audio(tmp_path / "duets" / "test" / name / "mixture.wav", sum(stems.values()), RATE)
        for target, truth in stems.items():
            leak = truth + 0.2 * sum(stems.values())
            write_audio(tmp_path / "mine" / name / f"{target}.wav", leak.astype(np.float32), RATE)
    return tmp_path / "duets"


def test_stems_of_another_separator_score_as_museval_says_and_its_tools_read_our_file(duets, tmp_path):
    system = StemFolder(tmp_path / "mine", "test", ("vocals", "bass"))
    comparison = compare([system], duets, extras=Extras(bss_eval=True), bounds=False)
    report = comparison.reports[0]
    write_museval(report, tmp_path / "scores" / "mine")
    store = museval.aggregate.EvalStore()
    store.add_eval_dir(tmp_path / "scores" / "mine")
    theirs = store.agg_frames_tracks_scores()
    for target in ("vocals", "bass", "accompaniment"):
        for metric, name in (("SDR", "framewise_sdr"), ("ISR", "isr"), ("SIR", "sir"), ("SAR", "sar")):
            known = list(report.column(target, name).values())
            assert theirs[target, metric] == pytest.approx(np.median(known), abs=2e-5)
    expected = museval_frames(
        duets,
        "a",
        {name: read_audio(tmp_path / "mine" / "a" / f"{name}.wav")[0] for name in ("vocals", "bass")},
    )
    for metric, column in zip(("sdr", "isr", "sir", "sar"), expected["bass"], strict=True):
        np.testing.assert_allclose(report.tracks[0].frames["bass"][metric], column, atol=1e-4)


def test_vocals_and_accompaniment_are_a_run_of_their_own_as_in_museval(duets, tmp_path):
    # Bass falls silent: in the run of the stems that leaves the frame out, in the pair it does not.
    truth = read_audio(duets / "test" / "a" / "bass.wav")[0]
    mixture = read_audio(duets / "test" / "a" / "mixture.wav")[0]
    mixture[:, RATE : 2 * RATE] += 0.01 - truth[:, RATE : 2 * RATE]
    truth[:, RATE : 2 * RATE] = 0
    write_audio(duets / "test" / "a" / "bass.wav", truth, RATE)
    write_audio(duets / "test" / "a" / "mixture.wav", mixture, RATE)
    system = StemFolder(tmp_path / "mine", "test", ("vocals", "bass"))
    report = compare([system], duets, extras=Extras(bss_eval=True)).systems[0]
    estimate = read_audio(tmp_path / "mine" / "a" / "vocals.wav")[0]
    vocals = read_audio(duets / "test" / "a" / "vocals.wav")[0]
    pair = museval.evaluate(
        np.stack([vocals.T, (mixture - vocals).T]).astype(np.float64),
        np.stack([estimate.T, (mixture - estimate).T]).astype(np.float64),
        win=RATE,
        hop=RATE,
    )
    for row, target in enumerate(("vocals", "accompaniment")):
        for metric, columns in zip(("sdr", "isr", "sir", "sar"), pair, strict=True):
            np.testing.assert_allclose(report.tracks[0].frames[target][metric], columns[row], atol=1e-3)
    assert report.tracks[0].frames["bass"]["sdr"][1] is None


def test_files_of_museval_are_read_back(songs, estimated, tmp_path):
    report = compare([StemFolder(estimated, "test", SOURCES)], songs, bounds=False).reports[0]
    write_museval(report, tmp_path / "mine")
    again = read_museval(tmp_path / "mine")
    assert again.name == "mine"
    for target in SOURCES:
        own, read = report.column(target, "framewise_sdr"), again.column(target, "framewise_sdr")
        assert read == pytest.approx(own, abs=1e-5)
    assert again.tracks[0].scores["vocals"].sir is None
    with pytest.raises(NotFoundError, match="no scores"):
        read_museval(tmp_path / "mine", subset="valid")
    (tmp_path / "mine" / "test" / "a.json").write_text('{"targets": [{}]}', encoding="utf-8")
    with pytest.raises(DatasetError, match="scores of museval"):
        read_museval(tmp_path / "mine")


def test_our_json_passes_the_schema_of_museval(songs, estimated, tmp_path):
    report = compare([StemFolder(estimated, "test", SOURCES)], songs, bounds=False).reports[0]
    [path, _] = write_museval(report, tmp_path)
    store = museval.TrackStore("a")
    store.scores = json.loads(path.read_text(encoding="utf-8"))
    store.validate()


def test_stems_are_found_where_separators_put_them(songs, estimated):
    (estimated / "separated_audio").mkdir()
    (estimated / "a").rename(estimated / "separated_audio" / "a")
    (estimated / "test").mkdir()
    (estimated / "b").rename(estimated / "test" / "b")
    for stem in ("drums", "bass", "other"):
        (estimated / "test" / "b" / f"{stem}.wav").unlink()
    (estimated / "test" / "b" / "vocals.wav").rename(estimated / "test" / "b" / "no_vocals.wav")
    report = compare([StemFolder(estimated, "test", [*SOURCES, "accompaniment"])], songs).systems[0]
    assert set(report.tracks[0].scores) == {*SOURCES, "accompaniment"}
    assert set(report.tracks[1].scores) == {"accompaniment"}


def test_stems_at_another_rate_are_resampled_and_of_another_length_are_refused(songs, estimated):
    whole = compare([StemFolder(estimated, "test", SOURCES)], songs, bounds=False).reports[0]
    audio, _ = read_audio(estimated / "a" / "vocals.wav")
    write_audio(estimated / "a" / "vocals.wav", np.repeat(audio, 2, axis=-1), 2 * RATE)
    write_audio(estimated / "b" / "vocals.wav", audio[:, :RATE], RATE)
    report = compare([StemFolder(estimated, "test", SOURCES)], songs, bounds=False).reports[0]
    assert report.tracks[0].scores["vocals"].sdr == pytest.approx(whole.tracks[0].scores["vocals"].sdr, abs=2)
    assert "does not have the length of its track" in report.failed["b"]
    assert [track.track for track in report.tracks] == ["a"]


def test_a_missing_folder_of_stems_is_refused_and_a_missing_track_is_said(songs, tmp_path):
    with pytest.raises(NotFoundError, match="no such folder"):
        StemFolder(tmp_path / "gone", "test", SOURCES)
    (tmp_path / "empty").mkdir()
    report = compare([StemFolder(tmp_path / "empty", "test", SOURCES)], songs).systems[0]
    assert report.skipped == dict.fromkeys("ab", "has no estimate of its targets")


def counted(monkeypatch):
    calls = []
    original = run.score_track  # type: ignore[attr-defined]

    def count(system, track, *args, **kwargs):
        calls.append((system.name, track.name))
        return original(system, track, *args, **kwargs)

    monkeypatch.setattr(run, "score_track", count)
    return calls


def test_a_second_run_computes_only_what_is_missing_or_has_changed(songs, tmp_path, monkeypatch):
    calls = counted(monkeypatch)
    first = compare([model()], songs, folder=tmp_path / "r")
    assert len(calls) == 8
    calls.clear()
    again = compare([model()], songs, folder=tmp_path / "r")
    assert not calls
    assert again == first
    compare([model(seed=1)], songs, folder=tmp_path / "r")
    assert set(calls) == {("model", "a"), ("model", "b")}
    calls.clear()
    write_song(songs / "test" / "b", seed=9)
    compare([model()], songs, folder=tmp_path / "r")
    assert {track for _, track in calls} == {"b"}
    calls.clear()
    compare([model()], songs, folder=tmp_path / "r", extras=Extras(log_spectral_distance=True))
    assert len(calls) == 8


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_run_that_was_stopped_keeps_what_it_had_finished_and_begins_nothing_more(
    songs, tmp_path, monkeypatch, jobs
):
    calls = counted(monkeypatch)
    main = threading.main_thread()
    first = threading.Lock()
    ended = threading.Event()

    def interrupt(_, share):
        if share < 0.5:
            return
        if first.acquire(blocking=False):
            # A real signal: it also wakes a main thread that waits for its workers.
            signal.pthread_kill(main.ident, signal.SIGINT)
        if threading.current_thread() is not main:
            # However late the main thread hears of it, the workers are where they were.
            assert ended.wait(300)

    class Pool(ThreadPoolExecutor):
        def shutdown(self, wait=True, *, cancel_futures=False):
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            ended.set()
            super().shutdown(wait=wait)

    monkeypatch.setattr(run, "ThreadPoolExecutor", Pool)
    with pytest.raises(KeyboardInterrupt):
        compare([model()], songs, folder=tmp_path / "r", on_progress=interrupt, jobs=jobs)
    begun = len(calls)
    # Of eight, four had been done, and each worker may have been within another.
    assert begun <= 4 + jobs
    calls.clear()
    compare([model()], songs, folder=tmp_path / "r")
    assert 8 - begun <= len(calls) <= 6


def test_progress_rises_to_all_within_tracks_too(songs):
    told = []
    compare([model()], songs, on_progress=lambda name, share: told.append((name, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(told) > 8
    assert told[0][0] == "mixture: a"


def test_systems_of_one_name_are_refused(songs):
    with pytest.raises(UsageError, match="two systems have the same name"):
        compare([model(), model(seed=1)], songs)
    with pytest.raises(UsageError, match="mixture, mixture"):
        compare([model(name="mixture")], songs)


def test_jobs_score_tracks_at_once_with_the_same_result(songs, monkeypatch):
    alone = compare([model()], songs, bounds=False)
    meeting = threading.Barrier(2, timeout=300)
    original = ModelSystem.stream

    def together(self, *args):
        meeting.wait()
        return original(self, *args)

    monkeypatch.setattr(ModelSystem, "stream", together)
    both = compare([model()], songs, bounds=False, jobs=2)
    for one, other in zip(alone.reports[0].tracks, both.reports[0].tracks, strict=True):
        assert other.scores["drums"].si_sdr == pytest.approx(one.scores["drums"].si_sdr, abs=1e-4)


def test_a_broken_track_is_told_and_stops_no_other(songs, estimated):
    (estimated / "a" / "bass.wav").write_bytes(b"no audio")
    report = compare([StemFolder(estimated, "test", SOURCES)], songs, bounds=False).reports[0]
    assert "bass.wav" in report.failed["a"]
    assert [track.track for track in report.tracks] == ["b"]


def test_extras_are_computed_on_request_only(duets, tmp_path):
    track = index_split(duets, "test")[0]
    system = StemFolder(tmp_path / "mine", "test", ("vocals", "bass"))
    plain = score_track(system, track, SOURCES, ("vocals", "bass")).scores["vocals"]
    assert (plain.sir, plain.stoi, plain.log_spectral_distance) == (None, None, None)
    extras = Extras(bss_eval=True, log_spectral_distance=True, stoi=True)
    rich = score_track(system, track, SOURCES, ("vocals", "bass"), extras=extras).scores
    assert None not in (rich["vocals"].sir, rich["vocals"].stoi, rich["vocals"].log_spectral_distance)
    assert rich["bass"].stoi is None
    assert rich["vocals"].si_sdr == plain.si_sdr


def test_scores_survive_json():
    scores = TrackScores(
        "a", 2.0, {"bass": Score(si_sdr=1.0)}, {"bass": {"sdr": [1.0, None]}}, 1.0, {"x": "y"}
    )
    assert TrackScores.from_json(json.loads(json.dumps(scores.to_json()))) == scores


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    generator = np.random.default_rng(3)
    held = 0
    for _ in range(200):
        low, high = summarize(generator.normal(2.0, 3.0, 30).tolist()).mean_interval
        held += low <= 2.0 <= high
    assert 175 <= held <= 199


def test_intervals_are_the_same_every_time_and_need_two_tracks():
    values = [1.0, 5.0, 2.0, 8.0]
    assert summarize(values) == summarize(values)
    assert summarize([1.0]).mean_interval is None
    assert summarize([]).mean is None
    assert summarize([2.0, 2.0]).median_interval == (2.0, 2.0)


def test_paired_differences_see_what_means_hide():
    generator = np.random.default_rng(0)
    songs = {str(index): float(level) for index, level in enumerate(generator.normal(5, 6, 20))}
    better = {name: level + 0.5 + 0.1 * generator.standard_normal() for name, level in songs.items()}
    pair = paired_difference(better, songs)
    assert pair.difference.mean_interval[0] > 0.3
    assert (pair.wins, pair.losses) == (20, 0)
    low, _ = summarize(list(better.values())).mean_interval
    assert low < np.mean(list(songs.values()))
    assert paired_difference(better, songs, lower_is_better=True).wins == 0


def test_reports_name_every_skipped_track(songs):
    write_song(songs / "test" / "c", stems=("drums", "bass"))
    report = by_name(compare([model()], songs))["model"]
    assert "neither a mixture nor all stems" in report.skipped["c"]
    assert isinstance(report, Report)


@pytest.mark.gpu
def test_scores_on_a_gpu_equal_those_on_the_cpu(songs):
    track = index_split(songs, "test")[0]
    system = MixtureAsEstimate(SOURCES)
    own = score_track(
        system, track, SOURCES, SOURCES, extras=Extras(bss_eval=True), device=torch.device("cuda")
    )
    other = score_track(system, track, SOURCES, SOURCES, extras=Extras(bss_eval=True))
    for target in SOURCES:
        for metric in ("si_sdr", "sdr", "framewise_sdr", "sir"):
            assert getattr(own.scores[target], metric) == pytest.approx(
                getattr(other.scores[target], metric), abs=1e-5
            )
