"""Making ensembles: whose members are copied or referred to, and weights that are typed or fitted."""

import io
import json
import re
import shlex
import shutil

import numpy as np
import pytest
import soundfile
import torch
from conftest import write_track
from separating import small_config

from auralflow.cli import main
from auralflow.config import ModelConfig
from auralflow.errors import ModelError, NotFoundError, UsageError
from auralflow.evaluation import fit_weights
from auralflow.evaluation.fitting import best_weights
from auralflow.models import create_model_folder, load, save_weights
from auralflow.models.ensemble_weights import parse_weights
from auralflow.models.ensembles import draft_ensemble
from auralflow.models.folder import read_weights
from auralflow.nets.door import Ensemble, Estimate, SeparationModel
from auralflow.nets.families import create_model
from auralflow.separation import Separator
from auralflow.transforms import STFT

RATE = 8000


def song(frames=9000, channels=2):
    return np.random.default_rng(0).standard_normal((channels, frames)).astype(np.float32) / 10


def make(folder, seed, *, half=False, **settings):
    torch.manual_seed(seed)
    config = small_config(**settings)
    create_model_folder(folder, config)
    weights = create_model(config).state_dict()
    if half:
        weights = {name: w.half() if w.is_floating_point() else w for name, w in weights.items()}
    save_weights(weights, folder / "model.safetensors")
    return folder


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Three models in the folder that commands run in; the last one has vocals only, at another rate."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "a", 0)
    make(tmp_path / "b", 1, half=True)
    make(tmp_path / "c", 2, targets=("vocals",), sample_rate=4000)
    return tmp_path


def alone(folder, **settings):
    return Separator(load(folder), **settings).separate(song(), RATE)


def run(*words):
    return main(["ensemble", *map(str, words)])


def test_an_ensemble_is_a_model_folder_that_stands_by_itself(models, capsys):
    assert run("a", "b", "c", "--save", "abc", "--weights", "1,1,1", "--weights", "vocals=2,1,1") == 0
    printed = capsys.readouterr().out
    assert "wrote abc: mean of 3 models" in printed
    assert "a: vocals 2, drums 1" in printed
    expected = np.stack(
        (
            (2 * alone("a")[0] + alone("b")[0] + alone("c")[0]) / 4,
            (alone("a")[1] + alone("b")[1]) / 2,
        )
    )
    for name in "abc":
        shutil.rmtree(name)
    assert sorted(path.name for path in (models / "abc").iterdir()) == [
        "card.json",
        "model.json",
        "model.safetensors",
    ]
    np.testing.assert_allclose(alone("abc"), expected, atol=1e-6)
    # Weights stay in the precision that they came in.
    stored = read_weights(models / "abc/model.safetensors")
    for part, kind in (("models.0.", torch.float32), ("models.1.", torch.float16)):
        assert {w.dtype for name, w in stored.items() if name.startswith(part) and w.ndim} == {kind}
    card = json.loads((models / "abc/card.json").read_text())
    assert [member["name"] for member in card["members"]] == ["a", "b", "c"]


def test_a_folder_of_songs_is_separated_and_resumed_as_with_any_model(models, capsys):
    run("a", "c", "--save", "ac")
    soundfile.write("song.wav", song().T, RATE, subtype="FLOAT")
    command = ["separate", "ac", "song.wav", "--save", "out", "--residual"]
    assert main(command) == 0
    stems = {path.name for path in (models / "out/separated_audio/song").iterdir()}
    assert stems == {"original.wav", "vocals.wav", "drums.wav", "residual.wav"}
    written, _ = soundfile.read(models / "out/separated_audio/song/vocals.wav", dtype="float32")
    np.testing.assert_allclose(written.T, alone("ac")[0], atol=1e-6)
    before = (models / "out/separated_audio/song/vocals.wav").stat().st_mtime_ns
    capsys.readouterr()
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["songs"][0]["status"] == "kept"
    assert (models / "out/separated_audio/song/vocals.wav").stat().st_mtime_ns == before


