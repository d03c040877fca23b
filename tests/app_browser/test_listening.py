"""The players of a separated song: mouse, keyboard, both widths, light and dark mode."""

import io
import zipfile

import numpy as np
import pytest
import soundfile

from app_browser.steps import (
    DESKTOP,
    MIXER,
    PHONE,
    RATE,
    SECONDS,
    button,
    chosen,
    focused,
    ready,
    settled,
    top_of,
)


def test_the_archive_adds_up_to_the_song(separated, files):
    names = ["Original", "Instrumental", "Vocals", "Drums", "Bass", "Other", "Residual"]
    assert separated.locator(".track h3").all_inner_texts() == names
    with separated.expect_download() as download:
        separated.get_by_role("link", name="Download all").click()
    assert download.value.suggested_filename == "song - stems (WAV).zip"
    archive = zipfile.ZipFile(download.value.path())
    audio = {}
    for name in archive.namelist():
        samples, rate = soundfile.read(io.BytesIO(archive.read(name)), dtype="int16")
        assert rate == RATE
        audio[name.removeprefix("song/song - ").removesuffix(".wav")] = samples.astype(int)
    assert set(audio) == {name.lower() for name in names}
    whole, instrumental = audio.pop("original"), audio.pop("instrumental")
    np.testing.assert_array_equal(whole, soundfile.read(files / "song.wav", dtype="int16")[0])
    np.testing.assert_array_equal(whole, sum(audio.values()))
    np.testing.assert_array_equal(whole, audio["vocals"] + instrumental)


def test_every_player_holds_the_audio_of_its_file(separated):
    assert separated.evaluate(f"{MIXER}.player.duration") == SECONDS
    assert float(separated.locator(".mixer").get_attribute("data-duration")) == SECONDS
    for index, name in enumerate(separated.evaluate(f"{MIXER}.tracks.map(track => track.name)")):
        with separated.expect_download() as download:
            separated.get_by_role("link", name=f"Save {name}", exact=True).click()
        file = soundfile.read(download.value.path(), dtype="float32")[0]
        assert separated.evaluate(f"{MIXER}.player.waves[{index}].frames") == len(file) == SECONDS * RATE
        start = 5 * RATE
        heard = separated.evaluate(
            f"{MIXER}.player.waves[{index}].samples({start}, 2000).then(all => all.map(one => [...one]))"
        )
        np.testing.assert_array_equal(np.array(heard).T, file[start : start + 2000])


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_the_players_read_every_depth(separated, subtype):
    audio = np.random.default_rng(0).uniform(-1, 1, (700, 3))
    file = io.BytesIO()
    soundfile.write(file, audio, 8000, subtype=subtype, format="WAV")
    # A server that knows no ranges.
    separated.route("**/depth.wav", lambda route: route.fulfill(body=file.getvalue()))
    heard = separated.evaluate(
        f"""async () => {{
            const Wave = {MIXER}.player.waves[0].constructor;
            const wave = await new Wave("/depth.wav").open();
            return [wave.rate, wave.frames, (await wave.samples(100, 9999)).map(one => [...one])];
        }}"""
    )
    separated.unroute("**/depth.wav")
    assert heard[:2] == [8000, 700]
    tolerance = 2 / 256 if subtype == "PCM_U8" else 2 / 65536 if subtype == "PCM_16" else 1e-6
    np.testing.assert_allclose(np.array(heard[2]).T, audio[100:], atol=tolerance)


LOUDEST = f"""async (place) => {{
    const output = {MIXER}.player.output;
    const samples = new Float32Array(output.fftSize);
    let loudest = 0;
    place ??= {MIXER}.player.now + 0.5;
    while ({MIXER}.player.now < place) {{
        output.getFloatTimeDomainData(samples);
        loudest = Math.max(loudest, ...samples.map(Math.abs));
        await new Promise(resolve => setTimeout(resolve, 20));
    }}
    return loudest;
}}"""


def set_levels(page, *levels):
    """Set the levels, and wait by the player's own clock until they are reached."""
    begun = page.evaluate(f"{MIXER}.player.setLevels({list(levels)}), {MIXER}.player.now")
    page.wait_for_function(f"{MIXER}.player.now > {begun} + 0.3")


def stop(page):
    page.evaluate(f"{MIXER}.player.pause(), {MIXER}.player.seek(0), {MIXER}.update()")


def test_all_tracks_play_in_step_to_the_sample(separated):
    button(separated, "Play").last.click()
    separated.wait_for_function(f"{MIXER}.player.now > 0.3")
    # What is heard beside the original adds up to it: against it, nothing is left, at any time.
    set_levels(separated, -1, 0, 1, 1, 1, 1, 1)
    left = separated.evaluate(LOUDEST, 4)  # past the seam of two pieces
    set_levels(separated, 1, 0, 0, 0, 0, 0, 0)
    assert separated.evaluate(LOUDEST) > 0.05
    assert left < 1e-4
    stop(separated)


