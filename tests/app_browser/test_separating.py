"""From a song to its stems: choosing, waiting, cancelling, coming back."""

import re

import pytest
import soundfile

from app_browser.steps import (
    LONG,
    MIXER,
    PHONE,
    button,
    choose,
    chosen,
    expect_cancelled,
    expect_failure,
    focused,
    opened,
    pick,
    ready,
    separate,
    settled,
    start,
    top_of,
    wait_for_progress,
)

LIGHTNESS = """() => {
    const bar = document.querySelector("#status progress");
    const shown = [getComputedStyle(bar).backgroundColor, getComputedStyle(bar).getPropertyValue("--filled"),
        getComputedStyle(document.body).backgroundColor];
    const pen = document.createElement("canvas").getContext("2d");
    return shown.map(colour => {
        pen.fillStyle = colour;
        pen.fillRect(0, 0, 1, 1);
        const [red, green, blue] = pen.getImageData(0, 0, 1, 1).data;
        return (0.3 * red + 0.6 * green + 0.1 * blue) / 255;
    });
}"""
"""How light the empty and the filled part of the progress bar are, and the page behind them."""
JOB = re.compile(r"#job=[\w-]{22}$")


def test_on_a_phone_everything_that_counts_is_in_view_at_every_step(visit, files):
    page = visit(viewport=PHONE)
    assert top_of(page, "#model")[1] <= top_of(page, "#stems")[0]
    assert not button(page, "Cancel").is_visible()
    pick(page, "endless")
    choose(page, files / "long.wav")
    # The upload box is a line now.
    assert not page.locator("#song").is_visible()
    first, last = top_of(page, "#folded")
    assert last - first < 100
    button(page, "Separate").click()
    wait_for_progress(page)
    assert button(page, "Separate").is_disabled()
    assert not button(page, "Choose another song").is_visible()
    settled(page)
    first, last = top_of(page, "#status")
    assert 0 <= first < last <= PHONE["height"]
    button(page, "Cancel").click()
    expect_cancelled(page, "long.wav")
    assert not button(page, "Cancel").is_visible()
    assert button(page, "Separate").is_enabled()
    pick_again = button(page, "Choose another song")
    pick_again.click()
    page.locator("#song").wait_for()
    pick(page, "voice")
    separate(page, files / "song.flac")
    page.wait_for_function("scrollY > 0")
    settled(page)
    # Scrolled to its top, as far as pixels allow.
    assert -1 < top_of(page, "#status")[0] < 100
    assert top_of(page, ".mixer .bar")[1] < PHONE["height"]


def test_cancelling_leaves_nothing(visit, files, server):
    page = visit()
    before = server.jobs
    pick(page, "endless")
    start(page, files / "long.wav")
    wait_for_progress(page)
    assert len(server.jobs - before) == 1
    button(page, "Cancel").click()
    expect_cancelled(page, "long.wav")
    assert server.jobs <= before
    assert page.locator(".track").count() == 0


def test_progress_with_the_time_left_is_shown(visit, files):
    page = visit()
    page.evaluate(
        """() => {
            window.seen = [];
            const look = () => window.seen.push(document.querySelector("#status").innerText);
            const everything = {subtree: true, childList: true, characterData: true};
            new MutationObserver(look).observe(document.querySelector("#status"), everything);
        }"""
    )
    separate(page, files / "long.wav")
    seen = " ".join(page.evaluate("window.seen"))
    assert re.search(r"Separating: \d+ %, (about \d+ s|a few seconds) left", seen)
    assert "Drawing the waveforms" in seen


def test_the_focus_goes_where_the_work_goes_on(visit, files):
    page = visit()
    pick(page, "endless")
    page.locator("#sample").focus()
    page.keyboard.press("Enter")
    chosen(page, "Sample song.ogg")
    focused(page, "#separate")
    page.keyboard.press("Enter")
    wait_for_progress(page)
    focused(page, "#cancel")
    page.keyboard.press("Enter")
    expect_cancelled(page, "Sample song.ogg")
    focused(page, "#separate")
    # What no event of the page's own must have put there.
    assert "common." not in page.locator("body").inner_text()
    page.locator("#another").focus()
    page.keyboard.press("Enter")
    focused(page, "#song .upload-container")
    page.locator("#status .notice").wait_for(state="detached")
    # Whoever has moved on stays where they are.
    choose(page, files / "song.flac")
    pick(page, "voice")
    button(page, "Separate").focus()
    page.keyboard.press("Enter")
    page.get_by_role("checkbox").first.focus()
    ready(page)
    assert page.evaluate("document.activeElement.type") == "checkbox"


