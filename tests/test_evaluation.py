"""Evaluation: known masks get known scores."""

import json
import statistics

import numpy as np
import pytest
from conftest import RATE, constant_model, write_track

from auralflow.audio import read_audio, write_audio
from auralflow.config import SOURCES
from auralflow.datasets.prepare import prepare
from auralflow.errors import DatasetError, NotFoundError
from auralflow.evaluation import DEFINITIONS, evaluate
from auralflow.separation import Separator


def separator(*levels):
    return Separator(constant_model(*levels, num_channels=2), device="cpu")


def test_passing_the_mixture_through_improves_nothing(dataset):
    report = evaluate(separator(1.0, 1.0, 1.0, 1.0), dataset)
    for score in report.tracks[0].scores.values():
        assert score.si_sdr_improvement == pytest.approx(0, abs=1e-3)


def test_scores_equal_those_computed_by_hand(dataset):
    report = evaluate(separator(0.5), dataset)
    stems = {
        name: read_audio(dataset / "test" / "e" / f"{name}.wav")[0].astype(np.float64) for name in SOURCES
    }
    mixture = sum(stems.values())
    truth, estimate = stems["vocals"], 0.5 * mixture
    scale = (estimate * truth).sum() / (truth**2).sum()
    si_sdr = 10 * np.log10(((scale * truth) ** 2).sum() / ((estimate - scale * truth) ** 2).sum())
    sdr = 10 * np.log10((truth**2).sum() / ((truth - estimate) ** 2).sum())
    score = report.tracks[0].scores["vocals"]
    assert score.si_sdr == pytest.approx(si_sdr, abs=1e-3)
    assert score.sdr == pytest.approx(sdr, abs=1e-3)


def test_mean_and_median_are_over_tracks(dataset):
    for index, name in enumerate(("f", "g"), start=10):
        write_track(dataset / "test" / name, seed=index, seconds=index / 10)
    report = evaluate(separator(0.5), dataset)
    values = [track.scores["vocals"].sdr for track in report.tracks]
    assert len(set(values)) == 3
    assert report.summary(statistics.fmean)["vocals"].sdr == pytest.approx(np.mean(values))
    assert report.summary(statistics.median)["vocals"].sdr == pytest.approx(np.median(values))


def test_a_silent_stem_has_no_score_and_does_not_spoil_the_mean(dataset):
    write_track(dataset / "test" / "f", seed=9)
    write_audio(dataset / "test" / "f" / "vocals.wav", np.zeros((2, 16000), np.float32), RATE)
    report = evaluate(separator(0.5), dataset)
    scores = {track.track: track.scores["vocals"] for track in report.tracks}
    assert scores["f"].si_sdr is None
    assert report.summary(statistics.fmean)["vocals"].si_sdr == scores["e"].si_sdr


def test_unknown_stems_are_left_out_and_said(dataset):
    write_track(dataset / "test" / "f", stems=("vocals", "drums", "bass"))
    report = evaluate(separator(0.5, 0.5), dataset)
    assert [track.track for track in report.tracks] == ["e"]
    assert "neither a mixture nor all stems" in report.skipped["f"]
    (dataset / "test" / "f" / "bass.wav").rename(dataset / "test" / "f" / "mixture.wav")
    (dataset / "test" / "f" / "drums.wav").unlink()
    report = evaluate(separator(0.5, 0.5), dataset)
    assert set(report.tracks[1].scores) == {"vocals"}


def test_a_mono_model_scores_stereo_tracks(dataset):
    report = evaluate(Separator(constant_model(0.5), device="cpu"), dataset)
    assert report.tracks[0].scores["vocals"].sdr is not None


def test_nothing_to_score_is_an_error_that_says_what_was_found(dataset, tmp_path):
    with pytest.raises(NotFoundError, match="no dataset"):
        evaluate(separator(1.0), tmp_path / "missing")
    for path in (dataset / "test" / "e").iterdir():
        path.unlink()
    with pytest.raises(DatasetError, match=r"has no tracks in test/: found .*expected test/<track>"):
        evaluate(separator(1.0), dataset)


def test_a_prepared_cache_is_told_from_a_dataset_without_tracks(dataset, tmp_path):
    prepare(dataset, tmp_path / "cache")
    with pytest.raises(DatasetError, match=r"is a prepared cache.* expected the dataset"):
        evaluate(separator(1.0), tmp_path / "cache")


def test_the_report_is_json_with_its_definitions(dataset):
    content = json.loads(json.dumps(evaluate(separator(0.5), dataset).to_json(), allow_nan=False))
    assert set(content["definitions"]) == set(DEFINITIONS)
    assert content["tracks"][0]["scores"]["vocals"].keys() == DEFINITIONS.keys()
    assert content["mean"]["vocals"] == content["median"]["vocals"]
