"""The recipe of the pretrained models: it never trains on what is scored, and goes on where it stopped."""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from dataset_makers import write_track
from pretrained_makers import FOUR, make_weights

from auralflow.config import parse_settings
from auralflow.datasets import index_split
from auralflow.errors import AuralflowError, DatasetError, ModelError, UsageError
from auralflow.models import Access, DataPart, Registry, create_model_folder, load
from auralflow.models.folder import read_weights
from auralflow.nets.families import create_model
from auralflow.nets.unet import RecurrentNetConfig
from auralflow.storage import write_json
from auralflow.synth import write_dataset

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes" / "pretrained"
sys.path.insert(0, str(RECIPE))

import average  # noqa: E402 - the recipe is no package
import make  # noqa: E402
import publish  # noqa: E402
import recipe_credits  # noqa: E402
import recipe_data  # noqa: E402
import recipe_source  # noqa: E402
import recipe_steps  # noqa: E402
import recipe_validation  # noqa: E402


@pytest.fixture
def source(tmp_path):
    """Songs of noise: three to train on, one for validation and one for testing, by two artists."""
    songs = tmp_path / "source" / "songs"
    for number, name in enumerate(("train/A - 1", "train/A - 2", "train/B - 3", "valid/C - 4", "test/A - 5")):
        write_track(songs / name, seconds=0.5, seed=number)
    write_json(tmp_path / "source" / "sources.json", {"songs/train": {"name": "noise", "licence": "CC0-1.0"}})
    return tmp_path / "source"


def copy_as_flac(stem, target):
    audio, rate = soundfile.read(stem, dtype="int16")
    target.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(target, audio, rate, format="FLAC", subtype="PCM_16")


# What is trained on


def test_songs_of_different_content_are_accepted(source):
    assert set(recipe_source.check_songs(source).tracks) == {"train", "valid", "test"}


@pytest.mark.parametrize("scored", ["valid/C - 4", "test/A - 5"])
@pytest.mark.parametrize("stem", ["vocals", "other"])
def test_a_stem_that_is_scored_is_not_trained_on_under_another_name_and_format(source, scored, stem):
    songs = source / "songs"
    copy_as_flac(songs / scored / f"{stem}.wav", songs / "train" / "D - Disguise" / f"{stem}.flac")
    with pytest.raises(DatasetError, match=f"refused.*train/D - Disguise is also {scored}.*from train"):
        recipe_source.check_songs(source)


def test_a_song_of_the_same_name_is_refused(source):
    write_track(source / "songs" / "train" / "C - 4", seconds=0.5, seed=99)
    with pytest.raises(DatasetError, match="train/C - 4 is also valid/C - 4"):
        recipe_source.check_songs(source)


def test_silent_stems_do_not_make_songs_the_same(source):
    for name in ("train/A - 1", "valid/C - 4"):
        soundfile.write(source / "songs" / name / "vocals.wav", np.zeros((4000, 2)), 8000)
    recipe_source.check_songs(source)


def test_the_whole_recipe_stops_at_a_leak_before_it_makes_anything(source, tmp_path, capsys):
    shutil.copytree(source / "songs/valid/C - 4", source / "songs/train/Z - Leak")
    assert make.main([str(source), "--work", str(tmp_path / "work"), "--quick"]) == 1
    assert "train/Z - Leak is also valid/C - 4" in capsys.readouterr().err
    assert sorted(path.name for path in (tmp_path / "work").rglob("*") if path.is_file()) == ["kind.json"]


@pytest.mark.parametrize("licence", ["CC BY-NC-SA 4.0", "CC-BY-NC-4.0", "free for non-commercial use"])
def test_material_that_not_all_may_use_is_refused(source, licence):
    write_json(source / "sources.json", {"songs/train": {"name": "noise", "licence": licence}})
    with pytest.raises(DatasetError, match=f"noise is refused: found {licence}"):
        recipe_source.licences(source)


def test_material_of_unknown_licence_is_refused(source):
    (source / "voices" / "found on the street").mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"licence of '.*found on the street' is not known.*sources\.json"):
        recipe_source.licences(source)


