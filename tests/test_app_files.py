"""What the web page gives away: the instrumental, stems in other formats, archives, its own head."""

import asyncio
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RATE, constant_model
from hypothesis import given, settings
from hypothesis import strategies as st

from auralflow.app import Order, Studio, Workspace, preview
from auralflow.app.downloads import ALL, Downloads, possible_formats
from auralflow.app.page import SAMPLE
from auralflow.audio import AudioWriter, probe, read_tags
from auralflow.config import AppConfig
from auralflow.errors import AudioError, NotFoundError
from auralflow.separation.complement import write_complement


def separate(folder, workspace, rate=RATE, channels=2, subtype="PCM_16"):
    noise = 0.1 * np.random.default_rng(0).standard_normal((rate, channels))
    soundfile.write(folder / "My song.wav", noise, rate, subtype=subtype)
    model = constant_model(0.25, 0.5, num_channels=channels, sample_rate=RATE)
    work = Studio({"mine": model}, AppConfig(), workspace).run(
        Order(folder / "My song.wav", "mine", ("vocals", "drums"))
    )
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    with Workspace(keep=600, parent=tmp_path_factory.mktemp("kept")) as workspace:
        yield workspace


@pytest.fixture(scope="module")
def result(workspace, tmp_path_factory):
    return separate(tmp_path_factory.mktemp("song"), workspace)


def test_stems_are_saved_in_the_wished_format_under_the_name_of_the_song(result):
    downloads = Downloads()
    wave, name = downloads.file(result, "vocals", "wav")
    assert name == "My song - vocals.wav"
    expected = soundfile.read(wave, dtype="int16")[0]
    lossless, name = downloads.file(result, "vocals", "flac")
    assert name == "My song - vocals.flac"
    assert soundfile.info(lossless).format == "FLAC"
    np.testing.assert_array_equal(soundfile.read(lossless, dtype="int16")[0], expected)
    lossy, name = downloads.file(result, "vocals", "mp3")
    assert name == "My song - vocals.mp3"
    assert soundfile.info(lossy).format == "MP3"
    assert abs(len(soundfile.read(lossy)[0]) - len(expected)) <= 2 * 1152


def test_a_file_is_encoded_only_once(result):
    downloads = Downloads()
    first = downloads.file(result, "drums", "flac")[0].stat()
    again = downloads.file(result, "drums", "flac")[0].stat()
    assert (first.st_ino, first.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)


@pytest.mark.parametrize("wished", ["wav", "flac", "mp3"])
def test_an_archive_holds_all_tracks_under_their_full_names(result, wished):
    path, name = Downloads().file(result, ALL, wished)
    assert name == f"My song - stems ({wished.upper()}).zip"
    assert zipfile.ZipFile(path).testzip() is None
    assert zipfile.ZipFile(path).namelist() == [
        f"My song/My song - {track}.{wished}"
        for track in ("original", "instrumental", "vocals", "drums", "residual")
    ]


def test_lossless_stems_add_up_in_every_lossless_format(result):
    audio = {
        track.name: soundfile.read(Downloads().file(result, track.name, "flac")[0], dtype="int16")[0]
        for track in result.tracks
    }
    parts = [audio[name].astype(int) for name in ("vocals", "drums", "residual")]
    np.testing.assert_array_equal(audio["original"], sum(parts))
    np.testing.assert_array_equal(audio["original"] - audio["vocals"].astype(int), audio["instrumental"])


def test_only_formats_that_can_hold_the_song_are_offered(workspace, result, tmp_path):
    assert possible_formats(result) == ("wav", "flac", "mp3")
    (tmp_path / "fast").mkdir()
    fast = separate(tmp_path / "fast", workspace, rate=96000)
    assert possible_formats(fast) == ("wav", "flac")
    with pytest.raises(NotFoundError, match="no format 'mp3' for this song: expected wav, flac"):
        Downloads().file(fast, "vocals", "mp3")


@pytest.mark.parametrize("name", ["", "flute", "../vocals", "original.wav"])
def test_what_is_no_track_is_refused(result, name):
    with pytest.raises(NotFoundError, match="no track"):
        Downloads().file(result, name, "flac")
    with pytest.raises(NotFoundError, match="no format 'exe'"):
        Downloads().file(result, "vocals", "exe")


