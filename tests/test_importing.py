"""`auralflow import`: from published files to a model folder, whole or not at all."""

import hashlib
import json
import re

import pytest
import torch
from toy_family import PREFIX, TINY

import auralflow.models.writing as writing_module
from auralflow.cli import main
from auralflow.errors import AuralflowError, ModelError, UsageError
from auralflow.models import load
from auralflow.models.fit import check_fit, probable_cause
from auralflow.models.importing import import_model
from auralflow.models.registry import Registry
from auralflow.nets import families
from auralflow.nets.families import create_model, parse_model_config
from auralflow.storage import write_json


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    monkeypatch.setattr(families, "FAMILIES", {"unet": "toy_family:TOY"})
    monkeypatch.setattr("auralflow.models.importing.FAMILIES", families.FAMILIES)


def config(**settings):
    return parse_model_config(
        {"net": "SpectrogramNetSimple", **TINY, "targets": ["vocals", "bass"], **settings}
    )


@pytest.fixture
def published(tmp_path):
    """A published file, and the model whose weights it holds."""
    torch.manual_seed(0)
    model = create_model(config()).eval()
    path = tmp_path / "downloads" / "toy.pth"
    path.parent.mkdir()
    torch.save({"state_dict": {f"{PREFIX}{name}": value for name, value in model.state_dict().items()}}, path)
    return path, model


TARGETS = ("vocals", "bass")


def test_what_was_imported_separates_as_the_original(tmp_path, published):
    path, model = published
    imported = import_model([str(path)], str(tmp_path / "model"), targets=TARGETS)
    loaded = load(tmp_path / "model")
    mixture = torch.randn(1, 1, model.config.chunk_samples)
    assert torch.equal(loaded(mixture).audio, model(mixture).audio)
    assert loaded.targets == TARGETS
    card = json.loads((tmp_path / "model" / "card.json").read_text())
    assert card["origin"] == ["toy.pth"]
    assert card["files"][0]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (
        card["sha256"] == hashlib.sha256((tmp_path / "model" / "model.safetensors").read_bytes()).hexdigest()
    )
    assert re.match(r"auralflow \d", card["converter"])
    assert card["licence"]["terms"] == "unstated"
    assert imported.previous is None
    assert [file.name for file in (tmp_path / "model").iterdir() if file.name.startswith(".")] == []


def test_settings_beside_the_weights_are_followed(tmp_path, published):
    path, _ = published
    beside = path.with_name("toy.yaml")
    beside.write_text("targets: [drums, other]\n")
    assert import_model([path], tmp_path / "a", settings=beside).config.targets == ("drums", "other")
    assert import_model([path, beside], tmp_path / "b").config.targets == ("drums", "other")


# Settings that do not fit.


@pytest.mark.parametrize(
    ("setting", "value", "first"),
    [("num_hidden_channels", 3, "down"), ("num_channels", 2, ""), ("normalize_input", True, "")],
)
def test_a_setting_that_contradicts_the_weights_is_named(tmp_path, published, setting, value, first):
    path, _ = published
    beside = path.with_name("toy.json")
    write_json(beside, {"targets": TARGETS, setting: value})
    with pytest.raises(ModelError) as error:
        import_model([path, beside], tmp_path / "model")
    text = str(error.value)
    assert re.search(r"do not match the settings of 'toy\.json': found [\w.]+ (of shape \[|missing)", text)
    assert (
        f"Probably {setting} is wrong: it is {value}, but with {getattr(config(), setting)} "
        "all weights match." in text
    )
    assert "\n" not in text
    assert not (tmp_path / "model").exists()


def test_weights_of_something_else_blame_no_single_setting():
    found = {"a.weight": (3, 4), "b.weight": (5,)}
    assert probable_cause(config(), found) is None
    weights = {name: torch.zeros(shape) for name, shape in found.items()}
    with pytest.raises(ModelError, match=r"\d+ tensors differ: the settings belong to another model"):
        check_fit(config(), weights, source="x")


def test_weights_that_are_no_numbers_are_refused():
    weights = create_model(config()).state_dict()
    name = next(name for name, tensor in weights.items() if tensor.is_floating_point())
    weights[name].view(-1)[0] = float("nan")
    with pytest.raises(ModelError, match="NaN or infinity in"):
        check_fit(config(), weights, source="x")


# Files of other families.


