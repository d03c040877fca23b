"""Common actions of visitors."""

MIXER = "[...document.querySelectorAll('#mixer *')].find(node => node.mixer).mixer"
"""The script of the players."""
# A rate that makes short work of long songs.
RATE, SECONDS, LONG = 16000, 12, 115
PATIENCE = 240_000
"""Timeout in milliseconds, generous enough for a busy machine."""
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}


def button(page, name):
    return page.get_by_role("button", name=name, exact=True)


def opened(page):
    """Wait until the page answers: its buttons are there only then, and its other parts come in any order."""
    button(page, "Separate").wait_for()
    for part in ("#song input[type=file]", "#model", "#stems", "#status", "#announcements", "#mixer"):
        page.locator(part).wait_for(state="attached")
    return page


def choose(page, path):
    """Choose a song; it is there when the line with its name is."""
    if button(page, "Choose another song").is_visible():
        button(page, "Choose another song").click()
        # After a reload the box is there, hidden; what is put into it before it is shown is removed.
        page.locator("#song").wait_for()
    page.locator("input[type=file]").set_input_files(path)
    chosen(page, path.name)


def chosen(page, name):
    page.locator("#chosen", has_text=name).wait_for()


def pick(page, model):
    page.get_by_label("Model").click()
    page.get_by_role("option", name=model).click()
    # Neither has drums.
    page.get_by_role("checkbox", name="drums").wait_for(state="detached")


def start(page, path):
    choose(page, path)
    button(page, "Separate").click()


def ready(page):
    page.locator(".mixer[data-state=ready]").wait_for()


def separate(page, path):
    start(page, path)
    ready(page)


def wait_for_progress(page, words="Separating"):
    page.locator("#status", has_text=words).wait_for()


def expect_failure(page, words):
    page.locator("#status .failure", has_text=words).wait_for()


def expect_cancelled(page, name):
    """Cancelling is what was asked for, so it does not look like an error."""
    page.locator("#status .notice", has_text=f"'{name}' was cancelled").wait_for()
    assert page.locator("#status .failure").count() == 0


def focused(page, selector):
    """Wait until an element has the focus."""
    page.wait_for_function("name => document.activeElement.matches(name)", arg=selector)


def settled(page):
    """Wait until nothing moves or changes its colours any more."""
    # A change of colours or of size begins its transitions with the next frame, not at once.
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_function("document.getAnimations().every(one => one.playState !== 'running')")


def top_of(page, selector):
    """Where an element begins in the window, and where it ends, as soon as it is seen."""
    page.locator(selector).wait_for()
    return page.evaluate(
        "name => {const box = document.querySelector(name).getBoundingClientRect();"
        " return [box.top, box.bottom]}",
        selector,
    )
