"""Files that are whole or not there."""

import pytest

from auralflow.errors import AudioError, AuralflowError, ModelError, SettingsError, UsageError
from auralflow.storage import PART_SUFFIX, atomic_path, remove_leftovers, write_json, write_text


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail_half_way():
        with atomic_path(target) as part:
            part.write_text("new")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail_half_way()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_the_target_appears_only_when_it_is_whole(tmp_path):
    target = tmp_path / "deep" / "a.txt"
    with atomic_path(target) as part:
        part.write_text("new")
        assert not target.exists()
        assert part.parent == target.parent
        assert part.name.endswith(PART_SUFFIX)
    assert target.read_text() == "new"


def test_names_as_long_as_the_file_system_allows(tmp_path):
    target = tmp_path / ("a" * 251 + ".txt")
    write_text(target, "x")
    assert target.read_text() == "x"


def test_json_refuses_nan_and_leaves_nothing(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_message_has_all_its_parts_on_one_line():
    error = AudioError("cannot read 'a'", found="two\nlines", expected="one", advice="Try again.")
    assert str(error) == "cannot read 'a': found two lines, expected one. Try again."


def test_exit_codes_tell_usage_from_failure():
    assert (UsageError("x").exit_code, SettingsError("x").exit_code) == (2, 2)
    assert (ModelError("x").exit_code, AuralflowError("x").exit_code) == (1, 1)


def test_only_left_overs_are_removed(tmp_path):
    kept = [tmp_path / "a.part", tmp_path / ".hidden", tmp_path / "song.part.wav", tmp_path / ".mine.part"]
    for path in (*kept, tmp_path / f".0123456789ab{PART_SUFFIX}"):
        path.touch()
    remove_leftovers(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