def test_the_material_of_the_published_models_is_free_for_everyone(tmp_path):
    parts = recipe_source.licences(tmp_path)
    assert {"songs/train", "midi/freedoom", "voices/scottpoid"} <= parts.keys()
    assert all(part.credit and part.source.startswith("https://") for part in parts.values())


def data_recipe(**values):
    return parse_settings(recipe_data.DataRecipe, {"hours": 1, "seed": 5, "generated": [], **values})


def test_validation_and_test_songs_do_not_get_into_the_training_data(source, tmp_path):
    part = recipe_data.GeneratedPart(name="numbers", share=1)
    write_dataset(tmp_path / "songs" / "numbers", tracks=3, seed=1, seconds=0.5, sample_rate=8000)
    recipe_data.assemble(source, tmp_path, tmp_path / "dataset", data_recipe(copies=2), [part])
    train = [path.resolve() for path in (tmp_path / "dataset" / "train").iterdir()]
    assert sorted(path.name for path in (tmp_path / "dataset").iterdir()) == ["train", "valid"]
    assert [path.name for path in (tmp_path / "dataset" / "valid").iterdir()] == ["C - 4"]
    real = [path for path in train if path.is_relative_to(source)]
    assert {path.parent.name for path in real} == {"train"}
    assert (len(real), len(train)) == (6, 9)
    # What is no longer wanted goes.
    recipe_data.assemble(source, tmp_path, tmp_path / "dataset", data_recipe(), [])
    assert len(index_split(tmp_path / "dataset", "train")) == 3


def test_an_unclean_stem_is_not_trained_on(source, tmp_path):
    recipe = data_recipe(copies=2, unclean={"A - 1": ["other", "bass"], "Z - Elsewhere": ["other"]})
    recipe_data.assemble(source, tmp_path, tmp_path / "dataset", recipe, [])
    tracks = {track.name: set(track.stems) for track in index_split(tmp_path / "dataset", "train")}
    assert tracks.pop("A - 1") == tracks.pop("A - 1 (again 1)") == {"vocals", "drums"}
    assert len(tracks) == 4
    assert all(len(stems) == 4 for stems in tracks.values())


def test_recordings_become_tracks_of_which_one_stem_is_known(source, tmp_path):
    singer = source / "voices" / "choir" / "deep" / "Anna.WAV"
    singer.parent.mkdir(parents=True)
    soundfile.write(singer, np.zeros(800), 8000)
    (singer.parent / "LICENCE.txt").write_text("free")
    recordings = [{"folder": folder, "stem": "vocals"} for folder in ("voices/choir", "voices/missing")]
    for _ in range(2):
        recipe = data_recipe(recordings=recordings)
        recipe_data.assemble(source, tmp_path, tmp_path / "dataset", recipe, [])
        [track] = [t for t in index_split(tmp_path / "dataset", "train") if t.name.startswith("voices")]
        assert list(track.stems) == ["vocals"]
        assert track.stems["vocals"].resolve() == singer.resolve()
    recipe_data.assemble(source, tmp_path, tmp_path / "dataset", data_recipe(), [])
    assert len(index_split(tmp_path / "dataset", "train")) == 3


@pytest.fixture
def instrumentals(source):
    """Three mixes without a voice, by two artists, one of whom is kept aside."""
    listed = []
    for number, (artist, licence) in enumerate((("Ann", "CC-BY-4.0"), ("Ann", "CC0-1.0"), ("Bob", "MIT"))):
        name = f"instrumental/{artist} - Tune {number}.wav"
        (source / "instrumental").mkdir(exist_ok=True)
        soundfile.write(source / name, 0.1 * np.random.default_rng(number).standard_normal((4000, 2)), 8000)
        listed.append({"file": name, "title": f"Tune {number}", "artist": artist, "licence": licence})
    write_json(source / "credits.json", listed)
    return data_recipe(instrumentals=[{"folder": "instrumental", "held_out": ["Bob"]}])


