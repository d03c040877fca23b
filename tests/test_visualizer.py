"""The pictures by their properties: axes, units, limits, and where the ink is."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import soundfile
import torch

from auralflow.cli import main
from auralflow.errors import NotFoundError, UsageError
from auralflow.visualizer import (
    comparison,
    difference,
    files,
    mask,
    mel_spectrogram,
    new_figure,
    plot_files,
    read_history,
    save_figure,
    score_boxes,
    scores_over_time,
    spectrogram,
    to_image,
    training_curves,
    waveform,
)
from auralflow.visualizer.levels import FLOOR, envelope, power_spectrogram

RATE = 8000


def sine(frequency, seconds=1.0, level=1.0):
    return level * torch.sin(2 * torch.pi * frequency * torch.arange(round(RATE * seconds)) / RATE)


def image(figure):
    return figure.axes[0].images[0]


def test_waveform_has_a_row_per_channel_on_the_scale_of_full_scale():
    figure = waveform(torch.stack([sine(100), sine(100, level=0.1)]), RATE, title="song")
    top, bottom = figure.axes
    assert [axes.get_ylim() for axes in (top, bottom)] == [(-1, 1), (-1, 1)]
    assert (top.get_ylabel(), bottom.get_ylabel()) == ("left", "right")
    assert bottom.get_xlabel() == "time / s"
    assert bottom.get_xlim() == (0, 1)
    assert top.get_title(loc="left") == "song"


def test_waveform_beyond_full_scale_widens_the_scale_and_marks_the_limits():
    axes = waveform(sine(100, level=2.0), RATE).axes[0]
    assert axes.get_ylim()[1] > 2
    assert {tuple(line.get_ydata()) for line in axes.lines} >= {(1, 1), (-1, -1)}


def test_envelope_of_a_long_signal_keeps_a_peak_of_one_sample():
    samples = torch.zeros(1_000_003)
    samples[777_777] = 0.9
    samples[-1] = -0.8
    times, low, high = envelope(samples, 1000)
    assert high.max() == pytest.approx(0.9)
    assert low.min() == pytest.approx(-0.8)
    assert times[high.argmax()] == pytest.approx(777.777, abs=1)
    assert len(times) <= 3000


@pytest.mark.parametrize("level", [0, -40])
def test_sine_reads_its_level_at_its_frequency(level):
    figure = spectrogram(sine(1000, level=10 ** (level / 20)), RATE, num_fft=512)
    values = image(figure).get_array()
    loudest = values[:, 5:-5].mean(axis=1).argmax()
    assert loudest * RATE / 512 == pytest.approx(1000, abs=RATE / 512)
    assert values[loudest, values.shape[1] // 2] == pytest.approx(level, abs=0.1)


def test_spectrograms_of_loud_and_silent_signals_share_limits_and_units():
    for signal in (sine(440), torch.zeros(RATE)):
        figure = spectrogram(signal, RATE)
        assert image(figure).get_clim() == (FLOOR, 0)
        assert figure.axes[1].get_ylabel() == "level / dBFS"
        assert figure.axes[0].get_ylabel() == "frequency / kHz"
    assert (image(figure).get_array() == FLOOR).all()


def test_spectrogram_of_a_long_signal_has_no_more_columns_than_a_picture_shows():
    power = power_spectrogram(torch.ones(1, RATE * 200), 64)
    assert power.shape[1] <= 1500
    early = power_spectrogram(torch.cat([torch.ones(1, RATE * 50), torch.zeros(1, RATE * 150)], dim=1), 64)
    assert early[0, : early.shape[1] // 4 - 2].min() > 0.5
    assert early[0, early.shape[1] // 4 + 2 :].max() == 0


@pytest.mark.parametrize("samples", [1, 2, 300])
def test_signals_shorter_than_a_window_are_drawn(samples):
    for figure in (spectrogram(torch.ones(samples), RATE), waveform(torch.ones(2, samples), RATE)):
        to_image(figure)


def test_mel_spectrogram_puts_a_tone_at_its_tick():
    figure = mel_spectrogram(sine(1000), RATE, num_mels=64, num_fft=2048)
    axes = figure.axes[0]
    ticks = dict(zip([text.get_text() for text in axes.get_yticklabels()], axes.get_yticks(), strict=True))
    assert image(figure).get_array()[:, 5].argmax() == pytest.approx(ticks["1000"], abs=1)
    assert axes.get_ylabel() == "frequency / Hz (mel scale)"


def test_mask_is_shown_from_nought_to_one_whatever_it_holds():
    figure = mask(torch.full((2, 65, 40), 0.3), RATE, hop_length=64)
    assert image(figure).get_clim() == (0, 1)
    assert figure.axes[0].get_xlim()[1] == pytest.approx(40 * 64 / RATE)
    assert figure.axes[0].get_ylim()[1] == pytest.approx(4)


def test_difference_is_signed_decibels_with_nought_in_the_middle():
    figure = difference(sine(1000, level=1.0), sine(1000, level=0.1), RATE, num_fft=512)
    values = image(figure).get_array()
    assert values[64, 20] == pytest.approx(20, abs=0.1)
    low, high = image(figure).get_clim()
    assert low == -high


def test_difference_says_nothing_of_what_nobody_hears():
    figure = difference(sine(1000, level=1e-6), torch.zeros(RATE), RATE, num_fft=512)
    assert np.abs(image(figure).get_array()).max() == 0


def test_a_comparison_on_a_mel_axis_is_labelled_in_hertz_at_the_right_places():
    axes = comparison([("low", sine(500)), ("high", sine(2000))], RATE, mel=True).axes
    assert axes[0].get_ylabel() == "Hz (mel)"
    for picture, frequency in zip(axes[:2], ("500", "2000"), strict=True):
        loudest = picture.images[0].get_array().mean(axis=1).argmax()
        labels = {
            label.get_text(): place
            for label, place in zip(picture.get_yticklabels(), picture.get_yticks(), strict=True)
        }
        assert abs(labels[frequency] - loudest) <= 1


def test_comparison_shares_one_colour_bar():
    figure = comparison([("mixture", sine(440)), ("error", sine(880))], RATE)
    assert len(figure.axes) == 3
    assert [axes.images[0].get_clim() for axes in figure.axes[:2]] == [(FLOOR, 0)] * 2


def test_long_signals_count_minutes():
    axes = spectrogram(torch.zeros(RATE * 150), RATE).axes[0]
    assert axes.get_xlabel() == "time / min:s"
    assert axes.xaxis.get_major_formatter()(90, 0) == "1:30"


def history():
    return [
        {
            "epoch": n,
            "train_loss": 1 / n,
            "valid_loss": 1 / n + 0.1 * (n == 3),
            "lr": 1e-3,
            "si_sdr_improvement": {"vocals": float(n), "drums": None if n == 1 else 2.0},
        }
        for n in (1, 2, 3)
    ]


def test_training_curves_show_losses_targets_and_learning_rate():
    figure = training_curves(history(), title="run")
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["loss", "SI-SDR improvement / dB", "learning rate"]
    losses, improvement, _ = figure.axes
    assert [line.get_label() for line in losses.lines] == ["training", "validation", "best: epoch 3"]
    assert list(improvement.lines[1].get_xdata()) == [2, 3]
    assert figure.axes[-1].get_xlabel() == "epoch"


@pytest.mark.parametrize(
    "rates", [(1e-3, 1e-3, 1e-3), (1e-3, 1.0000001e-3, 1e-3), (1e-3, 1e-4, 1e-5), (2.0,)]
)
def test_the_learning_rate_is_drawn_from_zero(rates):
    axes = training_curves([{"train_loss": 1.0, "lr": rate} for rate in rates]).axes[-1]
    assert axes.get_ylabel() == "learning rate"
    bottom, top = axes.get_ylim()
    assert bottom == 0
    assert 1.05 * max(rates) < top < 1.5 * max(rates)


def test_training_curves_of_one_epoch_and_of_losses_alone():
    assert len(training_curves([{"train_loss": 1.0}]).axes) == 1
    with pytest.raises(UsageError, match="no epoch"):
        training_curves([])


def test_training_curves_leave_out_targets_that_were_never_heard():
    silent = [record | {"si_sdr_improvement": {"vocals": None, "drums": None}} for record in history()]
    assert [axes.get_ylabel() for axes in training_curves(silent).axes] == ["loss", "learning rate"]
    silent[0]["si_sdr_improvement"] = {"vocals": None, "drums": 1.0}
    assert [line.get_label() for line in training_curves(silent).axes[1].lines] == ["drums"]


def test_score_boxes_leave_out_what_has_no_score():
    figure = score_boxes({"a": {"vocals": [1.0, 2.0, float("nan")]}, "b": {"vocals": [], "bass": [0.0]}})
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["vocals", "bass"]
    assert sum(line.get_marker() == "." for line in axes.lines) == 2


def test_scores_over_time_have_gaps_and_no_infinity():
    axes = scores_over_time({"vocals": [1.0, float("nan"), float("inf"), 2.0]}).axes[0]
    assert np.isnan(axes.lines[0].get_ydata()).tolist() == [False, True, True, False]
    assert list(axes.lines[0].get_xdata()) == [0.5, 1.5, 2.5, 3.5]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_figures_are_saved_whole_in_the_format_of_their_name(tmp_path, suffix):
    save_figure(waveform(sine(50), RATE), tmp_path / f"a{suffix}")
    start = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert (tmp_path / f"a{suffix}").read_bytes().startswith(start)
    assert len(list(tmp_path.iterdir())) == 1


def test_an_unknown_format_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"\.bmp"):
        save_figure(new_figure(1, 1), tmp_path / "a.bmp")


def test_titles_hold_any_script_and_dollar_signs():
    figure = waveform(sine(50), RATE, title="A$AP $\\frac{ 歌 $ _x_")
    assert to_image(figure).shape[2] == 3
    assert figure.axes[0].get_title(loc="left") == "A$AP $\\frac{ 歌 $ _x_"


@pytest.mark.parametrize("shape", [(0,), (2, 0), (2, 2, 2)])
def test_shapes_that_are_no_signal_are_refused(shape):
    for draw in (waveform, spectrogram, mel_spectrogram):
        with pytest.raises(UsageError, match=r"expected \[channels, samples\]"):
            draw(torch.zeros(shape), RATE)


def test_figures_are_drawn_in_threads_and_without_the_global_state_of_pyplot():
    pictures = []

    def draw():
        pictures.append(to_image(spectrogram(sine(440), RATE)))

    threads = [threading.Thread(target=draw) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pictures) == 3
    code = "import sys, auralflow.visualizer; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def songs(tmp_path):
    for name, level in (("vocals", 0.3), ("mixture", 0.6)):
        soundfile.write(tmp_path / f"{name}.wav", (level * sine(440)).numpy(), RATE, subtype="FLOAT")
    return tmp_path


def test_files_are_drawn_beside_themselves_or_to_a_folder(songs):
    assert list(plot_files([songs / "vocals.wav"])) == [songs / "vocals.spectrogram.png"]
    written = list(plot_files([songs / "vocals.wav"], kind="mel", save=songs / "p", picture="svg"))
    assert written == [songs / "p" / "vocals.mel.svg"]
    assert written[0].exists()


def test_files_of_one_name_get_pictures_of_their_own(songs):
    (songs / "b").mkdir()
    (songs / "vocals.wav").rename(songs / "b" / "mixture.wav")
    files = [songs / "mixture.wav", songs / "b" / "mixture.wav"]
    written = list(plot_files(files, kind="waveform", save=songs / "p"))
    assert [path.name for path in written] == ["mixture.waveform.png", "mixture.waveform (2).png"]


def test_masks_and_differences_take_two_files_alike(songs):
    pair = [songs / "vocals.wav", songs / "mixture.wav"]
    assert [path.name for path in plot_files(pair, kind="mask")] == ["vocals.mask.png"]
    assert [path.name for path in plot_files(pair, kind="difference")] == ["vocals.difference.png"]
    with pytest.raises(UsageError, match="found 1 files, expected two: the stem, then its mixture"):
        list(plot_files(pair[:1], kind="mask"))


def test_a_model_folder_is_drawn_as_its_training(songs):
    (songs / "summary.json").write_text(
        '{"epochs": [{"epoch": 1, "train_loss": 1.0, "valid_loss": 1.0}]}', encoding="utf-8"
    )
    assert list(plot_files([songs])) == [songs / f"{songs.name}.training.png"]
    assert list(plot_files([songs], save=songs / "p")) == [songs / "p" / f"{songs.name}.training.png"]
    assert read_history(songs)[0]["epoch"] == 1


def test_missing_files_and_empty_parts_are_refused_by_name(songs):
    with pytest.raises(NotFoundError, match=r"gone\.wav"):
        list(plot_files([songs / "gone.wav"]))
    with pytest.raises(UsageError, match="after 5 s"):
        list(plot_files([songs / "vocals.wav"], start=5.0))


def test_a_folder_without_a_training_says_what_it_lacks(songs):
    with pytest.raises(NotFoundError, match=r"cannot plot the folder .* of a trained model"):
        list(plot_files([songs]))
    (songs / "model.json").write_text("{}", encoding="utf-8")
    with pytest.raises(NotFoundError, match=r"has no record of a training: .*summary\.json.* Train it first"):
        list(plot_files([songs]))


def test_plot_takes_its_options_from_the_command_line(songs, capsys):
    options = ["--kind", "waveform", "-o", str(songs / "p"), "--picture", "svg", "--duration", "0.5"]
    assert main(["plot", str(songs / "vocals.wav"), str(songs / "mixture.wav"), *options]) == 0
    assert capsys.readouterr().out.count("wrote ") == 2
    assert sorted(path.name for path in (songs / "p").iterdir()) == [
        "mixture.waveform.svg",
        "vocals.waveform.svg",
    ]
    assert main(["plot"]) == 2
    assert main(["plot", str(songs / "gone.wav")]) == 2


def test_start_duration_and_length_of_the_transform_are_what_is_drawn(songs, monkeypatch):
    drawn = []
    monkeypatch.setattr(files, "save_figure", lambda figure, _: drawn.append(figure))
    list(plot_files([songs / "vocals.wav"], start=0.25, duration=0.5, num_fft=256))
    assert drawn[0].axes[0].get_xlim() == (0.25, 0.75)
    assert image(drawn[0]).get_array().shape[0] == 129