def saved(tmp_path, **shapes):
    path = tmp_path / "strange.ckpt"
    torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, path)
    return path


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("crosstransformer.layers.0.norm1.weight", "Demucs 3 or 4"),
        ("band_split.to_features.0.0.gamma", "BS-RoFormer or Mel-Band RoFormer"),
        ("separation_net.dp_modules.0.norm_layers.0.weight", "SCNet"),
        ("encoder_blocks.0.tfc_tdf.blocks.0.tfc1.0.weight", "MDX-Net or MDX23C"),
        ("weird.weight", "1 tensors of an unknown net, the first weird.weight"),
    ],
)
def test_a_family_that_is_not_here_is_named_with_those_that_are(tmp_path, name, family):
    with pytest.raises(ModelError, match=rf"cannot import 'strange.ckpt'.*{family}.*a checkpoint of unet"):
        import_model([saved(tmp_path, **{name: (2, 2)})], tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_what_two_families_claim_is_asked_back(tmp_path, published, monkeypatch):
    both = {"unet": "toy_family:TOY", "greedy": "toy_family:OTHER"}
    monkeypatch.setattr(families, "FAMILIES", both)
    monkeypatch.setattr("auralflow.models.importing.FAMILIES", both)
    path, _ = published
    with pytest.raises(
        ModelError, match=r"ambiguous: found weights that match unet and greedy.*`family` unet"
    ):
        import_model([path], tmp_path / "model", targets=TARGETS)
    assert import_model([path], tmp_path / "model", targets=TARGETS, family="unet").config.targets == TARGETS


def test_a_family_must_be_known_and_read_checkpoints(tmp_path, published, monkeypatch):
    path, _ = published
    with pytest.raises(AuralflowError, match="unett"):
        import_model([path], tmp_path / "model", family="unett")
    monkeypatch.setattr(families, "FAMILIES", {"unet": "auralflow.nets.unet:FAMILY"})
    with pytest.raises(UsageError, match="cannot import checkpoints"):
        import_model([path], tmp_path / "model", family="unet")


@pytest.mark.parametrize(
    "fault", [KeyError("fc1.weight"), ValueError("not enough values\nto unpack"), IndexError()]
)
def test_what_a_reader_never_met_is_one_line(tmp_path, published, monkeypatch, fault):
    def fail(*_):
        raise fault

    path, _ = published
    with monkeypatch.context() as patch:
        patch.setattr("toy_family.Reader.convert", fail)
        with pytest.raises(
            ModelError, match="the structure of these weights does not match their family"
        ) as error:
            import_model([path], tmp_path / "model")
    assert "\n" not in str(error.value)
    monkeypatch.setattr("toy_family.Reader.recognizes", fail)
    with pytest.raises(ModelError, match="cannot import"):
        import_model([path], tmp_path / "model")


# Whole or not at all.


@pytest.mark.parametrize("existing", [False, True], ids=["new folder", "folder with other files"])
@pytest.mark.parametrize("last", ["card.json", "model.json", "weights"])
def test_an_import_that_was_killed_is_completed_by_the_same_command(
    tmp_path, published, monkeypatch, existing, last
):
    path, _ = published
    folder = tmp_path / "model"
    if existing:
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")

    def killed_at(write):
        def wrapper(target, *rest):
            if target.name == last:
                raise KeyboardInterrupt
            return write(target, *rest)

        return wrapper

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if last == "weights":
            patch.setattr("shutil.copyfile", killed)
        else:
            patch.setattr(writing_module, "write_json", killed_at(write_json))
        with pytest.raises(KeyboardInterrupt):
            import_model([path], folder, targets=TARGETS)
    assert not (folder / "model.json").exists()
    import_model([path], folder, targets=TARGETS)
    names = {file.name for file in folder.iterdir()}
    assert names == {"card.json", "model.safetensors", "model.json"} | ({"notes.txt"} if existing else set())
    assert load(folder).targets == TARGETS


def test_a_model_is_only_replaced_by_force_and_then_moved_aside(tmp_path, published):
    path, _ = published
    folder = tmp_path / "model"
    import_model([path], folder, targets=TARGETS)
    with pytest.raises(UsageError, match="already contains a model"):
        import_model([path], folder, targets=TARGETS)
    previous = import_model([path], folder, targets=("drums", "other"), force=True).previous
    assert load(previous).targets == TARGETS
    assert load(folder).targets == ("drums", "other")


def test_a_file_of_the_user_is_never_overwritten(tmp_path, published):
    path, _ = published
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"the user's own")
    with pytest.raises(UsageError, match="already contains a model"):
        import_model([path], folder, targets=TARGETS)
    assert (folder / "model.safetensors").read_bytes() == b"the user's own"


# Licences, and the command.


def public_card(path, **changes):
    return {
        "name": "toy",
        "title": "a toy",
        "family": "unet",
        "targets": list(TARGETS),
        "files": [
            {
                "url": "http://127.0.0.1:9/toy.pth",
                "name": "toy.pth",
                "size": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        ],
        "licence": {"name": "CC-BY-NC-4.0", "terms": "non-commercial", "evidence": "a test"},
        "credit": "the toymakers",
        "data": "noise",
        "cost": "low",
        "citation": "none",
    } | changes


@pytest.mark.parametrize("digits", [8, 64])
def test_the_licence_is_that_of_the_public_model_with_these_bytes(tmp_path, published, digits):
    path, _ = published
    card = public_card(path)
    card["files"][0]["sha256"] = card["files"][0]["sha256"][:digits]
    write_json(tmp_path / "public" / "toy.json", card)
    registry = Registry(tmp_path / "none", public=tmp_path / "public")
    imported = import_model([path], tmp_path / "model", targets=TARGETS, registry=registry)
    assert imported.card.name == "toy"
    assert imported.card.licence.sentence == "The weights are under CC-BY-NC-4.0: not for commercial use."
    assert imported.card.credit == "the toymakers"


def test_the_command_imports_and_says_what_it_made(tmp_path, published, capsys):
    path, _ = published
    save = tmp_path / "model"
    assert main(["import", str(path), "--save", str(save), "--targets", "vocals,bass"]) == 0
    out = capsys.readouterr()
    assert re.search(r"wrote .*model: U-Nets.*vocals, bass", " ".join(out.out.split()))
    assert "No licence is stated" in " ".join(out.err.split())
    assert main(["import", str(path), "--save", str(save)]) != 0
    assert main(["import", "--save", str(save)]) == 2
    assert main(["import", str(tmp_path / "absent.pth")]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(errors) == 3
