"""The web page as people use it: a real browser, a real server, a generated song."""

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import soundfile
import torch

from auralflow.models import create_model_folder, save_weights
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.synth import generate_song

pytest.importorskip("gradio", reason="needs the extra app")
playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra dev")

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: run make tools as root")

# A rate that makes short work of long songs.
RATE, SECONDS, LONG = 16000, 12, 115
PATIENCE = 60_000
"""Milliseconds that anything may take on a busy machine."""
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1200, "height": 900}


def make_model(folder, targets, num_hidden_channels=2):
    config = SpectrogramNetConfig(
        targets=targets,
        num_channels=2,
        num_hidden_channels=num_hidden_channels,
        sample_rate=RATE,
        num_fft=512,
        window_size=512,
        hop_length=256,
    )
    torch.manual_seed(0)
    create_model_folder(folder, config)
    save_weights(SpectrogramMaskModel(config), folder / "model.safetensors")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Models, songs, and what is no song."""
    folder = tmp_path_factory.mktemp("files")
    make_model(folder / "band", ("vocals", "drums", "bass", "other"))
    make_model(folder / "voice", ("vocals",))
    make_model(folder / "slow", ("vocals",), num_hidden_channels=32)
    song = sum(generate_song(3, seconds=SECONDS, sample_rate=RATE).values())
    soundfile.write(folder / "song.wav", song.T, RATE, subtype="PCM_16")
    soundfile.write(folder / "song.flac", song[:, : 3 * RATE].T, RATE, subtype="PCM_24")
    soundfile.write(folder / "long.wav", np.zeros((LONG * RATE, 2)), RATE, subtype="PCM_16")
    soundfile.write(folder / "too long.wav", np.zeros(8000 * 121), 8000)
    soundfile.write(folder / "too large.wav", np.zeros((40 * RATE, 2)), RATE, subtype="DOUBLE")
    (folder / "letter.wav").write_text("Dear listener, this is a letter.\n" * 40)
    return folder


class Server:
    """The command, in a process of its own."""

    def __init__(self, files, kept):
        self.kept = kept
        command = [
            sys.executable,
            "-m",
            "auralflow",
            "app",
            "--model",
            "band",
            "voice",
            "slow",
            "--port",
            "0",
        ]
        command += ["--folder", str(kept), "--max-duration", "120", "--max-size", "8", "--device", "cpu"]
        self.process = subprocess.Popen(
            command,
            cwd=files,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        line = self.process.stdout.readline()
        found = re.search(r"listening on (http://127\.0\.0\.1:\d+/)", line)
        assert found, line + self.process.stderr.read()
        self.address = found[1]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        errors = self.process.communicate(timeout=300)[1]
        return self.process.returncode, errors


@pytest.fixture(scope="module")
def server(files, tmp_path_factory):
    server = Server(files, tmp_path_factory.mktemp("kept"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def browser():
    # A microphone that beeps, and a person who allows it.
    arguments = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    arguments += ["--mute-audio", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with playwright.sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, server):
    """Opens the page as another person each time; nothing may fail in it, and nothing leave the machine."""
    contexts, faults = [], []

    def visit(address=server.address, viewport=DESKTOP):
        context = browser.new_context(viewport=viewport, permissions=["microphone"])
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((address, "data:", "blob:"))
                or faults.append(f"asked for {request.url}")
            ),
        )
        page.goto(address)
        button(page, "Separate").wait_for()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert faults == []


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def choose(page, path):
    if button(page, "Clear").count():
        button(page, "Clear").click()
    page.locator("input[type=file]").set_input_files(path)
    page.locator("#song").get_by_test_id("waveform-controls").wait_for()


def pick(page, model):
    page.get_by_label("Model").click()
    page.get_by_role("option", name=model).click()
    # Neither has drums.
    page.get_by_role("checkbox", name="drums").wait_for(state="detached")


def separate(page, path):
    choose(page, path)
    button(page, "Separate").click()
    page.locator(".mixer[data-state=ready]").wait_for()


def expect_failure(page, words):
    page.locator("#status .failure", has_text=words).wait_for()


MIXER = "[...document.querySelectorAll('#mixer *')].find(node => node.mixer).mixer"
"""The program behind the players."""


@pytest.fixture(scope="module")
def separated(browser, server, files):
    """A page on which a song has been separated; tests put back what they change."""
    context = browser.new_context(viewport=DESKTOP)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(server.address)
    separate(page, files / "song.wav")
    yield page
    context.close()


def test_a_song_is_separated_and_its_archive_adds_up_to_it(visit, files):
    page = visit()
    separate(page, files / "song.wav")
    assert page.locator(".track h3").all_inner_texts() == [
        "Original",
        "Vocals",
        "Drums",
        "Bass",
        "Other",
        "Residual",
    ]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all as a zip").click()
    assert download.value.suggested_filename == "song.zip"
    archive = zipfile.ZipFile(download.value.path())
    audio = {
        name.split("/")[1].removesuffix(".wav"): soundfile.read(io.BytesIO(archive.read(name)), dtype="int16")
        for name in archive.namelist()
    }
    assert {rate for _, rate in audio.values()} == {RATE}
    whole = audio.pop("original")[0].astype(int)
    assert set(audio) == {"vocals", "drums", "bass", "other", "residual"}
    np.testing.assert_array_equal(whole, soundfile.read(files / "song.wav", dtype="int16")[0])
    np.testing.assert_array_equal(whole, sum(samples.astype(int) for samples, _ in audio.values()))


def test_every_player_holds_the_audio_of_its_file(separated, server):
    assert separated.evaluate(f"{MIXER}.player.duration") == SECONDS
    assert float(separated.locator(".mixer").get_attribute("data-duration")) == SECONDS
    for index, name in enumerate(separated.evaluate(f"{MIXER}.tracks.map(track => track.name)")):
        with separated.expect_download() as download:
            separated.get_by_role("link", name=f"Download {name}", exact=True).click()
        file = soundfile.read(download.value.path(), dtype="float32")[0]
        assert separated.evaluate(f"{MIXER}.player.waves[{index}].frames") == len(file) == SECONDS * RATE
        start = 5 * RATE
        heard = separated.evaluate(
            f"{MIXER}.player.waves[{index}].samples({start}, 2000).then(all => all.map(one => [...one]))"
        )
        np.testing.assert_array_equal(np.array(heard).T, file[start : start + 2000])


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_the_players_read_every_depth(separated, server, subtype):
    (jobs,) = server.kept.glob("*/jobs")
    path = jobs / f"{subtype}.wav"
    audio = np.random.default_rng(0).uniform(-1, 1, (700, 3))
    soundfile.write(path, audio, 8000, subtype=subtype)
    heard = separated.evaluate(
        f"""async () => {{
            const Wave = {MIXER}.player.waves[0].constructor;
            const wave = await new Wave("/gradio_api/file={path}").open();
            return [wave.rate, wave.frames, (await wave.samples(100, 9999)).map(one => [...one])];
        }}"""
    )
    path.unlink()
    assert heard[:2] == [8000, 700]
    tolerance = 2 / 256 if subtype == "PCM_U8" else 2 / 65536 if subtype == "PCM_16" else 1e-6
    np.testing.assert_allclose(np.array(heard[2]).T, audio[100:], atol=tolerance)


LOUDEST = f"""async (place) => {{
    const output = {MIXER}.player.output;
    const samples = new Float32Array(output.fftSize);
    let loudest = 0;
    while ({MIXER}.player.now < place) {{
        output.getFloatTimeDomainData(samples);
        loudest = Math.max(loudest, ...samples.map(Math.abs));
        await new Promise(resolve => setTimeout(resolve, 20));
    }}
    return loudest;
}}"""


def wait_for_sound(page):
    page.wait_for_function(f"{MIXER}.player.now > 0.3")


def set_levels(page, *levels):
    """Set the levels, and wait by the player's own clock until they are reached."""
    begun = page.evaluate(f"{MIXER}.player.setLevels({list(levels)}), {MIXER}.player.now")
    page.wait_for_function(f"{MIXER}.player.now > {begun} + 0.3")


