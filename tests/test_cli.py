"""The command line, as a person meets it: every command, its errors and its exit codes."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from itertools import chain
from typing import get_args

import numpy as np
import pytest
from conftest import RATE

from auralflow.audio import probe, write_audio
from auralflow.cli import app, main
from auralflow.cli.config_command import NOT_OPTIONS
from auralflow.cli.training import ProgressCallback
from auralflow.config import SOURCES, TrainConfig
from auralflow.nets.families import all_nets
from auralflow.nets.unet import NETS
from auralflow.trainer.callbacks import TrainingState

PARAMETERS = dict(zip(NETS, ("7,782,423", "32,451,095", "39,527,511"), strict=True))

REFERENCE_CONFIG = [
    "--display",
    "--vocals",
    "--num-channels",
    "1",
    "--num-hidden-channels",
    "16",
    "--sample-length",
    "3",
    "--sample-rate",
    "44100",
    "--dropout-p",
    "0.4",
    "--leak-factor",
    "0",
    "--normalize-input",
    "--normalize-output",
    "--recurrent-depth",
    "3",
    "--hidden-size",
    "1024",
    "--input-axis",
    "1",
    "--mask-act-fn",
    "sigmoid",
    "--num-fft",
    "2048",
    "--window-size",
    "2048",
    "--hop-length",
    "1024",
]
TINY_CONFIG = [
    "--vocals",
    "--drums",
    "--num-hidden-channels",
    "2",
    "--sample-length",
    "0.5",
    "--sample-rate",
    "8000",
    "--num-fft",
    "256",
    "--window-size",
    "256",
    "--hop-length",
    "128",
]
TINY_TRAIN = [
    "--max-samples",
    "4",
    "--batch-size",
    "2",
    "--max-epochs",
    "2",
    "--num-workers",
    "0",
    "--valid-samples",
    "2",
]


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    assert "Traceback" not in output.err + output.out
    return code, output.out, output.err


def error_line(capsys, code, *arguments):
    """Run a command that must fail with one line, and return that line."""
    found, out, err = run(capsys, *arguments)
    assert (found, out) == (code, "")
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert err.splitlines()[-1] == lines[0]
    return lines[0]


@pytest.fixture
def trained(tmp_path, dataset, capsys):
    folder = tmp_path / "m"
    assert run(capsys, "config", NETS[0], "--save", folder, *TINY_CONFIG)[0] == 0
    assert run(capsys, "train", folder, dataset, *TINY_TRAIN)[0] == 0
    return folder


@pytest.mark.parametrize(("net", "millions"), PARAMETERS.items())
def test_the_reference_command_line_runs_with_each_net(capsys, tmp_path, net, millions):
    code, out, err = run(capsys, "config", net, "--save", tmp_path / "m", *REFERENCE_CONFIG)
    assert code == 0
    assert millions in out
    stored = json.loads((tmp_path / "m" / "model.json").read_text())
    assert ("hidden_size" in stored) == (net != "SpectrogramNetSimple")
    if net == "SpectrogramNetSimple":
        note = "note: --recurrent-depth, --hidden-size, --input-axis: no effect on SpectrogramNetSimple"
        assert note in err
    else:
        assert err == ""


REFERENCE_OPTIONS = {
    "num_channels",
    "num_hidden_channels",
    "sample_length",
    "sample_rate",
    "dropout_p",
    "leak_factor",
    "normalize_input",
    "normalize_output",
    "mask_act_fn",
    "num_fft",
    "window_size",
    "hop_length",
    "recurrent_depth",
    "hidden_size",
    "input_axis",
}
RECURRENT = {"recurrent_depth", "hidden_size", "input_axis"}


def shown_options(net):
    return {
        argument.name.removeprefix("--").replace("-", "_")
        for argument in app["config"][net].assemble_argument_collection(parse_docstring=False)
        if argument.show and not argument.children
    }


def test_each_net_has_its_own_options_and_ours_those_of_the_reference():
    own = {"save", "display", "force", *SOURCES, "targets", "net_version"}
    assert shown_options("SpectrogramNetSimple") - own == REFERENCE_OPTIONS - RECURRENT
    for name in ("SpectrogramNetLSTM", "SpectrogramNetVAE"):
        assert shown_options(name) - own == REFERENCE_OPTIONS
    for family, net in all_nets():
        fields = {
            option
            for option, field in net.settings.model_fields.items()
            if option not in NOT_OPTIONS and len(get_args(field.annotation)) != 1
        }
        assert shown_options(net.name) - own | {"net_version"} == fields | {"net_version"}, family.name


def test_underscores_are_as_good_as_hyphens(capsys, tmp_path):
    arguments = ("--save", tmp_path / "m", "--bass", "--num_channels", 2, "--mask_act_fn", "leaky-relu")
    assert run(capsys, "config", NETS[0], *arguments)[0] == 0
    stored = json.loads((tmp_path / "m" / "model.json").read_text())
    assert (stored["num_channels"], stored["mask_act_fn"]) == (2, "leaky_relu")


def test_targets_are_stored_in_one_order(capsys, tmp_path):
    run(capsys, "config", NETS[0], "--save", tmp_path / "m", "--other", "--drums", "--vocals")
    assert json.loads((tmp_path / "m" / "model.json").read_text())["targets"] == ["vocals", "drums", "other"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["config", NETS[0]],
            "no targets given: expected one or more of --vocals --drums --bass --other",
        ),
        (["config", "Nope", "--vocals"], '"Nope".*SpectrogramNetSimple'),
        (["config", NETS[0], "--vocals", "--num-channels", "99"], "--num-channels is 99: must be at most 8"),
        (["config", NETS[0], "--vocals", "--num_chanels", "1"], "Did you mean --num-channels"),
        (
            ["config", NETS[0], "--vocals", "--hop-length", "999"],
            "--hop-length is 999: at most half of --window-size",
        ),
        (["config", "SCNet", "--conv-kernel", "4"], "--conv-kernel is 4: must be odd"),
        (["separate", "song.wav", "--bitrate", "192"], "--bitrate is for lossy formats: wav is lossless"),
        (["config", NETS[0], "--vocals", "--mask-act-fn", "x"], "--mask-act-fn is x: must be 'sigmoid'"),
        (["config", NETS[0], "--no-vocals"], "--no-vocals"),
        (["train", "nowhere", "data"], "no model 'nowhere'"),
        (["train", "nowhere", "data", "--lr", "-1"], "--lr is -1: must be greater than 0"),
        (["train", "nowhere", "data", "--criterion", "x"], "--criterion is x: must be 'component'"),
        (["separate"], "no songs given"),
        (["separate", "nowhere"], "no such file or folder: 'nowhere'"),
        (["separate", "nowhere", "--targets", "vocals", "drums"], "with commas: --targets vocals,drums"),
        (["separate", "https://example.org/a.mp3"], "'a.mp3' is a URL"),
        (["separate", "nowhere", "song.wav"], "no model, file or folder 'nowhere': expected"),
        (["evaluate", "nowhere", "data"], "no model 'nowhere'"),
        (
            ["evaluate", "nowhere", "data", "--subset", "all"],
            "--subset is all: must be 'train', 'valid' or 'test'",
        ),
        (["train", "nowhere", "data", "--use-amp=x"], "--use-amp is x: must be true or false"),
        (["synth", "songs", "--tracks", "1" + 30 * "0"], "must be at most 1000000"),
        (["synth", "songs", "--tracks", "0"], "--tracks is 0: must be at least 1"),
        (["nonsense"], 'Unknown command "nonsense"'),
        (["train"], "MODEL"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert re.search(message, error_line(capsys, 2, *arguments))
    assert list(tmp_path.iterdir()) == []


def test_a_song_in_the_place_of_a_command_gets_the_command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my song.wav").touch()
    assert error_line(capsys, 2, "my song.wav").endswith("To separate it: auralflow separate 'my song.wav'")


@pytest.mark.parametrize("name", ["-song.wav", "--song.wav", "-my song.wav"])
def test_a_file_that_reads_as_an_option_gets_the_way_to_write_it(capsys, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).touch()
    assert error_line(capsys, 2, "separate", name).endswith(shlex.quote(f"./{name}"))


def test_an_existing_model_is_kept_unless_forced(capsys, tmp_path):
    run(capsys, "config", NETS[0], "--save", tmp_path / "m", "--vocals")
    before = (tmp_path / "m" / "model.json").read_bytes()
    line = error_line(capsys, 2, "config", NETS[0], "--save", tmp_path / "m", "--drums")
    assert "--force" in line
    assert (tmp_path / "m" / "model.json").read_bytes() == before
    code, _, err = run(capsys, "config", NETS[0], "--save", tmp_path / "m", "--drums", "--force")
    assert code == 0
    assert "previous-" in err


def test_from_settings_to_scores(capsys, tmp_path, dataset, trained):
    song = dataset / "test" / "e"
    code, out, _ = run(capsys, "evaluate", trained, dataset, "--save", tmp_path / "scores.json")
    assert code == 0
    assert "SI-SDR improvement, dB" in out
    report = json.loads((tmp_path / "scores.json").read_text())
    assert [track["track"] for track in report["tracks"]] == ["e"]
    assert set(report["mean"]) == {"vocals", "drums", "accompaniment", "residual"}

    write_audio(song / "mixture.wav", np.zeros((2, 5000), np.float32), 11025)
    code, out, _ = run(capsys, "separate", trained, song, "--residual", "--save", tmp_path / "out")
    assert code == 0
    stems = tmp_path / "out" / "separated_audio" / "e"
    assert str(stems) in out
    assert {path.stem for path in stems.iterdir()} == {"original", "vocals", "drums", "residual"}
    assert probe(stems / "vocals.wav").frames == 5000


def test_stems_of_another_run_are_named(capsys, tmp_path, trained):
    write_audio(tmp_path / "a.wav", np.zeros((1, 5000), np.float32), RATE)
    command = ("separate", trained, tmp_path / "a.wav", "--save", tmp_path)
    assert "another run" not in run(capsys, *command)[1]
    code, out, _ = run(capsys, *command, "--targets", "vocals", "--format", "flac")
    assert code == 0
    assert "\n(also here, from another run: drums.wav, original.wav, vocals.wav)\n" in out


def test_the_bar_of_a_resumed_epoch_counts_all_its_batches():
    progress = ProgressCallback(max_epochs=2, silent=True)
    state = TrainingState(batch=7)
    progress.on_train_start(state, 16)
    [task] = progress.progress.tasks
    assert (task.completed, task.total, task.description) == (7, 16, "epoch 1/2")


@pytest.mark.parametrize(
    ("command", "told"), [("separate", "the same command resumes from there"), ("evaluate", "stopped")]
)
def test_who_stops_a_command_is_told_so(capsys, monkeypatch, dataset, trained, tmp_path, command, told):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("auralflow.separation.separate_files", stop)
    monkeypatch.setattr("auralflow.evaluation.compare", stop)
    code, _, err = run(
        capsys, command, trained, dataset, *(["--save", tmp_path] if command == "separate" else [])
    )
    assert code == 130
    assert told in err


@pytest.fixture
def stop_with_memory_kept(monkeypatch):
    """Stops a run like Ctrl-C, but only once its memory is kept."""
    kept = []

    @contextmanager
    def memory_kept():
        kept.append(True)
        yield True
        kept.append(False)

    def stop(*_, **__):
        assert kept == [True]
        raise KeyboardInterrupt

    monkeypatch.setattr("auralflow.allocator.memory_kept", memory_kept)
    return stop


def test_a_dry_run_keeps_memory_like_the_run_and_promises_nothing_when_stopped(
    capsys, monkeypatch, dataset, trained, stop_with_memory_kept
):
    monkeypatch.setattr("auralflow.separation.plan_files", stop_with_memory_kept)
    code, _, err = run(capsys, "separate", trained, dataset, "--dry-run")
    assert code == 130
    assert err.splitlines()[-1] == "stopped"


@pytest.mark.parametrize(
    ("work", "command"),
    [
        ("auralflow.separation.separate_files", ["separate"]),
        ("auralflow.evaluation.compare", ["evaluate"]),
        ("auralflow.trainer.train", ["train", "--force"]),
    ],
)
def test_commands_that_run_a_net_keep_memory(
    capsys, monkeypatch, dataset, trained, stop_with_memory_kept, work, command
):
    monkeypatch.setattr(work, stop_with_memory_kept)
    assert run(capsys, *command, trained, dataset)[0] == 130


def test_a_folder_with_a_broken_file_separates_the_others_and_exits_1(capsys, tmp_path, trained):
    for name in ("a", "c"):
        write_audio(tmp_path / "in" / f"{name}.wav", np.zeros((1, 5000), np.float32), RATE)
    (tmp_path / "in" / "b.mp3").write_text("no audio")
    code, out, err = run(capsys, "separate", trained, tmp_path / "in", "--save", tmp_path)
    assert code == 1
    assert len(out.splitlines()) == 2
    assert "error: 2 of 3 songs" in err
    assert "; 1 failed, listed in " in err
    assert "b.mp3" in err


def test_work_that_fails_exits_1(capsys, tmp_path, dataset, trained):
    (trained / "model.safetensors").write_bytes(b"rubbish")
    assert "cannot read the weights" in error_line(capsys, 1, "evaluate", trained, dataset)
    (trained / "model.json").write_text("{")
    assert "model.json" in error_line(capsys, 1, "separate", trained, dataset / "test")
    (tmp_path / "empty").mkdir()
    assert "model.json" in error_line(capsys, 1, "train", trained, tmp_path / "empty")


def test_a_dataset_that_cannot_be_used_exits_1(capsys, tmp_path, dataset, model_folder):
    folder = model_folder(weights=False)
    (tmp_path / "empty").mkdir()
    assert "no training track" in error_line(capsys, 1, "train", folder, tmp_path / "empty")
    write_audio(dataset / "train" / "a" / "bass.wav", np.zeros((2, 9), np.float32), RATE)
    assert "differ" in error_line(capsys, 1, "train", folder, dataset)
    assert not (folder / "trainer.json").exists()


def test_training_names_the_tracks_that_it_holds_out(capsys, dataset, model_folder):
    folder = model_folder(weights=False)
    assert "held out" not in run(capsys, "train", folder, dataset, *TINY_TRAIN)[2]
    (dataset / "valid" / "d").rename(dataset / "train" / "d")
    err = run(capsys, "train", folder, dataset, *TINY_TRAIN, "--force")[2]
    assert f"note: '{dataset}' has no validation tracks; held out of the training tracks: 'a'\n" in err


def test_training_twice_needs_resume_or_force(capsys, dataset, trained):
    line = error_line(capsys, 2, "train", trained, dataset, *TINY_TRAIN)
    assert "--resume" in line
    code, _, err = run(capsys, "train", trained, dataset, "--resume", "--max-epochs", 3)
    assert code == 0
    assert " 3/3 " in err
    assert " 2/3 " not in err
    assert "4/3" not in err
    assert "is finished" not in err
    # What was not typed again comes from the run before.
    assert json.loads((trained / "trainer.json").read_text())["batch_size"] == 2
    code, _, err = run(capsys, "train", trained, dataset, *TINY_TRAIN, "--force", "--silent")
    assert code == 0
    assert "moved to" in err
    assert "saved" not in err


def test_resuming_a_finished_training_run_says_what_would_continue_it(capsys, dataset, model_folder):
    never_better = ["--stop-patience", 1, "--min-delta", 1e9, "--max-plateaus", 1]
    for number, (options, reason) in enumerate(
        [
            ([], "after 2 epochs; raise --max-epochs to"),
            (never_better, "after 1 plateau; raise --max-plateaus to"),
        ]
    ):
        tiny = [*TINY_TRAIN[:5], 9 if options else 2, *TINY_TRAIN[6:]]
        command = ["train", model_folder(name=str(number), weights=False), dataset, *tiny, *options]
        assert "is finished" not in run(capsys, *command)[2]
        code, out, err = run(capsys, *command, "--resume")
        assert code == 0
        assert f"note: this training run is finished, {reason} continue, or start over with --force" in err
        assert "best: epoch" in out


def test_display_and_silent(capsys, tmp_path, dataset, model_folder):
    folder = model_folder(weights=False)
    log = tmp_path / "log"
    code, out, err = run(capsys, "train", folder, dataset, *TINY_TRAIN, "--display", "--log-file", log)
    assert code == 0
    assert "max_grad_norm" in out
    assert "saved" in err
    assert err.index("floor:") < err.index("saved")
    # What a terminal shows before there is a bar.
    assert re.findall(r"auralflow: (starting|preparing the training)", log.read_text()) == [
        "starting",
        "preparing the training",
    ]
    assert "best: epoch " in out


def test_resume_without_a_checkpoint_starts_from_the_beginning_and_says_so(capsys, dataset, model_folder):
    folder = model_folder(weights=False)
    code, _, err = run(capsys, "train", folder, dataset, *TINY_TRAIN, "--resume")
    assert code == 0
    assert "note: --resume: no checkpoint found, training starts from the beginning" in err


def test_synth_writes_a_dataset_that_can_be_trained_on(capsys, tmp_path, model_folder):
    songs = tmp_path / "songs"
    arguments = ("--tracks", 3, "--seconds", 2, "--sample-rate", RATE, "--seed", 1)
    assert run(capsys, "synth", songs, *arguments)[0] == 0
    assert sorted(path.name for path in songs.iterdir()) == ["test", "train", "valid"]
    assert run(capsys, "train", model_folder(weights=False), songs, *TINY_TRAIN)[0] == 0


# A terminal sends Ctrl-C to the whole process group, and batch systems their SIGTERM.
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_signal_to_stop_saves_exits_130_and_can_be_resumed(dataset, model_folder, number, workers):
    folder = model_folder(weights=False)
    options = dict(zip(TINY_TRAIN[::2], TINY_TRAIN[1::2], strict=True))
    options |= {"--max-samples": 4000, "--checkpoint-minutes": 1e-4, "--num-workers": workers}
    arguments = ["train", folder, dataset, *chain.from_iterable(options.items())]
    process = subprocess.Popen(
        [sys.executable, "-m", "auralflow", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    # A first checkpoint tells that batches are being trained.
    deadline = time.monotonic() + 300
    checkpoint = folder / "checkpoint" / "last"
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, number)
    _, err = process.communicate(timeout=300)
    assert "Traceback" not in err
    assert process.returncode == 130
    assert "continue with --resume" in err
    assert checkpoint.is_file()


def test_help_and_version_load_no_torch_and_answer_at_once():
    code = (
        "import sys, auralflow.cli\n"
        "for line in ('--help', 'config SpectrogramNetVAE --help', 'train --help', '--version'):\n"
        "    assert auralflow.cli.main(line.split()) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    for word in ("config", "train", "separate", "evaluate", "synth", "--hop-length", "--stop-patience"):
        assert word in result.stdout


def test_the_options_of_all_nets_are_only_collected_for_config():
    code = (
        "import sys, auralflow.cli\n"
        "assert auralflow.cli.main(['train', 'nowhere', 'nowhere']) == 2\n"
        "assert 'auralflow.cli.config_command' not in sys.modules\n"
        "assert auralflow.cli.main(['config', '--help']) == 0\n"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)


def test_paths_are_checked_before_pytorch_loads(tmp_path, model_folder, dataset):
    model = model_folder(weights=False)
    wrong = [
        f"config SpectrogramNetSimple --vocals --save {model}",
        "data check nowhere",
        "data prepare nowhere cache",
        "data import nowhere dataset",
        f"ensemble {model} nowhere",
        f"ensemble {model} {model} --fit nowhere",
        f"ensemble {model} {model} --save {model}",
        f"ensemble {model} {model} --weights nonsense",
        f"train nowhere {dataset}",
        f"train {model} nowhere",
        f"train {model} {dataset} --init nowhere",
        f"evaluate nowhere {dataset}",
        f"evaluate {model} nowhere",
        "export nowhere net.onnx",
        "app --model nowhere",
    ]
    code = (
        "import sys, auralflow.cli\n"
        f"for line in {wrong!r}:\n"
        "    assert auralflow.cli.main(line.split()) == 2, line\n"
        "    assert 'torch' not in sys.modules, line\n"
        "assert auralflow.cli.main('config SpectrogramNetSimple --vocals --save made'.split()) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr.count("error: ") == len(wrong)
    assert (tmp_path / "made" / "model.json").is_file()


def test_commands_say_what_they_do_while_they_load(capsys, tmp_path, trained, dataset):
    commands = {
        ("data", "check", dataset): ["starting"],
        ("synth", tmp_path / "songs", "--tracks", 1, "--seconds", 1, "--sample-rate", RATE): ["starting"],
        ("config", "SpectrogramNetSimple", "--vocals", "--save", tmp_path / "new", "--display"): [
            "counting the parameters"
        ],
        ("ensemble", trained, trained, "--save", tmp_path / "both", "--fit", dataset): [
            "starting",
            "reading the models",
            "starting",
            "writing the ensemble",
        ],
    }
    for number, (command, stages) in enumerate(commands.items()):
        log = tmp_path / f"{number}.log"
        assert run(capsys, *command, "--log-file", log)[0] == 0
        assert re.findall(r" INFO auralflow: (\w.*)", log.read_text()) == stages


def test_the_module_can_be_run():
    result = subprocess.run([sys.executable, "-m", "auralflow", "nonsense"], capture_output=True, check=False)
    assert result.returncode == 2


def test_every_training_setting_is_an_option(capsys):
    assert main(["train", "--help"]) == 0
    out = capsys.readouterr().out
    for name in TrainConfig.model_fields:
        assert f"--{name.replace('_', '-')}" in out