def test_mixes_without_a_voice_become_partial_truths_but_for_artists_kept_aside(
    source, tmp_path, instrumentals
):
    recipe_data.assemble(source, tmp_path, tmp_path / "dataset", instrumentals, [])
    tracks = [t for t in index_split(tmp_path / "dataset", "train") if t.mixture]
    assert [track.name for track in tracks] == ["instrumental Ann - Tune 0", "instrumental Ann - Tune 1"]
    for track in tracks:
        assert track.stems == {}
        facts = json.loads((tmp_path / "dataset/train" / track.name / "track.json").read_text())
        assert facts == {"silent": ["vocals"]}
    kept = [t for t in index_split(tmp_path / "dataset", "valid") if t.mixture]
    assert [(track.name, set(track.silent)) for track in kept] == [("instrumental Bob - Tune 2", {"vocals"})]


def test_data_with_mixes_without_a_voice_are_made_once(source, tmp_path, instrumentals, capsys):
    write_json(source / "sources.json", {"songs/train": {"name": "noise", "licence": "CC0-1.0"}})
    for _ in range(2):
        steps = recipe_steps.Steps(tmp_path / "work")
        recipe_data.make_data(source, tmp_path / "work", instrumentals, steps, workers=1)
    assert "dataset: already done" in capsys.readouterr().out
    cached = index_split(tmp_path / "work" / "dataset", "train")
    assert {track.name for track in cached if track.silent == {"vocals"}} == {
        "instrumental Ann - Tune 0",
        "instrumental Ann - Tune 1",
    }


def test_the_card_names_every_artist_under_their_licence(source, tmp_path, instrumentals):
    parts = recipe_data.describe_data(source, tmp_path, instrumentals)
    named = {part.licence: part.credit for part in parts if part.name.startswith("Instrumental music")}
    assert named == {"CC-BY-4.0": "Ann", "CC0-1.0": "Ann"}


@pytest.mark.parametrize("licence", ["CC-BY-NC-4.0", "CC BY-ND 3.0"])
def test_a_single_file_that_not_all_may_use_is_refused(source, instrumentals, licence):
    listed = json.loads((source / "credits.json").read_text())
    write_json(source / "credits.json", [*listed[:2], listed[2] | {"licence": licence}])
    with pytest.raises(DatasetError, match=r"Tune 2\.wav by Bob is refused"):
        recipe_source.licences(source)


def test_a_file_of_unknown_origin_and_a_broken_list_are_refused(source, instrumentals):
    listed = json.loads((source / "credits.json").read_text())
    write_json(source / "credits.json", listed[:2])
    with pytest.raises(DatasetError, match=r"licence of '.*Tune 2.wav' is not known"):
        recipe_source.licences(source)
    write_json(source / "credits.json", [{"file": "x"}])
    with pytest.raises(DatasetError, match="is not a list of credits: found 0"):
        recipe_source.licences(source)


def test_every_file_of_the_published_credits_may_be_used_by_all(tmp_path):
    listed = recipe_credits.read_credits(tmp_path).values()
    assert all(entry.file.split("/")[0] in recipe_credits.FOLDERS for entry in listed)
    recipe = parse_settings(recipe_data.DataRecipe, make.read_settings(RECIPE / "data.json"))
    [mixes] = recipe.instrumentals
    seconds = {entry.artist for entry in listed if entry.file.startswith("instrumental/")}
    assert set(mixes.held_out) < seconds


class Half(torch.nn.Module):
    """Stands for a separator that calls half of everything vocals."""

    def __init__(self, *_, **__):
        super().__init__()

    def separate(self, audio, rate):
        return 0.5 * audio[np.newaxis]


def test_models_are_scored_on_real_accompaniments_with_and_without_a_voice(
    source, tmp_path, instrumentals, monkeypatch
):
    recipe_validation.make_validation(source, tmp_path / "sets", instrumentals)
    [over] = index_split(tmp_path / "sets" / "over", "valid")
    mixture, vocals = (soundfile.read(over.files[name], dtype="float32")[0] for name in ("mixture", "vocals"))
    rest = mixture - vocals
    level = 10 * np.log10(np.mean(vocals**2) / np.mean(rest**2))
    assert level == pytest.approx(recipe_validation.LEVELS[0], abs=0.1)
    monkeypatch.setattr(recipe_validation, "Separator", Half)
    monkeypatch.setattr(recipe_validation, "load", lambda _: None)
    scores = recipe_validation.score_validation("half", tmp_path / "sets")
    assert scores["leak"] == pytest.approx(-6.02, abs=0.01)
    assert list(scores["leaks"]) == ["Bob - Tune 2"]
    # SI-SDR does not care how loud an estimate is.
    assert scores["over"]["si_sdr_improvement"] == pytest.approx(0, abs=0.01)
    assert scores["over"]["si_sdr"] == pytest.approx(level, abs=1)


