"""What the page and its server refuse, and the messages they give."""

import pytest

from app_browser.steps import MIXER, button, choose, expect_failure, separate


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("letter.wav", "Cannot read 'letter.wav'"),
        ("too long.wav", "found at least 2:01 minutes, expected at most 2:00 minutes"),
    ],
)
def test_a_bad_file_is_refused_with_a_message_and_the_next_one_is_taken(visit, files, name, words):
    page = visit()
    choose(page, files / name)
    button(page, "Separate").click()
    expect_failure(page, words)
    assert page.locator("#announcements").inner_text() != ""
    separate(page, files / "song.flac")


def test_what_is_no_song_is_refused_before_it_is_sent_in_words_of_our_own(visit, files, server):
    page = visit()
    sent = []
    page.on("request", lambda request: sent.append(request.url) if "upload" in request.url else None)
    page.locator("input[type=file]").set_input_files(files / "letter.txt")
    expect_failure(page, "“letter.txt” is not a song. Choose an audio file, such as WAV, FLAC, MP3")
    page.locator("input[type=file]").set_input_files(files / "too large.wav")
    expect_failure(page, "“too large.wav” is too large: 9.8 MiB, where 8 MiB are allowed")
    assert page.locator("#status .failure").count() == 1
    assert page.get_by_text("Invalid file type").count() == 0
    assert sent == []
    # What fits is taken, and the message goes away.
    choose(page, files / "song.flac")
    assert page.locator("#status .failure").count() == 0
    # Whoever goes past the page is refused by the server.
    content = {"name": "a.wav", "mimeType": "audio/wav", "buffer": (files / "too large.wav").read_bytes()}
    answer = page.request.post(f"{server.address}gradio_api/upload", multipart={"files": content})
    assert answer.status == 413
    assert not list(server.kept.glob("**/too*large.wav"))


SHOWN = """
[...document.querySelectorAll('#song [data-testid=upload-text], #song [data-testid=upload-text] *')]
    .flatMap(node => [...node.childNodes].filter(it => it.nodeType === 3 && it.data.trim())
    .map(() => getComputedStyle(node).fontSize))
"""
WORDS = "getComputedStyle(document.querySelector('#song [data-testid=upload-text]'), '::before').content"


def test_the_song_box_is_in_english_whatever_the_language_of_the_browser(visit, files):
    page = visit(locale="de-DE")
    assert page.evaluate(WORDS) == '"Choose a song, or drop it here"'
    assert set(page.evaluate(SHOWN)) == {"0px"}
    # Nor read aloud.
    assert "Upload" not in page.locator("#song").inner_text()
    button(page, "Choose a song, or drop it here").wait_for()
    button(page, "Record audio").click()
    button(page, "Record").wait_for()
    button(page, "Upload file").click()
    # The box is made anew for another song.
    choose(page, files / "song.flac")
    button(page, "Choose another song").click()
    button(page, "Choose a song, or drop it here").wait_for()
    assert set(page.evaluate(SHOWN)) == {"0px"}


def test_no_song_is_no_error_but_a_word(visit):
    page = visit()
    button(page, "Separate").click()
    expect_failure(page, "There is no song yet. Choose or record one")


def test_a_message_goes_away_when_its_cause_does_and_no_sooner(visit, files):
    page = visit()
    failure = page.locator("#status .failure")
    button(page, "Separate").click()
    expect_failure(page, "There is no song yet")
    page.get_by_role("checkbox", name="bass").uncheck()
    page.get_by_role("checkbox", name="drums").uncheck()
    expect_failure(page, "There is no song yet")
    choose(page, files / "song.flac")
    failure.wait_for(state="detached")
    page.get_by_role("checkbox", name="vocals").uncheck()
    page.get_by_role("checkbox", name="other").uncheck()
    # Twice, as the second refusal is the same as the first.
    for _ in range(2):
        button(page, "Separate").click()
        expect_failure(page, "No stems chosen")
        choose(page, files / "song.wav")
        expect_failure(page, "No stems chosen")
        page.get_by_role("checkbox", name="drums").check()
        failure.wait_for(state="detached")
        page.get_by_role("checkbox", name="drums").uncheck()
    button(page, "Choose another song").click()
    page.locator("input[type=file]").set_input_files(files / "letter.txt")
    expect_failure(page, "“letter.txt” is not a song")
    button(page, "Try the sample song").click()
    failure.wait_for(state="detached")


def test_the_server_serves_no_other_files(separated, files, server):
    job = next(iter(server.jobs))
    for path in (files / "song.wav", "/etc/passwd", server.kept, job / "original.wav"):
        answer = separated.request.get(f"{server.address}gradio_api/file={path}")
        assert answer.status in (403, 404), path


def test_songs_of_others_are_not_reached_by_guessing(separated, server):
    address = separated.evaluate(f"{MIXER}.tracks[0].file")
    job = address.split("/")[3]
    root = server.address.rstrip("/")
    assert separated.request.get(root + address).ok
    folder = next(iter(server.jobs)).name
    for wrong in (job[:-1], job.swapcase(), folder, "*", "..", "%2e%2e", f"x%2F..%2F{job}"):
        for rest in ("listen/original.wav", "download/wav/vocals", "download/wav/all"):
            assert separated.request.get(f"{root}/auralflow/jobs/{wrong}/{rest}").status == 404, wrong
    for rest in (
        "listen/source",
        "listen/..%2F..%2F.lock",
        "listen/all.wav.zip",
        "download/wav/flute",
        "download/exe/vocals",
        "download/wav/..%2Foriginal",
    ):
        assert separated.request.get(f"{root}/auralflow/jobs/{job}/{rest}").status == 404, rest
    assert separated.request.get(f"{root}/auralflow/mixer.js").status == 404


def test_what_previews_and_bookmarks_show_is_served(separated, server):
    page = separated.request.get(server.address).text()
    image = f"{server.address}auralflow/preview.png"
    assert f'<meta property="og:image" content="{image}">' in page
    assert "Gradio" not in page.split("<script")[0]
    assert separated.request.get(image).body().startswith(b"\x89PNG")
    for icon in ("auralflow/icon.svg", "favicon.ico"):
        assert b"<svg" in separated.request.get(f"{server.address}{icon}").body()
