"""Takes screenshots of the web page with Chromium: for the documentation, and for previews of links to it.

Run ``make figures``, which needs Chromium (``make tools``). With ``--all FOLDER`` it takes every state of the
page on both widths in both colours instead, to be looked at.
"""

import argparse
import io
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

import auralflow

STATIC = Path(__file__).parent / "static"
PREVIEW = Path(auralflow.__file__).parent / "app" / "static" / "preview.png"
DESKTOP, PHONE, LINK = (1280, 1360), (390, 844), (1200, 630)
COLORS = 128
PATIENCE = 300_000
"""Timeout of a separation in milliseconds."""


@contextmanager
def page_of(browser: Any, address: str, size: tuple[int, int], colours: str) -> Iterator[Any]:
    """The page in a window of the given size, in light or dark mode."""
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=colours, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    button(page, "Separate").wait_for()
    yield page
    context.close()


def button(page: Any, name: str) -> Any:
    """A button of the page."""
    return page.get_by_role("button", name=name, exact=True)


def choose(page: Any) -> None:
    """Choose the sample song."""
    button(page, "Try the sample song").click()
    button(page, "Choose another song").wait_for()


def begin(page: Any) -> None:
    """Start separating, and wait until the progress bar moves."""
    button(page, "Separate").click()
    page.wait_for_function("document.querySelector('#status progress')?.value > 0.1")


def finish(page: Any) -> None:
    """Wait for the players, and jump to a position in the song."""
    page.locator(".mixer[data-state=ready]").wait_for()
    page.get_by_label("Position", exact=True).fill("7")
    page.evaluate("document.activeElement.blur()")


def shot(page: Any, path: Path, *, whole: bool = False) -> None:
    """Take a screenshot of the viewport or the full page, with few colours so that it is small."""
    page.mouse.move(0, 0)
    page.wait_for_function("document.getAnimations().every(one => one.playState !== 'running')")
    image = Image.open(io.BytesIO(page.screenshot(full_page=whole))).convert("RGB")
    image.quantize(COLORS, method=Image.Quantize.MEDIANCUT).save(path, optimize=True)


def take_for_documentation(browser: Any, address: str) -> None:
    """The two screenshots in the documentation, and the preview."""
    with page_of(browser, address, DESKTOP, "light") as page:
        choose(page)
        begin(page)
        finish(page)
        page.evaluate("scrollTo(0, 0)")
        shot(page, STATIC / "app-desktop.png")
        job = page.url
    with page_of(browser, job, PHONE, "dark") as page:
        finish(page)
        page.evaluate("document.querySelector('.mixer').scrollIntoView()")
        shot(page, STATIC / "app-phone.png")
    with page_of(browser, job, LINK, "light") as page:
        finish(page)
        page.evaluate("document.querySelector('.mixer').scrollIntoView()")
        shot(page, PREVIEW)


def take_all(browser: Any, address: str, folder: Path) -> None:
    """Every state of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    for size in ((1280, 900), PHONE):
        for colours in ("light", "dark"):
            name = f"{size[0]}-{colours}"
            with page_of(browser, address, size, colours) as page:
                shot(page, folder / f"{name}-1-empty.png")
                choose(page)
                shot(page, folder / f"{name}-2-chosen.png")
                begin(page)
                shot(page, folder / f"{name}-3-working.png")
                finish(page)
                shot(page, folder / f"{name}-4-done.png")
                page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
                button(page, "Spectrograms").click()
                shot(page, folder / f"{name}-5-end.png")
                shot(page, folder / f"{name}-6-whole.png", whole=True)
                button(page, "Choose another song").click()
                button(page, "Try the sample song").wait_for()
                button(page, "Separate").click()
                page.locator("#status .failure").wait_for()
                shot(page, folder / f"{name}-7-failure.png")


def main() -> int:
    """Take the screenshots."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--all", type=Path, metavar="FOLDER")
    wanted = parser.parse_args().all
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        print("no Chromium here: run make tools as root", file=sys.stderr)
        return 1
    command = [sys.executable, "-m", "auralflow", "app", "--port", "0", "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as tools:
        try:
            address = re.search(r"http://\S+", server.stdout.readline())[0]
            arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
            browser = tools.chromium.launch(executable_path=program, args=arguments)
            take_all(browser, address, wanted) if wanted else take_for_documentation(browser, address)
            browser.close()
        finally:
            server.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
