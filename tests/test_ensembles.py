"""Ensembles: each member as it is run alone, in one pass, and what becomes of their estimates."""

import json
import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from parity import checkpoint_of, distance, excite, reference

from auralflow.config import ModelConfig
from auralflow.errors import ModelError, NotFoundError, SettingsError, UsageError
from auralflow.models import import_model, load
from auralflow.nets.bag import EnsembleConfig
from auralflow.nets.bag.methods import SPECTRAL, combine
from auralflow.nets.checkpoint import Checkpoint
from auralflow.nets.door import Chunking, Ensemble, Estimate, SeparationModel, Traits
from auralflow.nets.families import create_model, find_family, load_object, parse_model_config
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.separation import Separator
from auralflow.transforms import STFT

SOURCES = ["drums", "bass", "other", "vocals"]


def song(frames, channels=2, seed=0):
    generator = np.random.default_rng(seed)
    return (0.02 + 0.1 * generator.standard_normal((channels, frames))).astype(np.float32)


# Demucs' own bags.


def bag_of_demucs(weights, segment=None):
    """Random members in Demucs' own bag, and what a reader makes of their files and the YAML beside them."""
    torch.manual_seed(0)
    shapes = [
        (
            "demucs.htdemucs",
            "HTDemucs",
            {"dconv_mode": 3, "bottom_channels": 32, "t_layers": 1, "t_heads": 2},
        ),
        ("demucs.hdemucs", "HDemucs", {}),
        ("demucs.hdemucs", "HDemucs", {"hybrid_old": True}),
    ]
    members, parts = [], []
    for index, (module, kind, extra) in enumerate(shapes[: len(weights)]):
        kwargs = {"sources": SOURCES, "channels": 8, "segment": Fraction(3, 2 - index % 2), **extra}
        members.append(reference(module, kind)(**kwargs).eval())
        excite(members[-1], index)
        name = f"{index}abc-0123456789"
        parts += checkpoint_of(members[-1], name=name, class_name=f"{module}.{kind}", kwargs=kwargs).parts
    bag = reference("demucs.apply", "BagOfModels")(members, weights, segment)
    settings = {"models": [f"{index}abc" for index in range(len(parts))], "weights": weights}
    if segment:
        settings["segment"] = segment
    # In whatever order the files were given.
    return bag, Checkpoint(parts=tuple(reversed(parts)), settings=settings, settings_file="bag.yaml")


def read(checkpoint):
    reader = load_object(find_family("bag").reader)
    assert reader.recognizes(checkpoint)
    conversion = reader.convert(checkpoint)
    model = create_model(conversion.config)
    model.load_state_dict(conversion.weights)
    return model


@pytest.mark.parametrize(
    ("weights", "segment"),
    [([[1, 0.5, 0, 0], [0, 2, 1, 1], [1, 0, 3, 1]], None), ([[1.0] * 4, [1.0, 0, 1, 2]], 2)],
)
def test_a_bag_of_demucs_separates_a_whole_song_as_demucs_does(weights, segment):
    bag, checkpoint = bag_of_demucs(weights, segment)
    model = read(checkpoint)
    mixture = torch.from_numpy(song(140000))
    mono = mixture.mean(0)
    level, spread = mono.mean(), mono.std() + 1e-8
    apply_model = reference("demucs.apply", "apply_model")
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        expected = apply_model(bag, (mixture - level)[None] / spread, shifts=0, overlap=0.25)[0]
    expected = expected * spread + level
    separator = Separator(model)
    # Each member in chunks of its own length.
    lengths = {member.engine.chunking.length for member in separator.members}
    assert len(lengths) == 2
    assert distance(torch.from_numpy(separator.separate(mixture.numpy(), 44100)), expected) < 1e-4


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"models": ["0abc", "gone"]}, "a member of 'bag.yaml' is missing: found .*expected gone"),
        ({"weights": [[1] * 4]}, "'bag.yaml' contradicts itself: found weights for 1 members, expected for"),
        ({"weights": [[1] * 4, [1] * 3]}, "found 3 weights for 1abc, expected 4, one for each source"),
        ({"weights": [[1, 1, 1, 0], [1, 1, 1, 0]]}, "no member has a weight above 0 for vocals"),
    ],
)
def test_a_bag_that_contradicts_itself_is_one_line(change, complaint):
    _, checkpoint = bag_of_demucs([[1.0] * 4] * 2)
    changed = Checkpoint(
        parts=checkpoint.parts, settings=dict(checkpoint.settings) | change, settings_file="bag.yaml"
    )
    with pytest.raises((ModelError, SettingsError), match=complaint):
        load_object(find_family("bag").reader).convert(changed)


