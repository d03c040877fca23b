"""Jobs of the web page: watched by whoever knows their name, given up when nobody does, forgotten in time."""

import threading

import pytest

from auralflow.app import Jobs, Order, Stage
from auralflow.config import AppConfig
from auralflow.errors import AudioError, CancelledError, NotFoundError, UsageError


class Archive:
    def __init__(self):
        self.there = True

    def exists(self):
        return self.there


class Song:
    """What a separation returns, as far as jobs know it."""

    def __init__(self):
        self.archive = Archive()


class Script:
    """Stands in for the studio: works until it is released, then does what it was told to."""

    def __init__(self, **settings):
        self.settings = AppConfig(**settings)
        self.release = threading.Event()
        self.closed = threading.Event()
        self.outcome = Song()

    def run(self, order):
        share = 0.0
        try:
            while not self.release.wait(0.005):
                share = min(1.0, share + 0.001)
                yield Stage("separating", share)
        except GeneratorExit:
            self.closed.set()
            raise
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
def order(tmp_path):
    return Order(tmp_path / "song.wav", "mine", ("vocals",))


def finish(work):
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def test_several_watch_one_job_and_all_get_its_song(order):
    script = Script()
    with Jobs(script) as jobs:
        name = jobs.start("me", order)
        first, second = jobs.watch(name), jobs.watch(name)
        assert next(first).name == next(second).name == "separating"
        with pytest.raises(NotFoundError, match="not been separated yet"):
            jobs.result(name)
        script.release.set()
        assert finish(first) is finish(second) is script.outcome
        # So does a page that is reloaded afterwards.
        assert finish(jobs.watch(name)) is jobs.result(name) is script.outcome
        assert jobs.order(name) == order


def test_a_name_that_is_not_known_exactly_reaches_nothing(order):
    script = Script()
    script.release.set()
    with Jobs(script) as jobs:
        name = jobs.start("me", order)
        finish(jobs.watch(name))
        for wrong in ("", "x", name[:-1], name + "x", name.swapcase(), f"../{name}", "*"):
            with pytest.raises(NotFoundError, match="no longer available"):
                next(jobs.watch(wrong))
            with pytest.raises(NotFoundError):
                jobs.result(wrong)
            assert not jobs.cancel(wrong)


def test_names_are_long_and_random(order):
    script = Script()
    script.release.set()
    with Jobs(script) as jobs:
        names = {jobs.start(f"visitor {number}", order) for number in range(50)}
    assert len(names) == 50
    # Letters of base 64: 22 of them hold 128 bits.
    assert {len(name) for name in names} == {22}


def test_cancelling_ends_the_work_for_all_who_watch(order):
    script = Script()
    with Jobs(script) as jobs:
        name = jobs.start("me", order)
        first, second = jobs.watch(name), jobs.watch(name)
        next(first), next(second)
        assert jobs.cancel(name)
        for work in (first, second):
            with pytest.raises(CancelledError, match=r"'song\.wav' was cancelled"):
                finish(work)
        assert script.closed.is_set()
        assert not jobs.cancel(name)


def test_a_visitor_has_one_song_at_a_time(order):
    script = Script()
    with Jobs(script) as jobs:
        name = jobs.start("me", order)
        with pytest.raises(UsageError, match="already being separated"):
            jobs.start("me", order)
        jobs.start("you", order)
        script.release.set()
        finish(jobs.watch(name))
        jobs.start("me", order)


def test_what_no_page_shows_any_more_is_given_up_after_a_while(order):
    now = [0.0]
    script = Script(patience=60)
    with Jobs(script, clock=lambda: now[0]) as jobs:
        name = jobs.start("me", order)
        watching, other = jobs.watch(name), jobs.watch(name)
        next(watching), next(other)
        now[0] = 1000.0  # However long it takes, as long as somebody watches.
        next(watching), next(watching)
        watching.close()
        now[0] = 2000.0
        next(other), next(other)
        other.close()
        now[0] = 2059.0  # A reload takes a moment.
        again = jobs.watch(name)
        next(again), next(again)
        again.close()
        assert not script.closed.is_set()
        now[0] = 2120.0
        assert script.closed.wait(60)
        with pytest.raises(CancelledError, match="no page was showing it"):
            finish(jobs.watch(name))


def test_a_failure_is_still_known_when_the_page_is_reloaded(order):
    script = Script()
    script.outcome = AudioError("cannot read 'song.wav'")
    script.release.set()
    with Jobs(script) as jobs:
        name = jobs.start("me", order)
        for _ in range(2):
            with pytest.raises(AudioError, match=r"cannot read 'song\.wav'"):
                finish(jobs.watch(name))


def test_whatever_else_goes_wrong_is_an_error_of_the_job(order):
    script = Script()
    script.outcome = KeyError("rate")
    script.release.set()
    with Jobs(script) as jobs:
        name = jobs.start("me", order)
        with pytest.raises(Exception, match=r"cannot separate 'song\.wav': found KeyError"):
            finish(jobs.watch(name))


def test_a_job_is_forgotten_with_its_files_and_a_failure_in_the_same_time(order):
    now = [0.0]
    script = Script(keep=1)
    script.release.set()
    with Jobs(script, clock=lambda: now[0]) as jobs:
        kept = jobs.start("me", order)
        finish(jobs.watch(kept))
        song, script.outcome = script.outcome, AudioError("cannot read it")
        failed = jobs.start("me", order)
        with pytest.raises(AudioError):
            finish(jobs.watch(failed))
        now[0] = 59.0
        assert jobs.result(kept) is song
        song.archive.there = False
        with pytest.raises(NotFoundError, match="separated in the last 1 minutes"):
            jobs.result(kept)
        with pytest.raises(AudioError):
            finish(jobs.watch(failed))
        now[0] = 61.0
        with pytest.raises(NotFoundError):
            finish(jobs.watch(failed))


def test_closing_stops_everything(order):
    script = Script()
    jobs = Jobs(script)
    names = [jobs.start(owner, order) for owner in ("me", "you")]
    jobs.close()
    for name in names:
        with pytest.raises(CancelledError):
            finish(jobs.watch(name))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("job ")]