def test_an_ensemble_may_refer_to_its_members_whose_weights_must_stay_what_they_are(models):
    assert run("a", "b", "--save", "copied") == 0
    assert run("a", "b", "--save", "linked", "--link") == 0
    assert not (models / "linked/model.safetensors").exists()
    np.testing.assert_array_equal(alone("linked"), alone("copied"))
    # Of an ensemble that holds its weights, too; and what it refers to is referred to again.
    assert run("copied", "c", "--save", "parts", "--link") == 0
    assert run("linked", "c", "--save", "again") == 0
    np.testing.assert_array_equal(alone("parts"), alone("again"))

    (models / "a").rename("gone")
    with pytest.raises(
        ModelError, match="a member of the ensemble 'linked' is missing: found no weights of "
    ):
        load("linked")
    make(models / "a", 7)
    with pytest.raises(ModelError, match="a member of the ensemble 'linked' has changed") as caught:
        load("linked")
    assert "\n" not in str(caught.value)
    assert alone("copied").shape == (2, 2, 9000)


def test_pretrained_models_are_members_by_name(models):
    drafted = draft_ensemble(["SpectrogramNetSimple", "a"], targets=("vocals",))
    assert drafted.names == ("SpectrogramNetSimple", "a")
    assert drafted.parts[0].origin.licence.terms == "permissive"
    drafted.write("named", link=True)
    assert json.loads((models / "named/model.json").read_text())["members"][0]["link"]["model"] == (
        "SpectrogramNetSimple"
    )
    assert load("named").targets == ("vocals",)


def test_an_ensemble_of_an_ensemble_takes_it_apart_and_counts_it_as_one(models):
    run("a", "b", "--save", "ab", "--weights", "3,1")
    run("ab", "c", "--save", "abc")
    inner = (3 * alone("a")[0] + alone("b")[0]) / 4
    np.testing.assert_allclose(alone("abc")[0], (inner + alone("c")[0]) / 2, atol=1e-6)
    assert len(load("abc").ensemble.members) == 3
    # Members keep the names that they had.
    assert draft_ensemble(["abc", "ab"], targets=("vocals",)).names == ("a", "b", "c", "a", "b")
    # Alone, it is made again.
    run("ab", "--save", "ba", "--weights", "vocals=0,1", "--targets", "vocals")
    np.testing.assert_allclose(alone("ba")[0], alone("b")[0], atol=1e-6)
    # And keeps its method, unless another one is asked for.
    run("a", "b", "c", "--save", "middle", "--method", "median")
    assert draft_ensemble(["middle"], weights={"": (2, 1, 1)}).method == "median"
    assert draft_ensemble(["middle"], method="mean").method == "mean"
    with pytest.raises(
        UsageError, match="the members of ab, an ensemble itself, cannot be merged into this one"
    ):
        draft_ensemble(["ab", "c"], method="median")


@pytest.mark.parametrize(("word", "method"), [("avg_wave", "mean"), ("max-fft", "max_magnitude")])
def test_methods_may_be_called_as_elsewhere(models, word, method):
    assert run("a", "b", "--save", "ab", "--method", word) == 0
    assert json.loads((models / "ab/model.json").read_text())["method"] == method
    assert np.isfinite(alone("ab")).all()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["a"], "an ensemble needs several models: found only 'a'"),
        (["a", "nowhere"], "no model 'nowhere'"),
        (
            ["a", "b", "--targets", "piano"],
            "none of the models has the target 'piano': expected vocals, drums",
        ),
        (["c", "d"], "these models have no target in common: found c: vocals; d: drums"),
        (
            ["a", "b", "--weights", "1,1,1"],
            "weights do not match the models: found 3 weights, expected 2: a, b",
        ),
        (
            ["a", "b", "--weights", "vocals=1"],
            "weights for vocals do not match the models: found 1 weights",
        ),
        (["a", "b", "--weights", "1,x"], "--weights is '1,x': expected a number for each model"),
        (["a", "b", "--weights=1,-1"], "the weights are invalid: found -1, expected 0 or more"),
        (["a", "b", "--weights", "bass=1,1"], "weights for an unknown target 'bass': expected vocals, drums"),
        (["a", "c", "--weights", "drums=1,1"], "c does not estimate drums: found the weight 1, expected 0"),
        (["a", "c", "--weights", "0,1"], "no model contributes to drums: found a weight of 0"),
        (["a", "b", "--method", "avarage"], "--method"),
        (["a", "b", "--method", "median", "--fit", "data"], "--fit needs --method mean"),
        (["a", "b", "--fit", "data"], "data"),
        (["a", "empty"], "has no weights yet"),
    ],
)
def test_what_cannot_be_an_ensemble_is_one_line_and_leaves_nothing(models, capsys, words, complaint):
    make(models / "d", 3, targets=("drums",))
    create_model_folder("empty", small_config())
    assert run(*words, "--save", "new") != 0
    error = capsys.readouterr().err
    assert complaint in error.replace("error: ", "", 1)
    assert len(error.strip().splitlines()) == 1
    assert not (models / "new").exists()