def stop(page):
    page.evaluate(f"{MIXER}.player.pause(), {MIXER}.player.seek(0), {MIXER}.update()")


def test_all_tracks_play_in_step_to_the_sample(separated):
    button(separated, "Play").last.click()
    wait_for_sound(separated)
    # What is heard beside the original adds up to it: against it, nothing is left, at any time.
    set_levels(separated, -1, 1, 1, 1, 1, 1)
    left = separated.evaluate(LOUDEST, 4)  # past the seam of two pieces
    set_levels(separated, 1, 0, 0, 0, 0, 0)
    assert separated.evaluate(LOUDEST, separated.evaluate(f"{MIXER}.player.now") + 0.5) > 0.05
    assert left < 1e-4
    stop(separated)


def test_mute_solo_and_volume_decide_what_is_heard(separated):
    page = separated
    levels = f"{MIXER}.player.levels"
    assert page.evaluate(levels) == [0, 1, 1, 1, 1, 1]  # the original only repeats the others
    button(page, "Mute drums").click()
    assert page.evaluate(levels) == [0, 1, 0, 1, 1, 1]
    assert button(page, "Mute drums").get_attribute("aria-pressed") == "true"
    button(page, "Solo drums").click()
    assert page.evaluate(levels) == [0, 0, 1, 0, 0, 0]
    page.get_by_label("Volume of drums").fill("50")
    assert page.evaluate(levels) == [0, 0, 0.5, 0, 0, 0]
    button(page, "Solo drums").click()
    button(page, "Mute drums").click()
    page.get_by_label("Volume of drums").fill("100")
    assert page.evaluate(levels) == [0, 1, 1, 1, 1, 1]