def test_mute_solo_and_volume_decide_what_is_heard(separated):
    page = separated
    levels = f"{MIXER}.player.levels"
    # The original and the instrumental only repeat the others.
    assert page.evaluate(levels) == [0, 0, 1, 1, 1, 1, 1]
    button(page, "Mute drums").click()
    assert page.evaluate(levels) == [0, 0, 1, 0, 1, 1, 1]
    assert button(page, "Mute drums").get_attribute("aria-pressed") == "true"
    button(page, "Solo drums").click()
    assert page.evaluate(levels) == [0, 0, 0, 1, 0, 0, 0]
    page.get_by_label("Volume of drums").fill("50")
    assert page.evaluate(levels) == [0, 0, 0, 0.5, 0, 0, 0]
    button(page, "Solo drums").click()
    button(page, "Mute drums").click()
    page.get_by_label("Volume of drums").fill("100")
    assert page.evaluate(levels) == [0, 0, 1, 1, 1, 1, 1]


def test_playing_goes_on_from_where_it_was_put_and_ends_at_the_end(separated):
    page = separated
    position = page.get_by_label("Position", exact=True)
    position.fill("11")
    assert "11 seconds of 12 seconds" in position.get_attribute("aria-valuetext")
    # It plays for a second only, so that a busy machine may look too late.
    page.evaluate(
        """() => {
            const mixer = document.querySelector(".mixer");
            window.played = [];
            new MutationObserver(() => window.played.push(mixer.dataset.playing))
                .observe(mixer, {attributeFilter: ["data-playing"]});
        }"""
    )
    button(page, "Play").last.click()
    page.wait_for_function(f"{MIXER}.player.now > 11.2")
    page.locator(".mixer[data-playing=false]").wait_for()
    page.wait_for_function("window.played.at(-1) === 'false'")
    assert "true" in page.evaluate("window.played")
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
    assert pictures.count() == 7
    button(separated, "Spectrograms").click()
    assert not pictures.first.is_visible()


def test_the_page_is_worked_by_keyboard_alone(visit, files):
    page = visit(viewport=DESKTOP)
    # The browser has to know long before the key is pressed that the dialogue is reported, not opened.
    page.on("filechooser", lambda _: None)

    def walk_to(name):
        for _ in range(60):
            page.keyboard.press("Tab")
            label, outline = page.evaluate(
                """() => {const node = document.activeElement, look = getComputedStyle(node); return [
                    node.getAttribute("aria-label") ?? node.closest("label")?.innerText ?? node.innerText,
                    look.outlineStyle !== "none" || look.boxShadow !== "none"]}"""
            )
            if label and label.strip() == name:
                return outline
        raise AssertionError(f"no {name} on the way")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#song') !== null")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(files / "song.flac")
    chosen(page, "song.flac")
    focused(page, "#separate")
    walk_to("Model")
    page.get_by_role("option", name="voice").wait_for()
    walk_to("bass")
    page.get_by_role("option", name="voice").wait_for(state="detached")
    page.keyboard.press("Space")
    assert walk_to("Separate")
    page.keyboard.press("Enter")
    ready(page)
    assert page.locator("#announcements [role=status]").inner_text() == "done; the players are below"
    assert page.locator(".track.bass").count() == 0
    focused(page, "#mixer .play")
    page.keyboard.press("Space")
    page.locator(".mixer[data-playing=true]").wait_for()
    page.keyboard.press("Space")
    page.locator(".mixer[data-playing=false]").wait_for()
    assert walk_to("Position")
    page.keyboard.press("End")
    assert page.evaluate(f"{MIXER}.player.now") == 3
    assert walk_to("Solo vocals")
    page.keyboard.press("Enter")
    assert page.evaluate(f"{MIXER}.player.levels") == [0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("colours", ["light", "dark"])
def test_nothing_bars_people_with_disabilities_and_all_fits_the_screen(separated, viewport, colours):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra dev")
    separated.emulate_media(color_scheme=colours)
    separated.set_viewport_size(viewport)
    settled(separated)
    faults = axe.Axe().run(separated).response["violations"]
    width = separated.evaluate("document.documentElement.scrollWidth")
    separated.emulate_media(color_scheme="light")
    separated.set_viewport_size(DESKTOP)
    assert [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in faults] == []
    assert width == viewport["width"]


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_bar_with_play_stays_in_view(separated, viewport):
    separated.set_viewport_size(viewport)
    separated.locator(".track.residual").scroll_into_view_if_needed()
    separated.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    first, last = top_of(separated, ".mixer .bar")
    scrolled = separated.evaluate("scrollY")
    separated.evaluate("scrollTo(0, 0)")
    separated.set_viewport_size(DESKTOP)
    assert scrolled > 100
    assert 0 <= first < last < viewport["height"] / 4