def test_a_model_in_the_way_is_moved_aside_only_with_force(models):
    assert run("a", "b", "--save", "c") != 0
    assert run("a", "b", "--save", "c", "--force") == 0
    assert len(list((models / "c").glob("previous-*"))) == 1


def test_weights_are_read_as_they_are_typed():
    assert parse_weights(["1,2", "vocals = 3, 1"]) == {"": [1, 2], "vocals": [3, 1]}
    with pytest.raises(UsageError, match="was given twice for vocals"):
        parse_weights(["vocals=1", "vocals=2"])


# Weights that are fitted.


class Knowing(SeparationModel):
    """A member that returns samples which it knows beforehand, in their order."""

    def __init__(self, targets, estimates):
        super().__init__()
        self.config = ModelConfig(
            net="Knowing", targets=targets, sample_rate=RATE, sample_length=0.5, num_channels=1, overlap=0
        )
        self.transform = STFT(256)
        self.gain = torch.nn.Parameter(torch.ones(()))
        self.estimates = torch.from_numpy(estimates)
        self.position = [0]

    def forward(self, mixture):
        parts = []
        for _ in mixture:
            start = self.position[0]
            part = self.estimates[:, start : start + mixture.shape[-1]]
            parts.append(torch.nn.functional.pad(part, (0, mixture.shape[-1] - part.shape[-1])).unsqueeze(1))
            self.position[0] += mixture.shape[-1]
        return Estimate(mixture, self.transform, audio=torch.stack(parts))


class Group(SeparationModel):
    def __init__(self, targets, members, weights):
        super().__init__()
        self.config = ModelConfig(net="Group", targets=targets, sample_rate=RATE)
        self.transform = STFT(256)
        self.models = torch.nn.ModuleList(members)
        self.weights = torch.tensor(weights)

    @property
    def ensemble(self):
        def combine(estimates, weights, _):
            return torch.einsum("m...,m->...", estimates, weights / weights.sum())

        return Ensemble(
            members=tuple(self.models), weights=self.weights, method="mean", spectral=False, combine=combine
        )


