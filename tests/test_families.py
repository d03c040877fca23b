"""The door to every net: a family is a folder and a line, and nothing else asks which one it is."""

import ast
import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from conftest import write_track
from test_chunking import POLICIES

import auralflow
from auralflow.config import SOURCES, StemConfig, TrainConfig
from auralflow.errors import ModelError, SettingsError, TrainingError
from auralflow.evaluation import ModelSystem, compare
from auralflow.losses import create_criterion
from auralflow.models import create_model_folder, load
from auralflow.nets.door import Estimate, SeparationModel, Traits
from auralflow.nets.families import FAMILIES, all_nets, create_model, find_family, parse_model_config
from auralflow.nets.unet import NETS, RecurrentNetConfig, SpectrogramNetConfig
from auralflow.separation import Separator, separate_file
from auralflow.separation.records import FileMark
from auralflow.separation.work import Worker, fingerprint
from auralflow.trainer import Trainer, train
from auralflow.trainer.objective import compute_loss
from auralflow.transforms import STFT

PACKAGE = Path(auralflow.__file__).parent

TOY = {
    "__init__.py": '''
        """The simplest family there is."""

        from auralflow.nets.families import Family, Net
        from toy_nets.config import ToyConfig

        FAMILY = Family(
            name="toy",
            title="One gain for each target",
            nets=(Net("Toy", ToyConfig, "a gain"),),
            model="toy_nets.model:ToyModel",
        )
    ''',
    "config.py": """
        from typing import Literal

        from auralflow.config import ModelConfig


        class ToyConfig(ModelConfig):
            family: Literal["toy"] = "toy"
            net: Literal["Toy"] = "Toy"
            overlap: float = 0.5
            start: float = 0.5
    """,
    "model.py": """
        import torch

        from auralflow.nets.door import Estimate, SeparationModel
        from auralflow.transforms import STFT


        class ToyModel(SeparationModel):
            def __init__(self, config):
                super().__init__()
                self.config = config
                self.transform = STFT(256)
                self.gains = torch.nn.Parameter(torch.full((len(config.targets), 1, 1), config.start))

            def forward(self, mixture):
                return Estimate(mixture, self.transform, audio=self.gains * mixture.unsqueeze(1))
    """,
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A family in a folder of its own, and its line in the table."""
    folder = tmp_path / "packages" / "toy_nets"
    folder.mkdir(parents=True)
    for name, text in TOY.items():
        (folder / name).write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.setitem(FAMILIES, "toy", "toy_nets:FAMILY")
    yield find_family("toy").settings("Toy")
    for module in [name for name in sys.modules if name.partition(".")[0] == "toy_nets"]:
        del sys.modules[module]


def test_a_family_of_one_folder_and_one_line_is_trained_saved_loaded_used_and_scored(toy, tmp_path):
    for subset in ("train", "valid", "test"):
        write_track(tmp_path / "data" / subset / "song", channels=1)
    config = toy(targets=SOURCES, sample_rate=8000, sample_length=0.5)
    create_model_folder(tmp_path / "model", config)
    stored = json.loads((tmp_path / "model" / "model.json").read_text())
    assert (stored["family"], stored["net"], stored["overlap"]) == ("toy", "Toy", 0.5)

    settings = TrainConfig(max_epochs=2, max_samples=8, batch_size=4, lr=0.01, criterion="l1", num_workers=0)
    train(tmp_path / "model", tmp_path / "data", settings)
    model = load(tmp_path / "model")
    assert model.config == config
    assert (model.gains != 0.5).all()

    audio = np.random.default_rng(0).standard_normal((2, 30001)).astype(np.float32) / 10
    separator = Separator(model, targets="bass,vocals")
    expected = model.gains.detach().numpy()[[2, 0]] * audio
    np.testing.assert_allclose(separator.separate(audio), expected, atol=1e-6)
    report = compare([ModelSystem(Separator(model), "toy")], tmp_path / "data")
    assert not report.failed


@pytest.mark.parametrize(
    "changes",
    [{"wiener": 1}, {"consistent": True}, {"phase": "griffin_lim"}, {"wiener": 2, "consistent": True}],
)
def test_filters_work_on_a_family_without_masks(toy, changes):
    model = create_model(toy(targets=("vocals", "drums"), sample_rate=8000, sample_length=0.5, start=0.5))
    audio = np.random.default_rng(1).standard_normal((1, 9000)).astype(np.float32) / 10
    # Two halves are all of the mixture: every filter leaves them as they are.
    found = Separator(model, **changes).separate(audio)
    np.testing.assert_allclose(found, np.stack([audio / 2] * 2), atol=2e-3)


def test_a_criterion_on_magnitudes_serves_a_family_without_masks_and_one_on_masks_is_refused(toy):
    model = create_model(toy(targets=("vocals", "drums"), sample_rate=8000, sample_length=0.5))
    targets = torch.randn(2, 2, 1, 4000)
    batch = [(targets.sum(1), targets)]
    for criterion in ("l1", "l2", "rmse", "complex_l1", "snr", "si_sdr"):
        state = Trainer(model, TrainConfig(criterion=criterion, max_epochs=1)).fit(batch, batch)
        assert np.isfinite(state.history[0].valid_loss)
    for criterion in ("mask", "component"):
        with pytest.raises(SettingsError, match="needs a net that estimates masks: found Toy"):
            Trainer(model, TrainConfig(criterion=criterion))


def test_magnitudes_of_estimated_audio_give_the_loss_that_a_mask_would(toy):
    transform = STFT(256)
    mixture, targets = torch.randn(1, 1, 4000), torch.randn(1, 2, 1, 4000)
    spectrogram = transform(mixture)
    mask = torch.full((1, 2, 1, *spectrogram.shape[-2:]), 0.25)
    masked = Estimate(mixture, transform, mask=mask)
    heard = Estimate(mixture, transform, spectrogram=masked.spectrogram)
    for name in ("l1", "l2", "rmse"):
        criterion = create_criterion(name)
        torch.testing.assert_close(
            compute_loss(criterion, heard, targets), compute_loss(criterion, masked, targets)
        )


def test_a_model_that_cannot_be_trained_says_so(toy):
    model = create_model(toy())
    model.traits = Traits(trainable=False)
    with pytest.raises(TrainingError, match="a Toy cannot be trained"):
        Trainer(model)


def test_weights_of_another_family_are_no_start(toy):
    with pytest.raises(ModelError, match="cannot start from the weights of another family: found Toy"):
        create_model(SpectrogramNetConfig(num_hidden_channels=1)).start_from(create_model(toy()))
    with pytest.raises(ModelError, match="without any matching tensor"):
        create_model(toy()).start_from(create_model(SpectrogramNetConfig(num_hidden_channels=1)))


def test_the_model_json_of_a_u_net_is_what_it_was_before_there_were_families(tmp_path):
    """Byte by byte: hashes of it are in journals and checkpoints."""
    create_model_folder(tmp_path, SpectrogramNetConfig(targets=SOURCES, num_channels=2))
    assert (tmp_path / "model.json").read_text() == textwrap.dedent(
        """\
        {
          "format_version": 1,
          "net": "SpectrogramNetSimple",
          "targets": [
            "vocals",
            "drums",
            "bass",
            "other"
          ],
          "num_channels": 2,
          "num_hidden_channels": 16,
          "sample_length": 3.0,
          "sample_rate": 44100,
          "dropout_p": 0.4,
          "leak_factor": 0.0,
          "normalize_input": false,
          "normalize_output": false,
          "mask_act_fn": "sigmoid",
          "num_fft": 1024,
          "window_size": 1024,
          "hop_length": 512
        }
        """
    )


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"family": "unett", "net": "Toy"}, r"unknown family of nets 'unett' \(did you mean 'unet'\?\)"),
        ({"net": "SpectrogramNet"}, "unknown net 'SpectrogramNet'"),
        ({}, "model.json: net is missing"),
        ({"family": "unet", "net": NETS[0], "num_ftt": 3}, "Did you mean 'num_fft'"),
    ],
)
def test_settings_of_no_family_are_one_line(values, complaint):
    with pytest.raises(SettingsError, match=complaint):
        parse_model_config(values, source="model.json")


def test_every_net_has_a_name_of_its_own_and_a_family_that_makes_it():
    names = [net.name for _, net in all_nets()]
    assert len(set(names)) == len(names)
    for family, net in all_nets():
        config = net.settings(net=net.name, **net.presets)
        assert config.family == family.name
        with torch.device("meta"):
            model = create_model(config)
        assert isinstance(model, SeparationModel)
        assert model.config is config


def test_knowing_the_families_loads_no_torch():
    script = "import sys; from auralflow.models import installed_registry as find; find().cards(); "
    script += "print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_nothing_beyond_the_door_names_a_family():
    """No import of a family's module outside it, and no question after a net's class."""
    families = {path.parent.name for path in (PACKAGE / "nets").glob("*/__init__.py")}
    allowed = {PACKAGE / "diagnosis" / "calibration.py"}
    for path in sorted(PACKAGE.rglob("*.py")):
        if PACKAGE / "nets" in path.parents or path in allowed or PACKAGE / "cli" in path.parents:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("auralflow.nets."):
                assert node.module.split(".")[2] not in families, f"{path}: {node.module}"
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
                asked = ast.unparse(node.args[1])
                assert not any(word in asked for word in ("Net", "MaskModel")), f"{path}: {ast.unparse(node)}"


def test_a_song_through_the_toy_family_keeps_rate_channels_and_length(toy, tmp_path):
    model = create_model(toy(targets=("vocals",), sample_rate=16000, sample_length=0.25))
    soundfile.write(tmp_path / "song.wav", np.zeros((12345, 2)), 22050)
    assert Separator(model).separate(tmp_path / "song.wav").shape == (1, 2, 12345)


class Levelled(SeparationModel):
    """What it returns depends on the level of the song."""

    traits = Traits(standardized=True)

    def __init__(self, **settings) -> None:
        super().__init__()
        self.config = SpectrogramNetConfig(sample_rate=8000, sample_length=0.5, **settings)
        self.transform = STFT(256)

    def forward(self, mixture):
        targets = [mixture.tanh(), mixture - mixture.tanh()][: len(self.config.targets)]
        return Estimate(mixture, self.transform, audio=torch.stack(targets, dim=1))


def song(frames=30000, channels=2):
    """Quiet at first, then loud, and not around zero."""
    generator = np.random.default_rng(2)
    swell = np.linspace(0.01, 0.3, frames)
    return (0.05 + swell * generator.standard_normal((channels, frames))).astype(np.float32)


def test_a_net_that_wants_a_whole_songs_level_gets_it_of_samples_and_files(tmp_path):
    audio = song()
    soundfile.write(tmp_path / "song.wav", audio.T, 8000, subtype="FLOAT")
    mono = audio.mean(0).astype(np.float64)
    mean, deviation = mono.mean(), mono.std(ddof=1) + 1e-8
    expected = np.tanh((audio - mean) / deviation) * deviation + mean
    separator = Separator(Levelled())
    for source in (audio, tmp_path / "song.wav"):
        np.testing.assert_allclose(separator.separate(source, 8000)[0], expected, atol=2e-6)
    separate_file(separator, tmp_path / "song.wav", tmp_path / "stems", clip="float", subtype="FLOAT")
    written, _ = soundfile.read(tmp_path / "stems" / "vocals.wav", dtype="float32")
    np.testing.assert_allclose(written.T, expected, atol=2e-6)


def test_a_stream_uses_the_level_of_what_was_read_whatever_its_blocks_and_says_so_once(caplog):
    audio = song(20000)
    separator = Separator(Levelled(targets=("vocals", "other")), consistent=True)
    results = []
    for size in (20000, 777, 1):
        blocks = (audio[:, start : start + size] for start in range(0, 20000, size))
        parts = [block.targets for block in separator.stream(blocks, 8000, 2)]
        results.append(np.concatenate(parts, axis=-1))
    assert caplog.text.count("needs the level of the entire song") == 1
    for result in results:
        assert np.array_equal(result, results[0])
        np.testing.assert_allclose(result.sum(0), audio, atol=1e-6)


def test_silence_has_a_level_too():
    silence = np.zeros((1, 9000), dtype=np.float32)
    assert np.abs(Separator(Levelled()).separate(silence)).max() < 1e-6
    assert Separator(Levelled()).separate(silence[:, :1]).shape == (1, 1, 1)


def test_the_journal_knows_what_was_separated_before_there_were_families(tmp_path):
    """Hashes that were recorded with the code of that time: what they stand for is not separated again."""
    settings = {"net": "SpectrogramNetVAE", "targets": ("vocals", "drums"), "num_hidden_channels": 1}
    config = RecurrentNetConfig(hidden_size=4, sample_rate=8000, sample_length=0.5, **settings)
    model = create_model(config)
    for tensor in model.state_dict().values():
        tensor.fill_(1)
    assert fingerprint(model) == "c7794ccd513dbccb16b43761b160064103393d6691acaf9d08d29db38cf44d4a"
    mark = FileMark(
        sha256="0" * 64, **{name: 1 for name in FileMark.__dataclass_fields__ if name != "sha256"}
    )
    changed = Separator(model, overlap=0.5, wiener=1, targets=("drums",))
    keys = [Worker(separator, tmp_path, StemConfig()).key(mark) for separator in (Separator(model), changed)]
    assert keys == [
        "08efedba346e5422b35a5313bd991c8256ec856e18d3e5bff479c86437d1aed3",
        "0dbefd75610c503c1d85d45fae59701fc7d9cb80fa31ab17f7be4d0e112f8545",
    ]


class Halves(SeparationModel):
    """About half of the mixture for each of two targets, dealt out as a published model is.

    With a slope, the half differs from one end of a chunk to the other.
    """

    def __init__(self, chunking, slope=0.0) -> None:
        super().__init__()
        self.slope = slope
        self.config = SpectrogramNetConfig(
            targets=("vocals", "other"), num_channels=2, sample_rate=8000, sample_length=0.5
        )
        self.transform = STFT(256)
        self.chosen = chunking

    def chunking(self, *, length=None, overlap=None):
        return self.chosen

    def forward(self, mixture):
        first = mixture * torch.linspace(0.5 - self.slope, 0.5 + self.slope, mixture.shape[-1])
        return Estimate(mixture, self.transform, audio=torch.stack((first, mixture - first), dim=1))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("channels", "rate"), [(1, 8000), (2, 8000), (3, 11025)])
def test_however_songs_are_dealt_out_the_engine_keeps_its_promises(policy, channels, rate):
    separator = Separator(Halves(POLICIES[policy]), consistent=True, shifts=2)
    for frames in (1, 2, 39, 41, 333):
        audio = song(frames, channels)
        found = separator.separate(audio, rate)
        assert found.shape == (2, channels, frames)
        np.testing.assert_allclose(found.sum(0), audio, atol=1e-6)
        if rate == 8000:
            np.testing.assert_allclose(found[0], audio / 2, atol=1e-5)


@pytest.mark.parametrize("policy", POLICIES)
def test_our_own_fades_in_place_of_the_published_window(policy):
    published = POLICIES[policy]
    model, audio = Halves(published, slope=0.2), song(1000)
    found = Separator(model, window="cross_fade")
    expected = Separator(Halves(published.cross_faded(), slope=0.2))
    np.testing.assert_array_equal(found.separate(audio, 8000), expected.separate(audio, 8000))
    usual = Separator(model)
    if published == published.cross_faded():
        # One thing to the journal, too.
        assert found.identity == usual.identity
    else:
        differs = np.abs(found.separate(audio, 8000) - usual.separate(audio, 8000)).max() > 1e-4
        assert differs == (published.step < published.length), "without overlap nothing is faded"
        assert found.identity == usual.identity | {"window": "cross_fade"}
    assert "window" not in usual.identity
