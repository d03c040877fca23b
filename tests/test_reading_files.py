"""Archives, settings beside weights, and files that are something else."""

import gzip
import hashlib
import io
import json
import stat
import tarfile
import zipfile

import pytest
import torch
from checkpoint_makers import make_tar, make_zip

from auralflow.errors import ModelError, NotFoundError, UsageError
from auralflow.models.reading import describe_file, read_checkpoint, read_settings_file, tail_md5


def weights(**more) -> bytes:
    buffer = io.BytesIO()
    torch.save({"weight": torch.arange(3.0), **more}, buffer)
    return buffer.getvalue()


# Archives.

MEMBERS = {
    "pack/vocals.pth": weights(),
    "pack/drums.pth": weights(),
    "pack/config.yaml": b"model: {dim: 4}",
    "other/notes.json": b"{}",
    "pack/code.py": b"raise SystemExit",
}


@pytest.mark.parametrize(("make", "name"), [(make_tar, "a.tar.gz"), (make_zip, "a.whl")])
def test_only_what_is_needed_comes_out_of_an_archive(tmp_path, make, name):
    path = make(tmp_path / name, MEMBERS)
    checkpoint = read_checkpoint([path])
    assert [part.name for part in checkpoint.parts] == ["drums", "vocals"]
    assert checkpoint.settings == {"model": {"dim": 4}}
    assert checkpoint.settings_file == "config.yaml"
    assert [source.name for source in checkpoint.sources] == [
        name,
        f"{name}/pack/drums.pth",
        f"{name}/pack/vocals.pth",
        f"{name}/pack/config.yaml",
    ]
    assert checkpoint.sources[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.parts[0].tensors["weight"].tolist() == [0, 1, 2]


NAMES = ["../evil.pth", "/tmp/evil.pth", "a/../../evil.pth", "..\\evil.pth", "C:/evil.pth"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("make", "archive"), [(make_tar, "a.tar.gz"), (make_zip, "a.whl")])
def test_names_that_lead_out_of_an_archive_are_refused(tmp_path, make, archive, name):
    path = make(tmp_path / archive, {"good.pth": weights(), name: weights()})
    with pytest.raises(ModelError, match="which leads out of the archive"):
        read_checkpoint([path])
    assert not list(tmp_path.rglob("evil.pth"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("model.pth")
    info.type, info.linkname = kind, "/etc/passwd"
    path = make_tar(tmp_path / "a.tar.gz", {}, info)
    with pytest.raises(ModelError, match="not a regular file"):
        read_checkpoint([path])


def test_links_in_a_zip_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        info = zipfile.ZipInfo("model.pth")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(ModelError, match="not a regular file"):
        read_checkpoint([path])


@pytest.mark.parametrize(("make", "name"), [(make_tar, "a.tar.gz"), (make_zip, "a.zip")])
def test_an_archive_that_expands_to_more_than_weights_do_is_refused(tmp_path, make, name):
    path = make(tmp_path / name, {"model.pth": bytes(40 << 20)})
    assert path.stat().st_size < 1 << 20
    with pytest.raises(ModelError, match=r"bytes (compressed|than)"):
        read_checkpoint([path])


def test_a_zip_that_lies_about_the_size_of_a_member_is_refused(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"model.pth": bytes(40 << 20)})
    content = path.read_bytes()
    path.write_bytes(content.replace((40 << 20).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(ModelError, match="cannot use the archive"):
        read_checkpoint([path])


def test_a_long_name_in_a_tar_cannot_fill_the_memory(tmp_path):
    path = tmp_path / "a.tar.gz"
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 1 << 40
    with gzip.open(path, "wb") as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        file.write(bytes(40 << 20))
    with pytest.raises(ModelError, match="more bytes than weights can expand to"):
        read_checkpoint([path])


@pytest.mark.parametrize(("make", "name"), [(make_tar, "a.tar.gz"), (make_zip, "a.zip")])
def test_a_truncated_archive_is_one_line(tmp_path, make, name):
    path = make(tmp_path / name, MEMBERS)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelError) as error:
        read_checkpoint([path])
    assert "\n" not in str(error.value)


def test_an_archive_of_archives_is_not_opened_further(tmp_path):
    inner = make_zip(tmp_path / "inner.zip", MEMBERS)
    path = make_zip(tmp_path / "outer.zip", {"inner.pth": inner.read_bytes()})
    with pytest.raises(ModelError, match="an archive without weights"):
        read_checkpoint([path])


# Settings.


def settings(tmp_path, text, name="config.yaml"):
    path = tmp_path / name
    path.write_text(text)
    return read_settings_file(path)


def test_yaml_may_hold_tuples_and_merges_and_nothing_that_runs(tmp_path):
    text = "base: &b {dim: 4}\nmodel: {<<: *b, dims: !!python/tuple [1, 2], rate: 44100}"
    assert settings(tmp_path, text)["model"] == {"dim": 4, "dims": (1, 2), "rate": 44100}


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {mark}']",
        "!!python/object/new:os.system ['touch {mark}']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object:pathlib.Path {{}}",
        "!!python/tuple {{a: 1}}",
    ],
)
def test_yaml_that_names_code_is_refused(tmp_path, tag):
    mark = tmp_path / "mark"
    with pytest.raises(ModelError, match="cannot use the settings") as error:
        settings(tmp_path, f"model: {tag.format(mark=mark)}")
    assert not mark.exists()
    assert "\n" not in str(error.value)


def nested_aliases(join):
    lines = ["a0: &a0 {x0: 1}"]
    lines += [f"a{i}: &a{i} {join(i)}" for i in range(1, 40)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        nested_aliases(lambda i: f"[*a{i - 1}, *a{i - 1}]"),
        nested_aliases(lambda i: f"{{<<: [*a{i - 1}, *a{i - 1}], x{i}: 1}}"),
        "a: &a [*a]",
        "[" * 5_000,
        "a: [1\nb",
        "- 1",
        "",
        "x: " + "y" * (1 << 20),
    ],
    ids=["aliases", "merges", "itself", "depth", "broken", "list", "empty", "long"],
)
def test_yaml_that_is_no_plain_settings_is_one_line(tmp_path, text):
    with pytest.raises(ModelError, match="cannot use the settings") as error:
        settings(tmp_path, text)
    assert "\n" not in str(error.value)


