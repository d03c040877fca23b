"""What is read first: a table whose words stay whole, and a sentence that claims no more than it may."""

import pytest

from auralflow.cli.console import results
from auralflow.cli.score_tables import show_comparison
from auralflow.evaluation import BOUNDS, Comparison, Report, Score, TrackScores
from auralflow.evaluation.headline import headline, verdict

TARGETS = ("vocals", "drums", "bass", "guitar", "piano", "other", "accompaniment")


def report(name, gains, targets=("vocals", "drums")):
    """A report with the improvement of each track, the same for all targets; SDR 10 dB below."""
    tracks = [
        TrackScores(
            f"track {index}",
            3.0,
            {
                target: Score(si_sdr=gain - 5, si_sdr_improvement=gain, framewise_sdr=gain - 10)
                for target in targets
            },
        )
        for index, gain in enumerate(gains)
    ]
    return Report(tracks, tuple(targets), {}, name)


def comparison(*reports):
    return Comparison(reports, {"dataset": "data/songs", "subset": "test"})


def rows(table):
    return {(row[0].main, row[1].main): [cell.main for cell in row[2:]] for row in table.rows}


def test_the_table_has_improvement_share_of_the_oracle_and_sdr():
    found = comparison(
        report(BOUNDS[0], [0.0, 0.0]), report("mine", [3.0, 5.0]), report(BOUNDS[2], [10.0, 6.0])
    )
    table = headline(found)
    assert table.columns == ["system", "score", "vocals", "drums", "mean"]
    assert rows(table) == {
        (BOUNDS[0], "SDR of museval, dB"): ["-10.0"] * 3,
        ("mine", "SI-SDR improvement, dB"): ["+4.0"] * 3,
        ("mine", "share of oracle's"): ["50 %"] * 3,
        ("mine", "SDR of museval, dB"): ["-6.0"] * 3,
        (BOUNDS[2], "SI-SDR improvement, dB"): ["+8.0"] * 3,
        (BOUNDS[2], "SDR of museval, dB"): ["-2.0"] * 3,
    }
    for part in ("songs, test, 2 tracks", "oracle", "median of 1-s frames", "mean over tracks"):
        assert part in table.note


def test_the_share_is_of_the_tracks_that_the_oracle_has_too():
    system, oracle = report("mine", [3.0, 100.0]), report(BOUNDS[2], [6.0])
    assert rows(headline(comparison(system, oracle)))["mine", "share of oracle's"] == ["50 %"] * 3
    # An oracle that improves nothing leaves no way to go.
    nothing = rows(headline(comparison(system, report(BOUNDS[2], [0.0, 0.0]))))
    assert ("mine", "share of oracle's") not in nothing


@pytest.mark.parametrize("swapped", [False, True])
def test_the_verdict_names_the_better_and_how_sure_that_is(swapped):
    levels = [1.0, 7.0, 3.0, 12.0, -2.0, 5.0]

    def judge(first, second):
        pair = [report("good", first), report("bad", second)]
        return verdict(comparison(*(pair[::-1] if swapped else pair)))

    sure = judge([level + 1 + level / 100 for level in levels], levels)
    assert sure.startswith(
        "good is better than bad by 1.0 dB of SI-SDR (mean of vocals, drums; 95 % interval"
    )
    assert sure.endswith("on 6 of 6 tracks.")
    unsure = judge([level + (-1) ** index + 0.1 for index, level in enumerate(levels)], levels)
    assert unsure.startswith(
        "good and bad are not significantly different on 6 tracks: good is ahead by 0.1 dB"
    )
    few = judge([level + 1 for level in levels[:4]], levels[:4])
    assert few.startswith("good is ahead of bad by 1.0 dB")
    assert few.endswith("better on 4 of 4 tracks; 4 tracks are too few to generalise to other songs.")
    assert "interval" not in few


def test_a_verdict_of_one_system_is_against_the_mixture():
    found = verdict(comparison(report("mine", [3.0]), report(BOUNDS[2], [6.0])))
    assert found.startswith("mine is better than the mixture by 3.0 dB of SI-SDR")
    assert "50 % of the improvement of the ideal ratio mask; 1 track is too few" in found
    assert "mine is worse than the mixture by 3.0 dB" in verdict(comparison(report("mine", [-3.0])))
    assert "95 % interval +3.0 to +3.0 over 5 tracks" in verdict(comparison(report("mine", [3.0] * 5)))
    assert verdict(comparison(report(BOUNDS[0], [0.0]))) == ""


def test_what_has_nothing_in_common_gets_no_verdict():
    other = report("b", [1.0], targets=("bass",))
    assert "no target in common" in verdict(comparison(report("a", [1.0]), other))
    late = Report(
        [TrackScores("elsewhere", 1.0, {"vocals": Score(si_sdr_improvement=1.0)})], ("vocals",), {}, "b"
    )
    assert "no track in common" in verdict(comparison(report("a", [1.0]), late))


@pytest.mark.parametrize("count", [1, 3])
def test_no_word_is_broken_and_no_line_is_longer_than_the_terminal(capsys, monkeypatch, count):
    monkeypatch.setattr(results, "_width", 80)
    names = ("SpectrogramNetSimple", "a-system-with-a-name-of-45-letters-in-one-word")
    systems = [report(name, [3.25 + index] * count, TARGETS) for index, name in enumerate(names)]
    found = comparison(
        report(BOUNDS[0], [0.0] * count, TARGETS), *systems, report(BOUNDS[2], [9.5] * count, TARGETS)
    )
    show_comparison(found, details=False)
    short = capsys.readouterr().out
    show_comparison(found, details=True)
    long = capsys.readouterr().out
    assert long.startswith(short)
    for text in (short, long[len(short) :]):
        words = text.split()
        assert set(names) | set(TARGETS) <= set(words)
        assert max(map(len, text.splitlines())) <= 80
    # The mean of a single track is itself.
    assert ("mean +" in long) == (count > 1)
    assert ("track 0" in long) == (count > 1)