def test_a_full_disk_is_reported_and_leaves_no_archive(workspace, tmp_path, monkeypatch):
    song = separate(tmp_path, workspace)

    def fill_up(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(zipfile.ZipFile, "write", fill_up)
    with pytest.raises(AudioError, match="cannot pack the stems: found No space left on device"):
        Downloads().file(song, ALL, "flac")
    assert not list(song.archive.parent.glob("*.flac.zip"))


def test_the_sample_song_and_the_pictures_are_small_and_the_song_is_free():
    sample = Path(str(SAMPLE))
    assert probe(sample).seconds == 20
    assert sample.stat().st_size < 400_000
    assert read_tags(sample)["license"] == "CC0 1.0"
    root = Path(__file__).parent.parent
    for picture in ("docs/static/app-desktop.png", "docs/static/app-phone.png"):
        assert (root / picture).stat().st_size < 150_000


BITS = {"PCM_16": 16, "PCM_24": 24, "PCM_32": 32, "FLOAT": 16}
LEVELS = st.integers(-(2**31), 2**31 - 1)


@settings(max_examples=25)
@given(st.lists(st.tuples(LEVELS, LEVELS), min_size=1, max_size=40), st.sampled_from(sorted(BITS)))
def test_stem_and_complement_add_up_to_the_original_whatever_their_levels(tmp_path_factory, samples, subtype):
    folder = tmp_path_factory.mktemp("complement")
    bits = BITS[subtype]
    audio = (np.array(samples, dtype=np.int64).T[:, :, None] >> (32 - bits)) / 2.0 ** (bits - 1)
    for name, part in zip(("original", "vocals"), audio, strict=True):
        with AudioWriter(folder / f"{name}.wav", 8000, 1, subtype) as writer:
            writer.write(part.T)
    write_complement(folder / "original.wav", folder / "vocals.wav", folder / "rest.wav")
    rest = soundfile.read(folder / "rest.wav", always_2d=True)[0]
    np.testing.assert_array_equal(audio[0], audio[1] + rest)
    if np.abs(audio[0] - audio[1]).max() < 0.99:
        assert soundfile.info(folder / "rest.wav").subtype == subtype


def _page(path="/", body=b"", headers=(), answer_headers=((b"content-type", b"text/html"),)):
    """What a page of Gradio becomes, and what was asked of it."""
    sent, asked = [], []

    async def app(scope, receive, send):
        asked.append(dict(scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": list(answer_headers)})
        half = len(body) // 2
        await send({"type": "http.response.body", "body": body[:half], "more_body": True})
        await send({"type": "http.response.body", "body": body[half:]})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": [(b"host", b"a.org"), *headers]}
    asyncio.run(preview.Preview(app)(scope, None, send))
    return b"".join(message.get("body", b"") for message in sent).decode(), dict(sent[0]["headers"]), asked[0]


GRADIO = b"""<head><meta charset="utf-8"><meta property="og:title" content="Gradio" />
<meta property="og:image"
  content="https://raw.githubusercontent.com/x.jpg" /><meta name="twitter:creator" content="@Gradio" />
</head>"""


def test_a_shared_address_shows_the_page_and_not_gradio():
    text, headers, asked = _page(body=GRADIO, headers=[(b"accept-encoding", b"br")])
    assert "Gradio" not in text
    assert "githubusercontent" not in text
    assert '<meta property="og:title" content="auralflow: split a song into stems">' in text
    assert '<meta property="og:image" content="http://a.org/auralflow/preview.png">' in text
    assert '<link rel="icon" type="image/svg+xml" href="auralflow/icon.svg">' in text
    assert int(headers[b"content-length"]) == len(text.encode())
    assert b"accept-encoding" not in asked  # a compressed page could not be changed


def test_behind_a_proxy_with_https_the_addresses_are_those_of_the_proxy():
    forwarded = [(b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b'stems.example.org"><script>')]
    text, _, _ = _page(body=GRADIO, headers=forwarded[:1])
    assert 'content="https://a.org/auralflow/preview.png"' in text
    text, _, _ = _page(body=GRADIO, headers=forwarded)
    assert 'example.org"' not in text


def test_other_answers_stay_as_they_are():
    assert _page(path="/config", body=GRADIO)[0].encode() == GRADIO
    assert _page(body=b"{}", answer_headers=[(b"content-type", b"application/json")])[0] == "{}"