def test_the_empty_part_of_the_progress_bar_is_close_to_the_background_in_both_modes(visit, files):
    page = visit()
    pick(page, "endless")
    start(page, files / "long.wav")
    page.locator("#status progress").wait_for()
    for colours in ("light", "dark"):
        page.emulate_media(color_scheme=colours)
        page.wait_for_function(
            "dark => document.body.classList.contains('dark') === dark", arg=colours == "dark"
        )
        track, filled, behind = page.evaluate(LIGHTNESS)
        assert abs(track - behind) < abs(filled - behind) - 0.2
    button(page, "Cancel").click()
    expect_cancelled(page, "long.wav")


def test_the_sample_song_is_there_to_try(visit):
    page = visit()
    button(page, "Try the sample song").click()
    chosen(page, "Sample song.ogg")
    pick(page, "voice")
    button(page, "Separate").click()
    ready(page)
    assert page.locator(".mixer h2").inner_text() == "Sample song"
    assert 10 < page.evaluate(f"{MIXER}.player.duration") < 40


def test_a_reload_shows_the_song_again_and_so_does_its_address(visit, files, server):
    page = visit()
    pick(page, "voice")
    separate(page, files / "song.flac")
    assert JOB.search(page.url)
    page.reload()
    ready(page)
    chosen(page, "song.flac")
    assert page.locator(".track h3").all_inner_texts() == ["Original", "Vocals", "Instrumental"]
    assert not button(page, "Cancel").is_visible()
    choose(page, files / "song.wav")
    # Whoever is given the address sees it too, and nobody else.
    other = visit(page.url)
    ready(other)
    stranger = visit()
    assert stranger.locator(".track").count() == 0
    wrong = visit(page.url[:-1] + ("A" if page.url[-1] != "A" else "B"))
    expect_failure(wrong, "This song is no longer available")
    assert wrong.locator(".track").count() == 0
    assert wrong.locator("#song").is_visible()
    assert wrong.url == server.address


def test_a_song_goes_on_while_another_page_shows_it(visit, files):
    page = visit()
    pick(page, "slow")
    start(page, files / "song.wav")
    page.wait_for_url(JOB)
    second = visit(page.url)
    second.locator("#status p").first.wait_for()
    page.close()
    ready(second)
    assert second.locator(".mixer h2").inner_text() == "song"
    assert second.evaluate("document.title") == "auralflow: split a song into stems"


def test_a_song_whose_page_was_closed_is_given_up_and_the_next_one_has_its_turn(visit, files, server):
    page, other = visit(), visit()
    before = server.jobs
    pick(page, "endless")
    start(page, files / "long.wav")
    wait_for_progress(page)
    pick(other, "voice")
    start(other, files / "song.flac")
    wait_for_progress(other, "Waiting: 1 song ahead of yours")
    page.close()
    ready(other)
    assert len(server.jobs - before) == 1


def test_two_people_at_once_each_get_their_own_song_in_turn(visit, files):
    first, second = visit(), visit()
    choose(second, files / "song.flac")
    pick(first, "endless")
    start(first, files / "long.wav")
    wait_for_progress(first)
    button(second, "Separate").click()
    # The first song says how long it takes, and so when the second one begins.
    second.wait_for_function(
        "/Waiting: 1 song ahead of yours; yours starts in (about|a few)/"
        ".test(document.querySelector('#status').innerText)"
    )
    button(first, "Cancel").click()
    expect_cancelled(first, "long.wav")
    pick(first, "voice")
    button(first, "Separate").click()
    for page, name, seconds in ((first, "long", LONG), (second, "song", 3)):
        ready(page)
        assert page.locator(".mixer h2").inner_text() == name
        assert page.evaluate(f"{MIXER}.player.duration") == seconds
    assert JOB.search(first.url)[0] != JOB.search(second.url)[0]


def test_a_recording_is_separated_too(visit):
    page = visit()
    pick(page, "voice")
    song = page.locator("#song")
    song.get_by_role("button", name="Record audio").click()
    song.get_by_role("button", name="Record", exact=True).click()
    song.locator("time", has_text=re.compile("0:(0[1-9]|[1-5])")).first.wait_for()
    song.get_by_role("button", name="Stop", exact=True).locator("visible=true").click()
    # Only when it has been sent does the page know its name; before that there is nothing to separate.
    chosen(page, ".wav")
    button(page, "Separate").click()
    ready(page)
    assert 0.5 < page.evaluate(f"{MIXER}.player.duration") < 60


@pytest.mark.parametrize("wished", ["WAV", "FLAC", "MP3"])
def test_stems_are_saved_under_the_name_of_the_song_in_the_chosen_format(separated, wished):
    page = separated
    page.get_by_label("Format").select_option(label=wished)
    with page.expect_download() as download:
        page.get_by_role("link", name="Save vocals").click()
    assert download.value.suggested_filename == f"song - vocals.{wished.lower()}"
    assert soundfile.info(download.value.path()).format == wished
    page.get_by_label("Format").select_option(label="WAV")


def test_a_page_that_is_opened_at_the_root_stays_there(visit, server):
    page = visit()
    assert page.url == server.address
    assert opened(page).title() == "auralflow: split a song into stems"