def test_settings_beside_weights_or_named_are_read(tmp_path):
    model, beside, named = (tmp_path / name for name in ("m.pth", "m.json", "other.yaml"))
    model.write_bytes(weights())
    beside.write_text(json.dumps({"hidden_size": 512}))
    named.write_text("hidden_size: 256")
    assert read_checkpoint([model]).settings == {}
    assert read_checkpoint([model, beside]).settings == {"hidden_size": 512}
    assert read_checkpoint([model, beside], settings=named).settings == {"hidden_size": 256}
    assert read_checkpoint([tmp_path]).settings == {"m": {"hidden_size": 512}, "other": {"hidden_size": 256}}


# Other files.


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("a.pth", b"", "an empty file"),
        ("a.pth", b"<!DOCTYPE html><html>", "a web page"),
        ("a.pth", b"version https://git-lfs.github.com/spec/v1\noid sha256:00", "a Git LFS pointer"),
        ("a.h5", b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file"),
        ("a.wav", b"RIFF\0\0\0\0WAVE" + bytes(100), "another kind of file"),
        ("a.index", bytes(100), "a truncated index of a TensorFlow bundle"),
        ("a.pth", b"PK\x03\x04" + bytes(100), "a truncated or damaged zip archive"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_called_what_it_is(tmp_path, name, content, found):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ModelError, match=found) as error:
        read_checkpoint([path])
    assert "\n" not in str(error.value)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(NotFoundError, match="no such file"):
        read_checkpoint([tmp_path / "a.pth"])
    with pytest.raises(NotFoundError, match="no weights in the folder"):
        read_checkpoint([tmp_path])
    (tmp_path / "a.yaml").write_text("dim: 1")
    with pytest.raises(UsageError, match="no weights given"):
        read_checkpoint([tmp_path / "a.yaml"])


def test_the_hash_of_the_tail_is_over_its_last_ten_million_bytes(tmp_path):
    path = tmp_path / "a.onnx"
    path.write_bytes(b"abc")
    assert tail_md5(path) == hashlib.md5(b"abc").hexdigest()
    path.write_bytes(b"x" * 5 + bytes(10_240_000))
    assert tail_md5(path) == hashlib.md5(bytes(10_240_000)).hexdigest()
    assert describe_file(path).size == 10_240_005