# Members of all kinds, side by side.


class Toy(SeparationModel):
    """What it returns depends on the place in its chunk, on the level of the song and on the channel."""

    def __init__(self, targets, rate=8000, seconds=0.5, channels=1, gain=1.0, standardized=False, **chunking):
        super().__init__()
        self.config = ModelConfig(
            net=f"Toy{gain}", targets=targets, sample_rate=rate, sample_length=seconds, num_channels=channels
        )
        self.transform = STFT(256)
        self.traits = Traits(standardized=standardized)
        self.gain = torch.nn.Parameter(torch.tensor(gain))
        self.dealt = chunking
        self.calls = 0

    def chunking(self, *, length=None, overlap=None):
        usual = super().chunking(length=length, overlap=overlap)
        return Chunking(length=usual.length, step=usual.step, **self.dealt)

    def forward(self, mixture):
        self.calls += 1
        curved = (mixture * self.gain).tanh() * torch.linspace(0.5, 1, mixture.shape[-1])
        gains = torch.arange(1, len(self.targets) + 1).reshape(-1, 1, 1) / 4
        return Estimate(mixture, self.transform, audio=gains * curved.unsqueeze(1))


class Group(SeparationModel):
    """An ensemble of models that are already there."""

    def __init__(self, targets, members, weights, method="mean"):
        super().__init__()
        rate = max(member.config.sample_rate for member in members)
        self.config = ModelConfig(net="Group", targets=targets, sample_rate=rate, num_channels=2)
        self.transform = STFT(1024)
        self.models = torch.nn.ModuleList(members)
        self.weights, self.method = torch.tensor(weights), method

    @property
    def ensemble(self):
        return Ensemble(
            members=tuple(self.models),
            weights=self.weights,
            method=self.method,
            spectral=self.method in SPECTRAL,
            combine=combine,
        )


def three(**changes):
    return [
        Toy(("vocals", "drums"), gain=1.0, **changes),
        Toy(
            ("drums", "vocals", "bass"),
            seconds=0.3,
            channels=2,
            gain=2.0,
            standardized=True,
            window="triangle",
        ),
        Toy(("vocals",), rate=4000, seconds=0.7, gain=3.0, standardized=True, context=11),
    ]


TARGETS = ("vocals", "drums", "bass")
WEIGHTS = [[1.0, 2.0, 0.0], [3.0, 1.0, 1.0], [0.5, 0.0, 0.0]]


@pytest.mark.parametrize(("channels", "rate"), [(1, 8000), (2, 8000), (3, 11025)])
@pytest.mark.parametrize("shifts", [1, 2])
def test_an_ensemble_is_the_mean_of_what_its_members_make_of_the_song_alone(channels, rate, shifts):
    audio = song(15000, channels)
    found = Separator(Group(TARGETS, three(), WEIGHTS), shifts=shifts).separate(audio, rate)
    expected = np.zeros_like(found)
    for member, row in zip(three(), WEIGHTS, strict=True):
        alone = Separator(member, shifts=shifts).separate(audio, rate)
        for column, target in enumerate(TARGETS):
            if row[column]:
                share = row[column] / sum(other[column] for other in WEIGHTS)
                expected[column] += share * alone[member.targets.index(target)]
    # Its way to another rate leads over that of the ensemble, whose filter is not that of the direct one.
    inside = slice(200, -200) if rate != 8000 else slice(None)
    np.testing.assert_allclose(found[..., inside], expected[..., inside], atol=1e-6 if rate == 8000 else 2e-3)


@pytest.mark.parametrize("method", ["mean", "median", "max_magnitude"])
def test_a_stream_is_the_same_whatever_its_blocks_and_as_long_as_the_song(method):
    audio = song(9001)
    separator = Separator(Group(TARGETS, three(), WEIGHTS, method))
    levels = separator.measure([audio], 8000, 2)
    results = []
    for size in (9001, 777):
        blocks = (audio[:, start : start + size] for start in range(0, 9001, size))
        parts = list(separator.stream(blocks, 8000, 2, levels))
        assert np.array_equal(np.concatenate([part.original for part in parts], axis=-1), audio)
        results.append(np.concatenate([part.targets for part in parts], axis=-1))
    assert results[0].shape == (3, 2, 9001)
    np.testing.assert_allclose(results[1], results[0], atol=1e-6)