def test_playing_goes_on_from_where_it_was_put_and_ends_at_the_end(separated):
    page = separated
    page.get_by_label("Position", exact=True).fill("11")
    assert "11 seconds of 12 seconds" in page.get_by_label("Position", exact=True).get_attribute(
        "aria-valuetext"
    )
    button(page, "Play").last.click()
    page.locator(".mixer[data-playing=true]").wait_for()
    page.wait_for_function(f"{MIXER}.player.now > 11.2")
    page.locator(".mixer[data-playing=false]").wait_for()
    assert page.evaluate(f"{MIXER}.player.now") == SECONDS
    stop(page)


def test_a_click_on_a_waveform_goes_there(separated):
    lane = separated.locator(".vocals .lane")
    box = lane.bounding_box()
    lane.click(position={"x": box["width"] / 4, "y": 10})
    assert separated.evaluate(f"{MIXER}.player.now") == pytest.approx(SECONDS / 4, abs=0.1)
    stop(separated)


def test_spectrograms_are_shown_on_demand(separated):
    pictures = separated.locator(".lane img")
    assert not pictures.first.is_visible()
    button(separated, "Spectrograms").click()
    separated.get_by_role("img", name="Spectrogram of residual").scroll_into_view_if_needed()
    separated.wait_for_function(
        "[...document.querySelectorAll('.lane img')].every(one => one.complete && one.naturalWidth > 100)"
    )
    assert pictures.count() == 6
    button(separated, "Spectrograms").click()
    assert not pictures.first.is_visible()


def test_the_page_is_worked_by_keyboard_alone(visit, files):
    page = visit(viewport=DESKTOP)

    def walk_to(name, role="button"):
        for _ in range(60):
            page.keyboard.press("Tab")
            told = page.evaluate(
                """() => {const node = document.activeElement; return [
                    node.getAttribute("aria-label") ?? node.closest("label")?.innerText ?? node.innerText,
                    node.getAttribute("role") ?? node.type ?? node.tagName]}"""
            )
            if told[0] and told[0].strip() == name:
                return
        raise AssertionError(f"no {name} on the way")

    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
    chooser.value.set_files(files / "song.flac")
    page.locator("#song").get_by_test_id("waveform-controls").wait_for()
    walk_to("bass")
    page.keyboard.press("Space")
    walk_to("Separate")
    page.keyboard.press("Enter")
    page.locator(".mixer[data-state=ready]").wait_for()
    assert page.locator("#announcements [role=status]").inner_text() == "done; the players are below"
    assert page.locator(".track.bass").count() == 0
    walk_to("Play")
    page.keyboard.press("Space")
    page.locator(".mixer[data-playing=true]").wait_for()
    page.keyboard.press("Space")
    page.locator(".mixer[data-playing=false]").wait_for()
    walk_to("Position")
    page.keyboard.press("End")
    assert page.evaluate(f"{MIXER}.player.now") == 3
    walk_to("Solo vocals")
    page.keyboard.press("Enter")
    assert page.evaluate(f"{MIXER}.player.levels") == [0, 1, 0, 0, 0]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_nothing_bars_people_with_disabilities_and_all_fits_the_screen(separated, viewport, colours):
    separated.emulate_media(color_scheme=colours)
    separated.set_viewport_size(viewport)
    separated.wait_for_timeout(300)
    faults = axe.Axe().run(separated).response["violations"]
    width = separated.evaluate("document.documentElement.scrollWidth")
    separated.emulate_media(color_scheme="light")
    separated.set_viewport_size(DESKTOP)
    assert [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in faults] == []
    assert width == viewport["width"]


def test_progress_with_the_time_left_is_told(visit, files):
    page = visit()
    page.evaluate(
        """() => {
            window.told = [];
            const look = () => window.told.push(document.querySelector("#status").innerText);
            const everything = {subtree: true, childList: true, characterData: true};
            new MutationObserver(look).observe(document.querySelector("#status"), everything);
        }"""
    )
    separate(page, files / "long.wav")
    told = " ".join(page.evaluate("window.told"))
    assert re.search(r"Separating: \d+ %, (about \d+ s|a few seconds) left", told)
    assert "Drawing the stems" in told


