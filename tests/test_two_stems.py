"""Two stems: a target and the rest of the song, which sum to the original; the words that lead there."""

import numpy as np
import pytest
from separating import RATE, noise, small_model, small_model_folder, write_song

from auralflow.audio import read_audio
from auralflow.cli import main
from auralflow.errors import NotFoundError, SettingsError
from auralflow.separation import Separator, separate_file

BITS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}


def of_targets(*targets):
    return small_model(targets=targets)


def written(folder, report):
    return [read_audio(folder / name, dtype="float64")[0] for name in report.files]


@pytest.mark.parametrize("subtype", [*BITS, "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("known", [("vocals", "drums"), ("instrumental",)])
def test_vocals_and_instrumental_sum_to_the_original_to_the_last_bit(tmp_path, subtype, known):
    audio = np.clip(noise(2, 3001, level=0.6), -1, 0.99)
    song = write_song(tmp_path / "a.wav", audio, 11025, subtype)
    report = separate_file(Separator(of_targets(*known), two_stems="vocals"), song, tmp_path)
    assert report.files == ("original.wav", "vocals.wav", "instrumental.wav")
    original, vocals, instrumental = written(tmp_path, report)
    if subtype in BITS:
        np.testing.assert_array_equal(vocals + instrumental, original)
    else:
        # The rest is the difference, rounded once.
        kind = np.float32 if subtype == "FLOAT" else np.float64
        np.testing.assert_array_equal(instrumental, (original - vocals).astype(kind))
    assert np.abs(vocals).max() > 0.1


@pytest.mark.parametrize(
    ("wanted", "known", "names"),
    [
        ("vocals", ("vocals", "drums"), ("vocals", "instrumental")),
        ("drums", ("vocals", "drums"), ("drums", "no_drums")),
        ("vocals", ("vocals", "instrumental"), ("vocals", "instrumental")),
        ("vocals", ("accompaniment",), ("vocals", "accompaniment")),
        ("instrumental", ("instrumental",), ("instrumental", "vocals")),
        ("instrumental", ("vocals", "drums"), ("instrumental", "vocals")),
    ],
)
def test_the_stem_that_was_asked_for_is_estimated_or_what_is_left_of_its_counterpart(wanted, known, names):
    audio = noise()
    separator = Separator(of_targets(*known), two_stems=wanted)
    assert separator.targets == names
    stems = dict(zip(names, separator.separate(audio, RATE), strict=True))
    (computed,) = separator.run.targets
    whole = Separator(of_targets(*known), targets=computed).separate(audio, RATE)[0]
    np.testing.assert_array_equal(stems.pop(computed), whole)
    (rest,) = stems.values()
    np.testing.assert_array_equal(rest, (audio - whole.astype(np.float64)).astype(np.float32))


@pytest.mark.parametrize("settings", [{"consistent": True}, {"wiener": 1}, {"shifts": 2}])
def test_the_target_is_the_one_that_it_is_among_all(settings):
    audio, model = noise(), small_model()
    alone = Separator(model, two_stems="vocals", **settings).separate(audio, RATE)[0]
    among = Separator(model, **settings).separate(audio, RATE)[0]
    np.testing.assert_allclose(alone, among, atol=1e-6)


def test_only_the_net_of_the_target_runs(monkeypatch):
    model = small_model()
    asked = []
    monkeypatch.setattr(
        type(model), "restricted", lambda self, targets: asked.append(targets) or self, raising=True
    )
    Separator(model, two_stems="drums")
    assert asked == [("drums",)]


def test_what_cannot_be_is_refused():
    with pytest.raises(NotFoundError, match=r"no target 'vocals': expected speech, drums"):
        Separator(of_targets("speech", "drums"), two_stems="vocals")
    with pytest.raises(SettingsError, match="exclude each other"):
        Separator(small_model(), two_stems="vocals", targets="drums")


def test_journals_from_before_there_were_two_stems_stay_valid():
    plain = Separator(small_model()).settings
    assert "two_stems" not in plain.identity()
    assert Separator(small_model(), two_stems="vocals").settings.identity()["two_stems"] == "vocals"


def test_the_command_writes_them_and_keeps_them_apart_from_other_runs(capsys, tmp_path):
    model, song = small_model_folder(tmp_path / "model"), write_song(tmp_path / "a.wav")
    words = ["separate", str(model), str(song), "--save", str(tmp_path)]
    assert main([*words, "--instrumental"]) == 0
    folder = tmp_path / "separated_audio/a"
    files = {path.name for path in folder.iterdir()}
    assert files == {"original.wav", "vocals.wav", "instrumental.wav"}
    assert main([*words, "--two-stems", "vocals"]) == 0
    assert "kept from an earlier run" in capsys.readouterr().out
    assert main([*words, "--two-stems", "drums"]) == 0
    assert (folder / "no_drums.wav").is_file()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--instrumental --targets drums", "vocals and instrumental only"),
        ("--instrumental --two-stems drums", "vocals and instrumental only"),
        ("--instrumental --residual", "--residual would be silent"),
        ("--two-stems vocals --residual", "--residual would be silent"),
        ("--two-stems vocals --targets drums", "exclude each other"),
        ("--karaoke", "--instrumental"),
        ("--instrumental-only", "--instrumental"),
        ("--acapella", "--instrumental"),
        ("--acappella=yes", "--instrumental"),
        ("--model htdemucs", "first argument"),
        ("--mp3", "--format mp3"),
    ],
)
def test_what_does_not_go_together_or_is_called_otherwise_is_one_line(capsys, tmp_path, options, complaint):
    assert main(["separate", str(write_song(tmp_path / "a.wav")), *options.split()]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert complaint in line


def test_help_has_the_words_that_people_look_for(capsys):
    assert main(["separate", "--help"]) == 0
    page = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert all(
        word in page for word in ("karaoke", "a cappella", "acapella", "--instrumental", "--two-stems")
    )