@pytest.mark.parametrize("method", ["mean", "mean_magnitude"])
def test_consistent_targets_of_an_ensemble_sum_to_the_song(method):
    audio = song(20000)
    found = Separator(Group(TARGETS, three(), WEIGHTS, method), consistent=True).separate(audio, 11025)
    np.testing.assert_allclose(found.sum(0), audio, atol=1e-6)


@pytest.mark.parametrize("consistent", [False, True])
def test_only_as_much_of_a_stream_is_held_as_the_longest_chunk_needs(consistent):
    separator = Separator(Group(TARGETS, three(), WEIGHTS), consistent=consistent, batch_size=1)
    read = done = furthest = 0

    def blocks():
        nonlocal read
        for _ in range(400):
            read += 1000
            yield np.zeros((2, 1000), dtype=np.float32)

    for block in separator.stream(blocks(), 8000, 2, {}):
        done += block.targets.shape[-1]
        furthest = max(furthest, read - done)
    assert done == read == 400000
    assert furthest <= (separator.latency + 0.5) * 8000


def test_only_the_members_that_the_targets_need_are_run():
    members = three()
    separator = Separator(Group(TARGETS, members, WEIGHTS), targets=("bass",))
    assert [member.config.net for member in separator.members] == ["Toy2.0"]
    audio = song(3000)
    assert np.array_equal(
        separator.separate(audio), Separator(three()[1], targets=("bass",)).separate(audio, 8000)
    )


def test_a_member_of_another_sample_rate_is_said_once(caplog):
    separator = Separator(Group(TARGETS, three(), WEIGHTS))
    for _ in range(2):
        separator.separate(song(1000))
    assert caplog.text.count("Toy3.0 works at 4000 Hz: the song is resampled from 8000 Hz for it") == 1


def test_an_option_that_a_member_cannot_follow_is_one_line():
    with pytest.raises(UsageError, match=r"`chunk` is 0\.6: found less than the model's chunk"):
        Separator(Group(TARGETS, three(), WEIGHTS), chunk=0.6)
    with pytest.raises(NotFoundError, match="the model has no target 'piano'"):
        Separator(Group(TARGETS, three(), WEIGHTS), targets=("piano",))


# How estimates become one.


def numpy_median(numbers, weights):
    """By definition: repeat each as often as it counts."""
    repeated = [number for number, weight in zip(numbers, weights, strict=True) for _ in range(weight)]
    return np.median(repeated, axis=0)


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 1), (3, 1, 1), (2, 1, 1), (1, 2, 3, 4)])
def test_weighted_medians_are_those_of_repeated_numbers(weights):
    numbers = np.random.default_rng(0).standard_normal((len(weights), 50))
    found = combine(torch.from_numpy(numbers), torch.tensor(weights, dtype=torch.float32), "median")
    np.testing.assert_allclose(found.numpy(), numpy_median(numbers, weights))


def test_spectra_are_combined_as_the_formulas_say():
    generator = np.random.default_rng(1)
    spectra = generator.standard_normal((3, 40)) + 1j * generator.standard_normal((3, 40))
    weights = np.array([1, 2, 3])

    def found(method):
        return combine(torch.from_numpy(spectra), torch.tensor([1.0, 2.0, 3.0]), method).numpy()

    mean = np.average(spectra, axis=0, weights=weights)
    phase = mean / np.abs(mean)
    np.testing.assert_allclose(found("mean"), mean, atol=1e-7)
    magnitudes = np.abs(spectra)
    np.testing.assert_allclose(
        found("mean_magnitude"), np.average(magnitudes, axis=0, weights=weights) * phase, atol=1e-6
    )
    np.testing.assert_allclose(
        found("median_magnitude"), numpy_median(magnitudes, weights) * phase, atol=1e-6
    )
    for method, choose in (("min_magnitude", np.argmin), ("max_magnitude", np.argmax)):
        assert np.array_equal(found(method), spectra[choose(magnitudes, axis=0), range(40)])


