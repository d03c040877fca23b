"""What every command has in common: help, examples, messages, completion."""

import functools
import io
import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys

import pytest
from rich.console import Console

from auralflow import config
from auralflow.audio.formats import STEM_FORMATS
from auralflow.cli import app, console, main
from auralflow.cli.help import SETTING_GROUPS
from auralflow.config import TrainConfig
from auralflow.nets.unet import RecurrentNetConfig

WIDTH = 80


def walk(program, words=()):
    """Every command of the program, as words."""
    yield words
    for name in program:
        if not name.startswith("-"):
            yield from walk(program[name], (*words, name))


COMMANDS = list(walk(app))


@functools.cache
def help_page(words, width=WIDTH):
    page = io.StringIO()
    app.meta.help_print(list(words), console=Console(file=page, width=width, color_system=None))
    return page.getvalue()


def examples(words):
    lines = help_page(words, 200).partition("Examples:")[2].replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


ids = pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words) or "auralflow")


@ids
def test_save_has_the_same_short_form_everywhere(words):
    page = help_page(words)
    assert ("--save -o" in page) == ("--save " in page.partition("Examples:")[0])


@ids
def test_help_fits_into_80_columns(words):
    page = help_page(words)
    assert max(map(len, page.splitlines())) <= WIDTH
    # An example that is longer than the terminal would be broken and could not be copied.
    assert page.partition("Examples:")[2] == help_page(words, 200).partition("Examples:")[2]


@ids
def test_help_shows_every_option_of_the_command_in_a_group_and_those_of_all(words):
    page = help_page(words)
    for option in ("--verbose", "--quiet"):
        assert f" {option} " in page
    assert "─ Parameters ─" not in page
    assert "default: (" not in page
    if words and not list(walk(app[" ".join(words)] if len(words) == 1 else app[words[0]][words[1]]))[1:]:
        command = app[words[0]] if len(words) == 1 else app[words[0]][words[1]]
        for argument in command.assemble_argument_collection(parse_docstring=False):
            is_option = argument.parameter.name and argument.name.startswith("--")
            if is_option and argument.show and not argument.children:
                assert f"{argument.name} " in page


@ids
def test_examples_are_there_and_would_be_understood(words):
    if not words or words in (("data",), ("config",)):
        return
    assert examples(words)
    for example in examples(words):
        # torchrun … -m auralflow train …; what follows > or | is the shell's.
        if "auralflow" not in example:
            assert example[0] == "echo"
            continue
        tokens = example[example.index("auralflow") + 1 :]
        tokens = tokens[
            : min((tokens.index(mark) for mark in (">", ">>", "|") if mark in tokens), default=None)
        ]
        command, _, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
        assert callable(command)


def test_groups_name_only_options_that_exist_and_leave_none_of_a_training_out():
    kinds = {name: getattr(config, name) for name in config.__all__} | {"ModelOptions": RecurrentNetConfig}
    for name, groups in SETTING_GROUPS.items():
        fields = [field for group in groups.values() for field in group.split()]
        assert len(set(fields)) == len(fields)
        assert set(fields) <= set(kinds[name].model_fields)
    grouped = {
        field
        for name in ("TrainConfig", "AugmentConfig")
        for group in SETTING_GROUPS[name].values()
        for field in group.split()
    }
    assert set(TrainConfig.model_fields) - grouped == {"device", "seed", "silent"}


def test_a_usage_error_names_the_help_of_its_command(capsys):
    assert main(["data", "prepare", "songs"]) == 2
    assert "See auralflow data prepare --help." in capsys.readouterr().err


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "auralflow", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
    )


@pytest.fixture
def separate(tmp_path, model_folder, dataset):
    """Arguments of a small separation."""
    stems = sorted((dataset / "test" / "e").iterdir())
    stems[0].rename(stems[0].with_name("mixture.wav"))
    return ["separate", model_folder(), dataset / "test", "--save", tmp_path / "out"]


def test_results_go_to_stdout_and_the_rest_to_stderr(separate, tmp_path):
    done = run(*separate)
    assert done.returncode == 0
    *stems, last = done.stdout.splitlines()
    folder = tmp_path / "out/separated_audio/e"
    assert stems == [str(folder / f"{name}.wav") for name in ("original", "vocals", "drums")]
    assert re.fullmatch(r"1 song, \S+ s of audio in .+, .+x real time", last)
    # No terminal: no bar, and nothing to say.
    assert done.stderr == ""


def test_verbose_tells_more_on_stderr_only_wherever_it_stands(separate):
    done = run("--verbose", *separate)
    assert "SpectrogramNetSimple for vocals, drums on cpu with 1 threads" in done.stderr
    assert len(done.stdout.splitlines()) == 4
    assert "auralflow.cli.main: auralflow" in run(*separate, "--force", "--verbose").stderr


