"""Settings: defaults, bounds, one-line errors, spelling."""

import ast
import inspect
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from auralflow import config
from auralflow.config import (
    AppConfig,
    EvaluateConfig,
    SeparateConfig,
    Settings,
    StemConfig,
    TrainConfig,
    parse_settings,
    read_settings,
)
from auralflow.errors import NotFoundError, SettingsError
from auralflow.nets.families import settings_of_net
from auralflow.nets.scnet import SCNetConfig
from auralflow.nets.unet import NETS, RecurrentNetConfig, SpectrogramNetConfig

ALL = [AppConfig, SpectrogramNetConfig, RecurrentNetConfig, TrainConfig, SeparateConfig, EvaluateConfig]


def test_defaults_are_named_so_that_type_checkers_without_plugins_see_them():
    for page in (Path(config.__file__).parent).glob("*.py"):
        for call in ast.walk(ast.parse(page.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Field":
                assert not call.args, f"{page.name}, line {call.lineno}: write Field(default=...)"


@pytest.mark.parametrize("kind", ALL)
def test_every_setting_has_a_description(kind):
    assert [name for name, field in kind.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("kind", ALL)
def test_json_round_trip_gives_equal_settings(kind):
    settings = kind()
    assert parse_settings(kind, json.loads(settings.model_dump_json())) == settings


@pytest.mark.parametrize("kind", ALL)
def test_settings_are_frozen(kind):
    settings = kind()
    name = next(iter(kind.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, name, getattr(settings, name))


def test_defaults_are_those_of_the_reference():
    assert RecurrentNetConfig().model_dump(exclude={"format_version", "net", "targets"}) == {
        "num_channels": 1,
        "num_hidden_channels": 16,
        "sample_length": 3,
        "sample_rate": 44100,
        "dropout_p": 0.4,
        "leak_factor": 0,
        "normalize_input": False,
        "normalize_output": False,
        "mask_act_fn": "sigmoid",
        "num_fft": 1024,
        "window_size": 1024,
        "hop_length": 512,
        "recurrent_depth": 3,
        "hidden_size": 1024,
        "input_axis": 1,
    }
    reference = {
        "max_tracks": 80,
        "max_samples": 10000,
        "batch_size": 32,
        "num_workers": 8,
        "pre_fetch": 4,
        "max_epochs": 100,
        "lr": 0.01,
        "lr_lstm": 0.00001,
        "criterion": "si_sdr",
        "construction_loss": "l2",
        "max_grad_norm": 1000,
        "init_scale": 2.0**16,
        "stop_patience": 5,
        "max_plateaus": 5,
        "min_delta": 0.01,
        "reduction": "mean",
        "alpha": 0.2,
        "beta": 0.8,
    }
    settings = TrainConfig().model_dump()
    assert {name: settings[name] for name in reference} == reference


def test_unknown_key_is_refused_with_a_suggestion():
    with pytest.raises(SettingsError, match=r"unknown setting 'num_chanels'\. Did you mean 'num_channels'\?"):
        parse_settings(SpectrogramNetConfig, {"num_chanels": 2})


def test_unknown_key_without_a_likeness_lists_what_is_known():
    with pytest.raises(SettingsError, match=r"Known: .*hop_length"):
        parse_settings(SpectrogramNetConfig, {"zzz": 2})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_channels": 99}, "num_channels is 99: must be at most 8"),
        ({"dropout_p": 1}, "dropout_p is 1: must be less than 1"),
        ({"sample_rate": "many"}, "sample_rate is many: must be a whole number"),
        ({"mask_act_fn": "sigmoyd"}, "must be 'sigmoid'"),
        ({"num_fft": 1023, "window_size": 512, "hop_length": 256}, "num_fft is 1023: .*multiple of 2"),
        ({"window_size": 2048}, r"`window_size` is 2048: at most `num_fft` \(1024\)"),
        ({"hop_length": 513}, r"`hop_length` is 513: at most half of `window_size` \(512\)"),
        ({"sample_length": 0.001}, "`sample_length` is 0.001 s: at least `num_fft`"),
        ({"targets": []}, "targets is .*at least 1"),
        ({"targets": ["vocals", "vocals"]}, "targets is .*contains a target twice"),
        ({"targets": ["../vocals"]}, "cannot be the name of a stem"),
        ({"targets": ["residual"]}, "cannot be the name of a stem"),
        ({"mask_act_fn": "softmax"}, "softmax with one target"),
        ({"num_fft": float("nan")}, "num_fft"),
    ],
)
def test_values_out_of_range_give_one_line_that_names_the_setting(values, message):
    with pytest.raises(SettingsError, match=message) as caught:
        parse_settings(SpectrogramNetConfig, values)
    assert "\n" not in str(caught.value)
    assert "pydantic" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (SpectrogramNetConfig, {"window_size": 2048}, "`window_size` is 2048: at most `num_fft` (1024)"),
        (SCNetConfig, {"conv_kernel": 4}, "`conv_kernel` is 4: must be odd"),
        (StemConfig, {"bitrate": 192}, "`bitrate` is for lossy formats: wav is lossless"),
    ],
)
def test_settings_made_in_python_name_fields_rather_than_options(kind, values, message):
    with pytest.raises(SettingsError) as caught:
        kind(**values)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (TrainConfig, {"criterion": "l3"}),
        (TrainConfig, {"max_epoch": 3}),
        (SpectrogramNetConfig, {"targets": "vocals"}),
        (SpectrogramNetConfig, {"window_size": 2048}),
    ],
)
def test_settings_made_directly_are_refused_in_the_words_of_settings_that_are_parsed(kind, values):
    with pytest.raises(SettingsError) as parsed:
        parse_settings(kind, values)
    with pytest.raises(SettingsError) as made:
        kind(**values)
    assert str(made.value) == str(parsed.value)
    assert made.value.__cause__ is None


