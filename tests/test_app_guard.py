"""Who may ask the page: its own visitors, and no page of another name through their browser."""

import asyncio
import json
import os
import subprocess
import sys
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import auralflow
from auralflow.app.guard import Guard, allowed_names, host_name
from auralflow.config import AppConfig

LOCAL = allowed_names(AppConfig())


async def _answered(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"the page"})


def _ask(names, headers, kind="http"):
    """The first message that a request is answered with."""
    sent = []

    async def send(message):
        sent.append(message)

    scope = {"type": kind, "headers": [(name.encode(), value.encode()) for name, value in headers]}
    asyncio.run(Guard(_answered, names)(scope, None, send))
    return sent[0]


def _status(names, host, origin=None):
    return _ask(names, [("host", host), *([("origin", origin)] if origin is not None else [])])["status"]


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "LOCALHOST", "[::1]:7860", "localhost"])
def test_the_names_of_this_machine_are_answered_at_any_port(host):
    assert _status(LOCAL, host) == 200
    assert _status(LOCAL, host, f"http://{host}") == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.com:7860", "evil.com", "127.0.0.1.evil.com", "localhost.evil.com", "", "[::2]:7860"),
        *("0x7f000001", "a@localhost", "localhost:x", "localhost:7860@evil.com", "[::1"),
        "127.0.0.1:7860, evil.com",
    ],
)
def test_other_names_are_refused(host):
    assert _status(LOCAL, host) == 403


def test_a_request_without_a_name_or_with_two_is_refused():
    assert _ask(LOCAL, [])["status"] == 403
    assert _ask(LOCAL, [("host", "localhost"), ("host", "evil.com")])["status"] == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.com:7860", "null", "", "http://localhost:3000", "http://evil.com@localhost:7860"]
)
def test_pages_of_other_origins_are_refused(origin):
    assert _status(LOCAL, "localhost:7860", origin) == 403


def test_a_web_socket_of_another_page_is_closed():
    headers = [("host", "localhost:7860"), ("origin", "http://evil.com")]
    assert _ask(LOCAL, headers, "websocket")["type"] == "websocket.close"


def test_which_names_are_taken_follows_from_the_settings():
    assert allowed_names(AppConfig(host="0.0.0.0")) is None
    assert allowed_names(AppConfig(host="music.example.org")) is None
    assert "127.0.0.2" in allowed_names(AppConfig(host="127.0.0.2"))
    assert allowed_names(AppConfig(host="::1")) == LOCAL
    given = allowed_names(AppConfig(host="0.0.0.0", allow_host=("Music.example.org",)))
    assert given == LOCAL | {"0.0.0.0", "music.example.org"}
    assert _status(given, "evil.com") == 403
    assert _status(given, "music.example.org", "https://music.example.org") == 200


def test_a_proxy_on_this_machine_may_use_its_own_name_for_it():
    behind = allowed_names(AppConfig(allow_host=("music.example.org",)))
    assert _status(behind, "127.0.0.1:7860", "https://music.example.org") == 200
    assert _status(behind, "127.0.0.1:7860", "https://evil.com") == 403


def test_host_names_are_read_as_browsers_write_them():
    assert host_name("Example.ORG:80") == "example.org"
    assert host_name("[::1]") == "::1"


@pytest.fixture
def address(model_folder, tmp_path):
    """A server in a process of its own."""
    pytest.importorskip("gradio", reason="needs the extra app")
    command = ["app", "--model", str(model_folder()), "--port", "0", "--folder", str(tmp_path / "kept")]
    source = str(Path(auralflow.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-m", "auralflow", *command, "--device", "cpu"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": source},
    ) as process:
        yield urlsplit(process.stdout.readline().split()[2]).netloc
        process.terminate()


def _request(address, path, method="GET", **headers):
    connection = HTTPConnection(address, timeout=300)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body, [name for name, _ in answer.getheaders() if name.startswith("access-control")]


def test_the_server_refuses_a_page_that_rebinds_its_name(address):
    status, body, _ = _request(address, "/config", Host=address, Origin=f"http://{address}")
    assert status == 200
    assert json.loads(body)["title"] == "auralflow: split a song into stems"
    foreign = f"evil.com:{address.rpartition(':')[2]}"
    for path, method in (("/config", "GET"), ("/gradio_api/upload", "POST"), ("/config", "OPTIONS")):
        for host, origin in ((foreign, f"http://{foreign}"), (foreign, None), (address, "http://evil.com")):
            headers = {"Host": host, "Access-Control-Request-Method": method}
            headers |= {"Origin": origin} if origin else {}
            status, _, permissions = _request(address, path, method, **headers)
            assert (status, permissions) == (403, [])