def test_of_members_that_are_the_truth_and_noise_each_counts_as_little_as_its_noise_is_strong(tmp_path):
    frames, generator = 40000, np.random.default_rng(3)
    truth = 0.1 * generator.standard_normal((2, frames)).astype(np.float32)
    folder = tmp_path / "valid" / "song"
    folder.mkdir(parents=True)
    for name, samples in (("vocals", truth[0]), ("drums", truth[1]), ("mixture", truth.sum(0))):
        soundfile.write(folder / f"{name}.wav", samples, RATE, subtype="FLOAT")
    noise = generator.standard_normal((2, 2, frames)) * np.array([[[0.01], [0.04]], [[0.02], [0.02]]])
    estimates = (truth + noise).astype(np.float32)
    lacking = truth[:1] + np.float32(0.1)
    members = [Knowing(("vocals", "drums"), part) for part in estimates]
    members.append(Knowing(("vocals",), lacking))
    group = Group(("vocals", "drums"), members, [[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    found = {fitted.target: fitted for fitted in fit_weights(Separator(group), tmp_path)}

    errors = [estimates[0, 0] - truth[0], estimates[1, 0] - truth[0], lacking[0] - truth[0]]
    gram = np.array([[float(np.dot(a.astype(float), b.astype(float))) for a in errors] for b in errors])
    optimum = np.linalg.solve(gram, np.ones(3))
    optimum /= optimum.sum()
    np.testing.assert_allclose(found["vocals"].weights, optimum, atol=1e-4)
    # Independent noises: in proportion to the inverse of their power.
    np.testing.assert_allclose(found["vocals"].weights[:2], [0.8, 0.2], atol=0.02)
    np.testing.assert_allclose(found["drums"].weights, [0.2, 0.8, 0], atol=0.02)
    equal = np.full(3, 1 / 3)
    gain = 10 * np.log10((equal @ gram @ equal) / (optimum @ gram @ optimum))
    assert found["vocals"].gain_db == pytest.approx(gain, abs=0.01)
    assert found["vocals"].num_tracks == 1


def test_the_best_weights_are_never_negative_and_shared_by_equals():
    # The second error is the first one, louder: unbounded, it would count less than nothing.
    assert best_weights(np.array([[1.0, 1.8], [1.8, 4.0]])).tolist() == [1.0, 0.0]
    np.testing.assert_allclose(best_weights(np.ones((3, 3))), np.full(3, 1 / 3))
    np.testing.assert_allclose(best_weights(np.zeros((2, 2))), [0.5, 0.5])
    generator = np.random.default_rng(0)
    for _ in range(5):
        mixed = generator.standard_normal((3, 3))
        errors = mixed @ mixed.T
        trials = generator.dirichlet(np.ones(3), 3000)
        best = best_weights(errors)
        assert best.min() >= 0
        assert best @ errors @ best <= np.einsum("ti,ij,tj->t", trials, errors, trials).min() + 1e-9


def test_the_command_writes_the_fitted_weights_and_says_what_they_gain(models, capsys):
    write_track(models / "data/valid/one", channels=2)
    assert run("a", "b", "--save", "ab", "--fit", "data") == 0
    printed = capsys.readouterr().out
    assert "vocals: " in printed
    assert re.search(
        r"vocals: weights \S+ and \S+ instead of 0\.5 and 0\.5: \S+ dB less error on 1 track\n", printed
    )
    fitted = {f.target: f.weights for f in fit_weights(Separator(load("ab")), "data")}
    for index, target in enumerate(("vocals", "drums")):
        np.testing.assert_allclose(
            [row[index] for row in load("ab").ensemble.weights if row[index]],
            [weight for weight in fitted[target] if weight],
            atol=1e-5,
        )
    with pytest.raises(UsageError, match="there are no weights to fit: found a single model"):
        fit_weights(Separator(load("a")), "data")
    with pytest.raises(NotFoundError):
        fit_weights(Separator(load("ab")), "nowhere")


# Weights that are fitted by an evaluation.


def constant(folder, levels, **settings):
    """A model folder whose masks are the same everywhere: a number for each target."""
    config = small_config(**settings)
    create_model_folder(folder, config)
    model = create_model(config)
    model.net.head.weight.data.zero_()
    bias = torch.logit(torch.tensor(levels)).repeat_interleave(config.num_channels)
    model.net.head.bias.data.copy_(bias)
    save_weights(model, folder / "model.safetensors")
    return folder


def best_share(folder, target):
    """The share of the mixture that is nearest to a stem, by least squares."""
    stems = {name: soundfile.read(folder / f"{name}.wav")[0].ravel() for name in ("vocals", "drums")}
    mixture = sum(stems.values())
    return float(stems[target] @ mixture / (mixture @ mixture))


@pytest.fixture
def constants(tmp_path, monkeypatch):
    """An ensemble whose best weights are known, and tracks to fit and to score it on."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(5)
    for subset in ("valid", "test"):
        folder = tmp_path / "data" / subset / "song"
        folder.mkdir(parents=True)
        vocals, drums = (level * generator.standard_normal((16000, 2)) for level in (0.06, 0.1))
        for name, audio in (("vocals", vocals), ("drums", drums), ("mixture", vocals + drums)):
            soundfile.write(folder / f"{name}.wav", audio, RATE, subtype="FLOAT")
    constant(tmp_path / "low", [0.125, 0.5])
    constant(tmp_path / "high", [0.75, 0.875])
    run("low", "high", "--save", "both")
    return tmp_path


def test_an_evaluation_fits_the_weights_and_scores_what_they_gain(constants, capsys):
    command = ["evaluate", "both", "data", "--fit-weights", "--no-bounds", "--save", "scores.json"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    # The mean of two masks is a mask: the weights make it the best one, unless that lies beyond both.
    expected = {}
    for target, (low, high) in {"vocals": (0.125, 0.75), "drums": (0.5, 0.875)}.items():
        share = best_share(constants / "data/valid/song", target)
        assert low < share < high
        expected[target] = [(high - share) / (high - low), (share - low) / (high - low)]
    report = json.loads((constants / "scores.json").read_text())
    for target, weights in expected.items():
        found = report["fitted_weights"]["both"][target]
        np.testing.assert_allclose(found["weights"], weights, atol=1e-4)
        assert found["before"] == [0.5, 0.5]
        assert f"{target}: weights {weights[0]:.3g} and {weights[1]:.3g} instead of " in printed
        assert f": {found['gain_db']:.2f} dB less error on " in printed
    # On songs of the same kind the gain is the same.
    before, after = (report["systems"][name]["tracks"][0]["scores"] for name in ("both", "both, fitted"))
    for target in expected:
        gain = after[target]["sdr"] - before[target]["sdr"]
        assert gain == pytest.approx(report["fitted_weights"]["both"][target]["gain_db"], abs=0.05)
    # What is printed makes an ensemble with these weights.
    lines = printed.splitlines()
    words = shlex.split(lines[lines.index("to keep them:") + 1].replace("FOLDER", "kept"))
    assert main(words[1:]) == 0
    np.testing.assert_allclose(
        load("kept").ensemble.weights.T, [expected["vocals"], expected["drums"]], atol=2e-4
    )


def test_commands_and_paths_are_not_broken_on_a_narrow_terminal(constants, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setattr("sys.stdout", stream := Terminal())
    path = constants / "a folder with a long name"
    assert main(["evaluate", "both", "data", "--fit-weights", "--no-bounds", "--save", str(path)]) == 0
    lines = stream.getvalue().splitlines()
    command = lines[lines.index("to keep them:") + 1]
    assert command.startswith("auralflow ensemble both --weights=vocals=")
    assert command.endswith(" --save FOLDER")
    assert f"wrote {path / 'report.html'}" in lines


def test_only_what_is_asked_for_is_fitted_and_the_report_has_it(constants, capsys):
    run("low", "high", "--save", "parted", "--weights", "vocals=0,1")
    capsys.readouterr()
    command = ["evaluate", "parted", "both", "low", "data", "--fit-weights", "--no-bounds", "--details"]
    assert main([*command, "--targets", "drums", "--subset", "valid", "--save", "report"]) == 0
    printed = capsys.readouterr()
    assert "parted, drums: " in printed.out
    assert "both, drums: " in printed.out
    assert "vocals" not in printed.out
    assert "fitted on the same songs that are scored" in printed.err
    assert printed.out.rstrip().endswith("wrote report/report.html")
    assert "note: open report.html in a browser" in printed.err
    for name in ("report.html", "report.md"):
        assert "both, drums: " in (constants / "report" / name).read_text()
    # A member that counts nothing for a target stays out of it.
    assert main(["evaluate", "parted", "data", "--fit-weights", "--save", "scores.json"]) == 0
    found = json.loads((constants / "scores.json").read_text())["fitted_weights"]["parted"]
    assert found["vocals"]["weights"] == [0, 1]
    assert found["vocals"]["gain_db"] == 0
    assert 0 < found["drums"]["weights"][0] < 1


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["low", "data"], "--fit-weights needs an ensemble: found low"),
        (["median", "data"], "there are no weights to fit: found an ensemble with the method median"),
        (["both", "nowhere"], "nowhere"),
        (["both", "scored"], "has no tracks in valid/"),
        (["data", "--estimates", "data"], "--fit-weights needs an ensemble"),
    ],
)
def test_an_evaluation_that_has_nothing_to_fit_is_one_line(constants, capsys, words, complaint):
    run("low", "high", "--save", "median", "--method", "median")
    shutil.copytree("data/test", "scored/test")
    capsys.readouterr()
    assert main(["evaluate", *words, "--fit-weights", "--save", "scores.json"]) != 0
    error = capsys.readouterr().err
    assert complaint in error
    assert len(error.strip().splitlines()) == 1
    assert not (constants / "scores.json").exists()