def test_settings_work_with_pydantic():
    """Validation and nesting give pydantic's own errors, which name the place."""

    class Pair(BaseModel):
        left: AppConfig
        right: AppConfig

    with pytest.raises(ValidationError):
        AppConfig.model_validate({"port": "no"})
    with pytest.raises(ValidationError) as caught:
        Pair.model_validate({"left": {"port": "no"}, "right": {"prot": 1}})
    assert [error["loc"] for error in caught.value.errors()] == [("left", "port"), ("right", "prot")]
    assert list(inspect.signature(AppConfig).parameters) == list(AppConfig.model_fields)


@pytest.mark.parametrize("spelling", ["si_sdr", "si-sdr"])
def test_hyphen_and_underscore_name_the_same_choice(spelling):
    assert parse_settings(TrainConfig, {"criterion": spelling}).model_dump()["criterion"] == "si_sdr"


def test_numeric_choices_can_be_typed():
    assert parse_settings(RecurrentNetConfig, {"input_axis": "0"}).input_axis == 0


def test_only_recurrent_nets_have_recurrent_settings():
    fields = {net: set(settings_of_net(net).model_fields) for net in NETS}
    assert "hidden_size" not in fields["SpectrogramNetSimple"]
    assert fields["SpectrogramNetLSTM"] == fields["SpectrogramNetVAE"]
    assert {"recurrent_depth", "hidden_size", "input_axis"} <= fields["SpectrogramNetVAE"]


def test_unknown_net_is_refused_with_a_suggestion():
    with pytest.raises(SettingsError, match="did you mean 'SpectrogramNetSimple'"):
        settings_of_net("SpectrogramNetSimpel")


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:1", "mps"])
def test_devices_are_accepted(device):
    assert SeparateConfig(device=device).device == device


@pytest.mark.parametrize(
    ("kind", "field", "value", "complaint"),
    [
        (TrainConfig, "lr", "abc", "must be a number"),
        (TrainConfig, "lr", [], "must be a number"),
        (TrainConfig, "lr", math.nan, "must be a finite number"),
        (TrainConfig, "batch_size", "abc", "must be a whole number"),
        (TrainConfig, "batch_size", 1.5, "must be a whole number"),
        (TrainConfig, "batch_size", None, "must be a whole number"),
        (TrainConfig, "batch_size", 0, "must be at least 1"),
        (TrainConfig, "batch_size", "9" * 5000, "must be a smaller number"),
        (TrainConfig, "use_amp", "maybe", "must be true or false"),
        (TrainConfig, "use_amp", [], "must be true or false"),
        (TrainConfig, "device", 5, "must be text"),
        (SeparateConfig, "save", 5, "must be a path"),
        (SeparateConfig, "targets", 5, "must be a list"),
        (AppConfig, "host", "", "must not be empty"),
        (AppConfig, "model", (), "must have at least 1"),
    ],
)
def test_values_of_a_wrong_type_are_refused_in_plain_words(kind, field, value, complaint):
    with pytest.raises(SettingsError) as refused:
        parse_settings(kind, {field: value})
    shown = str(value)[:200] or "''"
    assert str(refused.value) == f"{field} is {shown}: {complaint}"


def test_every_constraint_of_every_setting_is_complained_of_in_our_words():
    for name in config.__all__:
        kind = getattr(config, name)
        if not (isinstance(kind, type) and issubclass(kind, Settings)):
            continue
        for field in kind.model_fields:
            for value in (None, "\n", "", 1.5, -1e99, 1e99, [], {}, True, [1], "9" * 5000):
                try:
                    parse_settings(kind, {field: value})
                except SettingsError as error:
                    text = str(error)
                    assert not re.search(
                        "[Ii]nput|[Ss]tring|parse|valid |integer|boolean|[Tt]uple|<", text
                    ), text


def test_unknown_device_is_refused_with_the_choices():
    with pytest.raises(SettingsError, match="device is gpu: must be auto, cpu, cuda, cuda:N or mps"):
        parse_settings(SeparateConfig, {"device": "gpu"})


def test_reading_tells_a_missing_file_from_a_broken_one(tmp_path):
    path = tmp_path / "model.json"
    with pytest.raises(NotFoundError, match="no such file"):
        read_settings(path)
    path.write_text("{")
    with pytest.raises(SettingsError, match=r"cannot read .*expected a JSON object"):
        read_settings(path)
    path.write_text("[1]")
    with pytest.raises(SettingsError, match="found a JSON list"):
        read_settings(path)


def test_settings_load_without_torch():
    code = "import sys, auralflow.config, auralflow.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