def test_generated_songs_need_their_material_and_its_options(source, capsys):
    values = {"hours": 1, "seed": 5, "generated": []}
    parts = [{"name": "bands", "share": 0.5, "needs": ["midi"]}, {"name": "numbers", "share": 0.5}]
    recipe = parse_settings(recipe_data.DataRecipe, values | {"generated": parts})
    [usable] = recipe_data.usable_parts(source, recipe)
    assert usable.name == "numbers"
    assert "'bands' are left out: the source has no midi" in capsys.readouterr().out
    command = [str(word) for word in recipe_data.synth_command(source, Path("w"), recipe, usable, 1)]
    assert command[2:] == ["--tracks", "30", "--seconds", "60", "--seed", "6"]
    odd = usable.model_copy(update={"options": {"theremin": "{source}/x"}})
    with pytest.raises(UsageError, match="expected auralflow synth --theremin"):
        recipe_data.synth_command(source, Path("w"), recipe, odd, 0)


@pytest.mark.parametrize("net", make.NETS)
@pytest.mark.parametrize("quick", [False, True])
def test_the_settings_of_each_net_are_valid(net, quick):
    small = make.read_settings(make.QUICK_FILE) if quick else {}
    recipe = make.net_recipe(net, small)
    config = parse_settings(make.settings_of_net(net), {"net": net, **recipe.model})
    parse_settings(make.TrainConfig, recipe.train)
    assert config.targets == FOUR
    assert config.num_channels == 2
    assert config.sample_rate == 44100
    if not quick:
        # What git and the wheel can carry, at two bytes a weight.
        size = 2e-6 * publish.count_parameters(config)
        assert size < (17 if recipe.ship else 90)


def test_the_data_recipe_is_valid_but_for_options_to_come():
    recipe = parse_settings(recipe_data.DataRecipe, make.read_settings(RECIPE / "data.json"))
    assert sum(part.share for part in recipe.generated) == pytest.approx(1)


# Steps


def test_a_step_is_done_once_and_again_when_its_inputs_change(tmp_path):
    steps, done = recipe_steps.Steps(tmp_path), []
    for inputs in ([1], [1], [2], [2]):
        steps.once("step", inputs, lambda inputs=inputs: done.append(inputs))
    assert done == [[1], [2]]


def test_a_step_that_fails_is_not_marked_as_done(tmp_path):
    steps, done = recipe_steps.Steps(tmp_path), []
    with pytest.raises(AuralflowError, match="synth failed with exit code 2"):
        steps.once("step", 1, lambda: steps.auralflow("synth", tmp_path / "songs", "--tracks", "-1"))
    steps.once("step", 1, lambda: done.append(1))
    assert done == [1]


def test_no_command_begins_when_the_time_is_over(tmp_path):
    with pytest.raises(recipe_steps.OutOfTimeError):
        recipe_steps.Steps(tmp_path, minutes=0).auralflow("synth", tmp_path / "songs")
    assert not (tmp_path / "songs").exists()


