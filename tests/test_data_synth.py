"""Songs made by several processes."""

from dataset_makers import RATE

from auralflow.cli import main


def test_several_processes_make_the_same_songs_as_one(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(
        "auralflow.datasets.loader.usable_workers", lambda wanted: asked.append(wanted) or wanted
    )
    options = ["--tracks", "4", "--seconds", "1", "--sample-rate", str(RATE), "--seed", "3"]
    for number in ("1", "2"):
        assert main(["synth", str(tmp_path / number), *options, "--num-workers", number]) == 0
    assert asked == [1, 2]
    one, two = (
        {
            path.relative_to(tmp_path / number): path.read_bytes()
            for path in (tmp_path / number).rglob("*.wav")
        }
        for number in ("1", "2")
    )
    assert len(one) == 4 * 5
    assert one == two