def test_cancelling_stops_and_leaves_nothing(visit, files, server):
    page = visit()
    (jobs,) = server.kept.glob("*/jobs")
    before = set(jobs.iterdir())
    pick(page, "slow")
    choose(page, files / "long.wav")
    button(page, "Separate").click()
    page.locator("#status", has_text="Separating").wait_for()
    button(page, "Cancel").click()
    expect_failure(page, "Stopped")
    assert set(jobs.iterdir()) == before
    assert page.locator(".track").count() == 0


def test_closing_the_tab_stops_the_work(visit, files, server):
    page = visit()
    (jobs,) = server.kept.glob("*/jobs")
    before = set(jobs.iterdir())
    pick(page, "slow")
    choose(page, files / "long.wav")
    button(page, "Separate").click()
    page.locator("#status", has_text="Separating").wait_for()
    assert set(jobs.iterdir()) != before
    page.close()
    deadline = time.monotonic() + 300
    while set(jobs.iterdir()) != before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert set(jobs.iterdir()) == before


def test_two_people_at_once_each_get_their_own_song(visit, files):
    first, second = visit(), visit()
    choose(first, files / "long.wav")
    choose(second, files / "song.flac")
    button(first, "Separate").click()
    first.locator("#status", has_text="Separating").wait_for()
    button(second, "Separate").click()
    second.locator("#status", has_text="Waiting: one song comes first").wait_for()
    for page, name, seconds in ((first, "long", LONG), (second, "song", 3)):
        page.locator(".mixer[data-state=ready]").wait_for()
        assert page.locator(".mixer h2").inner_text() == name
        assert page.evaluate(f"{MIXER}.player.duration") == seconds


def test_another_model_offers_its_own_stems(visit, files):
    page = visit()
    pick(page, "voice")
    separate(page, files / "song.flac")
    assert page.locator(".track h3").all_inner_texts() == ["Original", "Vocals", "Residual"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("letter.wav", "Cannot read 'letter.wav'"),
        ("too long.wav", "found at least 2:01 minutes, expected at most 2:00 minutes"),
    ],
)
def test_a_bad_file_is_refused_with_a_message_and_the_next_one_is_taken(visit, files, name, words):
    page = visit()
    page.locator("input[type=file]").set_input_files(files / name)
    page.locator("#song").get_by_role("button", name="Clear").wait_for()
    button(page, "Separate").click()
    expect_failure(page, words)
    assert page.locator("#announcements").inner_text() != ""
    page.reload()
    separate(page, files / "song.flac")


def test_a_file_that_is_too_large_is_not_taken(visit, files, server):
    page = visit()
    page.locator("input[type=file]").set_input_files(files / "too large.wav")
    page.get_by_text("exceed the maximum allowed size").wait_for()
    # Whoever goes past the page is refused by the server.
    content = {"name": "a.wav", "mimeType": "audio/wav", "buffer": (files / "too large.wav").read_bytes()}
    answer = page.request.post(f"{server.address}gradio_api/upload", multipart={"files": content})
    assert answer.status == 413
    assert not list(server.kept.glob("**/too*large.wav"))


def test_a_recording_is_separated_too(visit):
    page = visit()
    song = page.locator("#song")
    song.get_by_role("button", name="Record audio").click()
    song.get_by_role("button", name="Record", exact=True).click()
    page.wait_for_timeout(1500)
    song.get_by_role("button", name="Stop", exact=True).locator("visible=true").click()
    # The recorder shows a waveform as well, while it still uploads; the player is there once that is done.
    song.get_by_test_id("audio-player-Song").wait_for(state="attached")
    button(page, "Separate").click()
    page.locator(".mixer[data-state=ready]").wait_for()
    assert 0.5 < page.evaluate(f"{MIXER}.player.duration") < 5


def test_no_song_is_no_error_but_a_word(visit):
    page = visit()
    button(page, "Separate").click()
    expect_failure(page, "No song was chosen")


def test_the_server_serves_no_other_files(visit, files, server):
    page = visit()
    for path in (files / "song.wav", "/etc/passwd", server.kept):
        answer = page.request.get(f"{server.address}gradio_api/file={path}")
        assert answer.status in (403, 404), path


def test_stems_and_songs_are_gone_when_the_server_ends(files, tmp_path, visit):
    server = Server(files, tmp_path)
    page = visit(server.address)
    separate(page, files / "song.flac")
    assert list(tmp_path.glob("**/vocals.wav"))
    assert list(tmp_path.glob("*/uploads/**/song.flac"))
    page.goto("about:blank")
    code, errors = server.stop()
    assert list(tmp_path.iterdir()) == []
    assert code == 0
    assert "Traceback" not in errors