def test_a_recipe_that_is_terminated_ends_its_command_and_goes_on_later(source, tmp_path):
    # So many songs that it cannot be over before it is terminated.
    script = (
        "import sys; sys.argv[0] = 'x'; sys.path.insert(0, sys.argv[1])\n"
        "import signal, recipe_steps, pathlib\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)\n"
        "recipe_steps.Steps(pathlib.Path(sys.argv[2])).auralflow('synth', sys.argv[2] + '/songs',"
        " '--tracks', 500, '--seconds', 5)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, RECIPE, tmp_path], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("songs/train/Synth*")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.terminate()
    assert "KeyboardInterrupt" in process.communicate(timeout=300)[1].decode()
    made = len(list(tmp_path.glob("songs/*/Synth*")))
    time.sleep(1.5)
    assert len(list(tmp_path.glob("songs/*/Synth*"))) == made


# Publishing


@pytest.fixture
def trained(tmp_path):
    """A model folder as a training leaves it."""
    folder = tmp_path / "trained"
    model = make_weights(tmp_path / "half", num_channels=1)
    create_model_folder(folder, model.config)
    publish.save_weights(model, folder / "model.safetensors")
    write_json(folder / "trainer.json", {"max_samples": 100, "seed": 3})
    epochs = [{"epoch": n, "train_loss": 1.0, "seconds": 1800.0} for n in (1, 2, 3)]
    epochs.insert(0, {"epoch": 0, "train_loss": None, "seconds": 0.0})
    write_json(folder / "summary.json", {"epochs": epochs})
    return folder


DATA = {"name": "noise", "licence": "CC0-1.0"}


def about(**changes):
    data = [DataPart(**DATA, minutes=1)]
    return publish.About(**{"name": "Own", "licence": "MIT", "data": data, "scores": [], **changes})


@pytest.mark.parametrize("ship", [True, False])
def test_what_is_published_can_be_used_by_its_name(trained, tmp_path, ship):
    card = publish.publish(trained, tmp_path / "repository", about(), ship=ship)
    root = tmp_path / "repository"
    registry = Registry(root / "src/auralflow/models/pretrained", root / "pretrained")
    assert registry.names == ("Own",)
    assert registry.card("Own") == card
    assert (root / "pretrained" / card.file).is_file() != ship
    model = load("Own", registry=registry, access=Access(tmp_path / "home", offline=True))
    audio = torch.randn(1, 1, 8000)
    whole = load(trained).separate(audio)
    assert (model.separate(audio) - whole).norm() < 0.01 * whole.norm()
    assert card.size < 0.6 * (trained / "model.safetensors").stat().st_size


def test_the_card_tells_the_training(trained, tmp_path):
    card = publish.publish(
        trained, tmp_path, about(machine="a shed", weaknesses=["hums"], start="a smaller net")
    )
    assert (card.training.hours, card.training.chunks, card.training.epochs) == (1.5, 300, 3)
    assert (card.training.seed, card.training.machine, card.weaknesses) == (3, "a shed", ("hums",))
    assert card.training.start == "a smaller net"
    assert card.parameters == sum(p.numel() for p in load(trained).parameters())
    assert json.loads((tmp_path / "src/auralflow/models/pretrained/Own/summary.json").read_text())["epochs"]


def test_the_address_of_the_weights_is_that_of_their_file(trained, tmp_path):
    card = publish.publish(trained, tmp_path, about(url="https://example.org/pretrained/"))
    assert card.url == f"https://example.org/pretrained/{card.file}"


def test_publishing_by_hand_writes_the_same_card(trained, tmp_path):
    write_json(tmp_path / "about.json", {"dataset": "d", "artists": [], "data": [{**DATA, "minutes": 1}]})
    words = [trained, "--name", "Own", "--about", tmp_path / "about.json", "--machine", "a shed", "--ship"]
    command = [sys.executable, RECIPE / "publish.py", *words, "--into", tmp_path / "by hand"]
    subprocess.run(command, check=True, capture_output=True)
    expected = publish.publish(trained, tmp_path, about(machine="a shed"), ship=True)
    assert Registry(tmp_path / "by hand" / publish.CARDS).card("Own") == expected


def test_the_card_lists_what_the_start_was_trained_on_too():
    def part(name, minutes, source="https://example.org"):
        return DataPart(name=name, licence="MIT", minutes=minutes, source=source)

    earlier = [part("voices", 10), part("songs made", 90, ""), part("guitars", 5)]
    later = [part("voices", 12), part("drums", 3), part("songs made", 60, "")]
    expected = [part("voices", 12), part("guitars", 5), part("drums", 3), part("songs made", 150, "")]
    assert publish.joined_data(earlier, later) == expected
    assert publish.joined_data([], later) == later


def test_publishing_by_hand_takes_the_data_of_the_start_from_its_card(trained, tmp_path):
    start = publish.publish(trained, tmp_path / "start", about())
    added = {"name": "more noise", "licence": "MIT", "minutes": 3.0}
    write_json(tmp_path / "about.json", {"dataset": "d", "artists": [], "data": [added]})
    card = tmp_path / "start" / publish.CARDS / start.name / "card.json"
    words = [trained, "--name", "Own", "--about", tmp_path / "about.json", "--after", card]
    command = [sys.executable, RECIPE / "publish.py", *words, "--into", tmp_path]
    subprocess.run(command, check=True, capture_output=True)
    assert Registry(tmp_path / publish.CARDS).card("Own").data == (*start.data, DataPart(**added))


def test_new_weights_take_the_place_of_the_old(trained, tmp_path):
    first = publish.publish(trained, tmp_path, about())
    weights = read_weights(trained / "model.safetensors")
    publish.save_weights(
        {name: 2 * tensor for name, tensor in weights.items()}, trained / "model.safetensors"
    )
    second = publish.publish(trained, tmp_path, about())
    assert first.file != second.file
    assert [path.name for path in (tmp_path / "pretrained").iterdir()] == [second.file]


def test_weights_are_averaged_by_their_shares(trained, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    weights = read_weights(trained / "model.safetensors")
    doubled = {name: 2 * tensor for name, tensor in weights.items()}
    publish.save_weights(doubled, other / "model.safetensors")
    write_json(other / "trainer.json", {"max_samples": 50, "seed": 4})
    words = [f"{trained}=0.75", f"{other}=0.25", "--save", str(tmp_path / "mean")]
    assert average.main(words) == 0
    for name, tensor in read_weights(tmp_path / "mean" / "model.safetensors").items():
        expected = 1.25 * weights[name] if tensor.is_floating_point() else doubled[name]
        torch.testing.assert_close(tensor, expected)
    assert json.loads((tmp_path / "mean" / "trainer.json").read_text())["seed"] == 4
    assert (tmp_path / "mean" / "summary.json").is_file()
    # It is not replaced.
    assert average.main(words) != 0
    assert str(tmp_path / "mean") in capsys.readouterr().err


def test_a_smaller_net_takes_part_in_the_weights_that_it_has(trained, tmp_path, capsys):
    settings = load(trained).config.model_dump() | {"net": "SpectrogramNetLSTM", "hidden_size": 8}
    torch.manual_seed(1)
    larger = create_model(RecurrentNetConfig.model_validate(settings))
    create_model_folder(tmp_path / "larger", larger.config)
    publish.save_weights(larger, tmp_path / "larger" / "model.safetensors")
    words = [f"{tmp_path / 'larger'}=0.75", f"{trained}=0.25", "--save", str(tmp_path / "mean")]
    assert average.main(words) == 0
    small, mean = (read_weights(folder / "model.safetensors") for folder in (trained, tmp_path / "mean"))
    assert small.keys() < mean.keys()
    for name, tensor in larger.state_dict().items():
        if not tensor.is_floating_point():
            continue
        expected = 0.75 * tensor + 0.25 * small[name] if name in small else tensor
        torch.testing.assert_close(mean[name], expected)
    assert load(tmp_path / "mean").config == larger.config
    # Someone must provide the rest.
    words = [f"{tmp_path / 'larger'}=0", f"{trained}=1", "--save", str(tmp_path / "nothing")]
    assert average.main(words) == 2
    assert "no model with a share has net.recurrent" in capsys.readouterr().err
    # Not the other way round: the smaller net has no place for the rest.
    words = [f"{trained}=0.25", f"{tmp_path / 'larger'}=0.75", "--save", str(tmp_path / "smaller")]
    assert average.main(words) == 2
    assert "they have different settings" in capsys.readouterr().err


def test_what_cannot_be_averaged_is_refused(trained, tmp_path, capsys):
    save = ["--save", str(tmp_path / "mean")]
    assert average.main([f"{trained}=0.5", f"{trained}=0.6", *save]) == 2
    assert "the shares must add up to 1: found 1.1" in capsys.readouterr().err
    stereo = make_weights(tmp_path / "half", num_channels=2)
    create_model_folder(tmp_path / "stereo", stereo.config)
    publish.save_weights(stereo, tmp_path / "stereo" / "model.safetensors")
    assert average.main([f"{trained}=0.5", f"{tmp_path / 'stereo'}=0.5", *save]) == 2
    assert "they have different settings" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        average.main([str(trained), *save])
    assert "expected MODEL=SHARE" in capsys.readouterr().err
    assert not (tmp_path / "mean").exists()


def test_halving_keeps_the_numbers_that_are_few_and_refuses_those_too_large():
    weights = {"matrix": torch.rand(3, 3), "bias": torch.rand(3), "count": torch.tensor(7)}
    halved = publish.halved(weights)
    assert [halved[name].dtype for name in weights] == [torch.float16, torch.float32, torch.int64]
    with pytest.raises(ModelError, match="matrix cannot be stored in half precision"):
        publish.halved({"matrix": torch.full((2, 2), 1e5)})


def test_scores_of_the_evaluation_get_into_the_card(tmp_path):
    def system(**values):
        return {"tracks": [{"track": t, "scores": {"bass": values}} for t in ("A - 1", "C - 4")]}

    systems = {
        "mixture": system(si_sdr=-5.0, si_sdr_improvement=0.0, framewise_sdr=-6.0),
        "final": system(si_sdr=-1.0, si_sdr_improvement=4.0, framewise_sdr=-2.0),
        "ideal ratio mask": system(si_sdr=6.0, si_sdr_improvement=11.0),
    }
    write_json(tmp_path / "valid.json", {"systems": systems, "targets": ["bass"]})
    table = publish.score_table(tmp_path / "valid.json", name="Own", dataset="d", known={"A"})
    assert table.command == "auralflow evaluate Own d --subset valid"
    assert [track.known_artist for track in table.tracks] == [True, False]
    assert table.tracks[1].targets["bass"].model_dump() == {
        "si_sdr": -1.0,
        "si_sdr_improvement": 4.0,
        "ceiling": 11.0,
        "museval_sdr": -2.0,
        "museval_floor": -6.0,
        "museval_ceiling": None,
    }
    write_json(tmp_path / "valid.json", {"systems": systems | {"other": system()}, "targets": ["bass"]})
    with pytest.raises(ModelError, match="found final, other"):
        publish.score_table(tmp_path / "valid.json", name="Own", dataset="d", known=set())


# The whole way


def run_recipe(source, work, *options):
    command = [sys.executable, RECIPE / "make.py", source, "--work", work, "--quick", *options]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def generated_source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    write_dataset(folder / "songs", tracks=4, seed=7, seconds=4)
    write_json(folder / "sources.json", {"songs/train": {"name": "generated", "licence": "CC0-1.0"}})
    return folder


def test_the_quick_form_makes_a_model_that_separates(generated_source, tmp_path):
    result = run_recipe(generated_source, tmp_path, "--net", "SpectrogramNetSimple")
    assert result.returncode == 0, result.stderr
    root = tmp_path / "published"
    registry = Registry(root / "src/auralflow/models/pretrained", root / "pretrained")
    access = Access(tmp_path / "home", offline=True)
    model = load("SpectrogramNetSimple", registry=registry, access=access)
    audio = torch.randn(1, 2, 44100)
    assert torch.equal(model.separate(audio), load(tmp_path / "SpectrogramNetSimple/final").separate(audio))
    card = registry.card("SpectrogramNetSimple")
    assert {part.name for part in card.data} == {"generated", "generated songs: numbers"}
    assert all(part.minutes > 0 for part in card.data)
    [table] = card.scores
    assert table.subset == "valid"
    assert set(table.tracks[0].targets) == set(FOUR)
    # Nothing is done twice.
    again = run_recipe(generated_source, tmp_path, "--net", "SpectrogramNetSimple")
    assert again.returncode == 0
    assert "started" not in again.stdout
    assert again.stdout.count("already done") == 8


@pytest.mark.slow
def test_the_quick_form_in_slices_makes_all_nets(generated_source, tmp_path):
    calls = 0
    while (result := run_recipe(generated_source, tmp_path, "--test", "--minutes", "0.2")).returncode == 75:
        calls += 1
        assert calls < 60
    assert result.returncode == 0, result.stderr
    assert calls >= 1
    registry = Registry(
        tmp_path / "published/src/auralflow/models/pretrained", tmp_path / "published/pretrained"
    )
    access = Access(tmp_path / "home", offline=True)
    for name in make.NETS:
        card = registry.card(name)
        assert card.training.epochs == 2
        assert [table.subset for table in card.scores] == ["valid", "test"]
        assert load(name, registry=registry, access=access).targets == FOUR