def member(targets, weights=None, **settings):
    settings = {"num_hidden_channels": 1, "sample_rate": 8000, "sample_length": 0.5, **settings}
    config = SpectrogramNetConfig(targets=targets, num_fft=256, window_size=256, hop_length=128, **settings)
    return {"model": config, "weights": weights or dict.fromkeys(targets, 1.0)}


def test_settings_of_an_ensemble_are_kept_as_its_members_and_follow_from_them():
    config = EnsembleConfig(
        targets=("vocals", "drums"),
        members=[member(("vocals",)), member(("drums", "vocals"), sample_rate=16000, num_channels=2)],
    )
    stored = config.model_dump(mode="json")
    assert list(stored) == ["format_version", "family", "net", "targets", "method", "members"]
    assert parse_model_config(json.loads(json.dumps(stored))) == config
    assert (config.sample_rate, config.num_channels) == (16000, 2)
    assert parse_model_config(stored | {"sample_rate": 8000}) == config


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ([member(("drums",))], "no member has a weight above 0 for vocals"),
        ([member(("vocals",), {"vocals": -1})], "member 1: weights is .* must not be negative"),
        ([member(("vocals",), {"bass": 1})], "weight for bass, which it does not estimate"),
        ([member(("vocals",)) | {"model": {"net": "Toy"}}], "unknown net 'Toy'"),
        ([], "members is "),
    ],
)
def test_settings_of_members_that_cannot_be_are_one_line(members, complaint):
    with pytest.raises(SettingsError, match=complaint) as caught:
        parse_model_config({"family": "bag", "net": "Ensemble", "members": members})
    assert "\n" not in str(caught.value)


def test_by_itself_an_ensemble_shows_its_members_the_same_chunk_and_can_be_cut_down():
    torch.manual_seed(0)
    config = EnsembleConfig(
        targets=("vocals", "drums"),
        members=[member(("vocals", "drums"), {"vocals": 3, "drums": 1}), member(("vocals",))],
    )
    model = create_model(config).eval()
    audio = torch.randn(1, 1, 5000)
    with torch.inference_mode():
        first, second = (part.separate(audio) for part in model.models)
        expected = torch.stack(((3 * first[:, 0] + second[:, 0]) / 4, first[:, 1]), dim=1)
        assert torch.allclose(model.separate(audio), expected, atol=1e-6)
        drums = model.restricted(("drums",))
        assert len(drums.models) == 1
        assert torch.allclose(drums.separate(audio), first[:, 1:], atol=1e-6)
    assert not model.traits.trainable
    mixed = EnsembleConfig(members=[member(("vocals",)), member(("vocals",), sample_rate=16000)])
    with pytest.raises(UsageError, match="found sample_rate 8000 and 16000"):
        create_model(mixed).separate(audio)


def test_the_files_that_demucs_publishes_become_an_ensemble(tmp_path):
    """A YAML file and pickles that name Demucs' classes, of which none is run."""
    torch.manual_seed(0)
    kwargs = {"sources": SOURCES, "channels": 4, "depth": 3, "dconv_comp": 2, "segment": Fraction(1)}
    members = [reference("demucs.demucs", "Demucs")(**kwargs) for _ in range(2)]
    names = ["0d19c1c6-0f06f20e.th", "7ecf8ec1-70f50cc9.th"]
    for net, name in zip(members, names, strict=True):
        state = {key: tensor.half() for key, tensor in net.state_dict().items()}
        torch.save({"klass": type(net), "args": (), "kwargs": kwargs, "state": state}, tmp_path / name)
    (tmp_path / "mdx.yaml").write_text(
        "models: ['0d19c1c6', '7ecf8ec1']\nweights: [\n  [1., 1., 0., 0.],\n  [0., 1., 1., 1.],\n]\n"
        "segment: 2"
    )
    files = [tmp_path / name for name in ("mdx.yaml", *names)]
    imported = import_model(files, tmp_path / "mdx")
    assert imported.config.targets == tuple(SOURCES)
    model = load(tmp_path / "mdx")
    assert model.ensemble.weights.tolist() == [[1, 1, 0, 0], [0, 1, 1, 1]]
    assert [part.config.sample_length for part in model.models] == [2, 2]
    # A member by itself, or without its YAML, is not taken for the whole.
    with pytest.raises(ModelError, match="is ambiguous"):
        import_model(files[:2], tmp_path / "part")
    with pytest.raises(ModelError, match="cannot import"):
        import_model(files[1:], tmp_path / "part")