def test_verbose_shows_where_an_error_came_from_and_nothing_else_does(tmp_path):
    arguments = ["separate", tmp_path, tmp_path / "no.wav"]
    plain, verbose = run(*arguments), run(*arguments, "--verbose")
    assert plain.returncode == verbose.returncode == 2
    assert plain.stderr.startswith("error: ")
    assert len(plain.stderr.splitlines()) == 1
    assert "Traceback" in verbose.stderr
    assert verbose.stderr.splitlines()[-1] == plain.stderr.strip()


def test_quiet_keeps_results_and_errors(capsys, tmp_path, dataset, model_folder):
    folder = model_folder(weights=False)
    small = ["--max-samples", 2, "--batch-size", 2, "--max-epochs", 1, "--num-workers", 0]
    code = main([*map(str, ["train", folder, dataset, *small, "--resume", "--quiet"])])
    out, err = capsys.readouterr()
    assert code == 0
    assert out.startswith("best: epoch ")
    assert err == ""
    assert main(["separate", "nowhere", "no.wav", "--quiet"]) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert (
        main(["config", "SpectrogramNetSimple", "--bass", "--save", str(tmp_path / "m"), "--input-axis", "0"])
        == 0
    )
    assert capsys.readouterr().err.startswith("note: ")


def test_words_that_nothing_takes_are_named(capsys):
    assert main(["doctor", "extra"]) == 2
    assert capsys.readouterr().err == "error: Unexpected argument: 'extra'. See auralflow doctor --help.\n"


def test_verbose_and_quiet_exclude_each_other(capsys):
    assert main(["-q", "doctor", "--verbose"]) == 2
    assert "exclude each other" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def messages_as_before():
    yield
    console.set_messages()


def on_a_terminal(*arguments, **environment):
    """What a command writes to a terminal of 80 columns."""
    main_end, command_end = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "COLUMNS": "80"} | environment
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    process = subprocess.Popen(
        [sys.executable, "-m", "auralflow", *map(str, arguments)],
        stdin=command_end,
        stdout=command_end,
        stderr=command_end,
        env=environment,
    )
    os.close(command_end)
    text = b""
    while select.select([main_end], [], [], 300)[0]:
        try:
            part = os.read(main_end, 65536)
        except OSError:
            break
        if not part:
            break
        text += part
    os.close(main_end)
    process.wait(timeout=300)
    return text.decode()


COLOUR = re.compile(r"\x1b\[(?:\d+;)*(?:3\d|9\d|38;5;\d+)m")


def test_colours_only_on_a_terminal_and_never_with_no_color():
    assert COLOUR.search(on_a_terminal("data", "--help"))
    assert not COLOUR.search(on_a_terminal("data", "--help", NO_COLOR="1"))
    assert "\x1b" not in on_a_terminal("data", "--help", TERM="dumb")
    assert "\x1b" not in run("data", "--help").stdout


@pytest.fixture(scope="module")
def completion_script(tmp_path_factory):
    script = tmp_path_factory.mktemp("completion") / "completion.bash"
    script.write_text(run("completion", "bash").stdout)
    return script


def complete(line, script, folder):
    """What bash offers for a line, by the script that the program prints."""
    words = line.split(" ")
    quoted = " ".join(map(shlex.quote, words))
    program = (
        f"source {shlex.quote(str(script))}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        f"COMP_LINE={shlex.quote(line)}; COMP_POINT={len(line)}; "
        "_auralflow auralflow '' ''; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "-c", program], capture_output=True, text=True, check=True, cwd=folder, timeout=300
    )
    assert done.stderr == ""
    return [word.strip() for word in done.stdout.split("\n") if word.strip()]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_options_and_values(completion_script, tmp_path):
    assert set(complete("auralflow ", completion_script, tmp_path)) >= {"separate", "train", "data", "doctor"}
    assert complete("auralflow sep", completion_script, tmp_path) == ["separate"]
    assert set(complete("auralflow data ", completion_script, tmp_path)) >= {"check", "prepare", "import"}
    assert set(complete("auralflow train --view-", completion_script, tmp_path)) >= {
        "--view-spec",
        "--view-wav",
    }
    assert set(complete("auralflow separate m s.wav --format ", completion_script, tmp_path)) == set(
        STEM_FORMATS
    )


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_files(completion_script, tmp_path):
    (tmp_path / "song one.wav").touch()
    assert complete("auralflow separate model son", completion_script, tmp_path) == ["song one.wav"]


@pytest.mark.parametrize("shell", ["zsh", "fish", "powershell"])
def test_other_shells_get_a_script_too(capsys, shell):
    assert main(["completion", shell]) == 0
    assert "separate" in capsys.readouterr().out
