"""Format-aware mutations: sizes next to tags, pages with correct checksums, values in JSON."""

import json
import random
import re
import zlib
from collections.abc import Callable
from typing import Any

SMALL = (0, 1, 2, 3, 7, 8, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x10000)
INTERESTING = (*SMALL, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
TAG = re.compile(rb"[A-Za-z][A-Za-z0-9 ]{3}")
NESTED = "@nested@"
"""Placeholder for endless brackets, which ``json`` cannot write."""
ODD_VALUES: tuple[Any, ...] = (None, True, -1, 0, 1, 1e308, 2**63, 10**400, "", "x" * 10000, [], {}, [[]])
ODD_VALUES += ({"a": []}, float("nan"), "../../x", "/etc/passwd", "a\0b", "\ud800", "[red]x[/]", NESTED)


def mutate(data: bytes, rng: random.Random, others: list[bytes] | None = None) -> bytes:
    """Damage a binary file in one to three ways.

    Args:
        data: The file.
        rng: Decides everything.
        others: Files that pieces may come from.
    """
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        kind = rng.choice(KINDS)
        data = kind(data, rng) if kind is not _splice else _splice(data, rng, others or [data])
    return data


def _flip_bits(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _flip_in_head(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if changed:
            changed[rng.randrange(min(len(changed), 512))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _cut_end(data: bytes, rng: random.Random) -> bytes:
    return data[: max(0, len(data) - rng.choice((1, 2, 4, 16, 100, 1000)))]


def _cut_start(data: bytes, rng: random.Random) -> bytes:
    return data[rng.choice((1, 4, 12, 44, 100, 1000)) :]


def _delete(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.choice((1, 2, 4, 64, 4096)) :]


def _insert(data: bytes, rng: random.Random) -> bytes:
    start, count = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 64, 4096))
    return data[:start] + rng.randbytes(count) + data[start:]


def _repeat(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    piece = data[start : start + rng.choice((4, 64, 4096))]
    return data[:start] + piece * rng.choice((2, 3, 20)) + data[start + len(piece) :]


def _blank(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data) + 1)
    count = min(rng.choice((16, 512, 4096)), len(data) - start)
    return data[:start] + bytes([rng.choice((0, 0, 0xFF))]) * count + data[start + count :]


def _append(data: bytes, rng: random.Random) -> bytes:
    return data + rng.choice((b"\0" * 5000, rng.randbytes(777), b"TAG" + b" " * 125, data[:1000], b"\n"))


def _splice(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    other = rng.choice(others)
    return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]


def _change_number(data: bytes, rng: random.Random) -> bytes:
    """A number of one to eight bytes in the head, in either order of bytes."""
    width = rng.choice((1, 2, 2, 4, 4, 8))
    if len(data) < width:
        return data
    place = rng.randrange(min(len(data) - width + 1, 256))
    return data[:place] + _number(data[place : place + width], rng) + data[place + width :]


def _change_size(data: bytes, rng: random.Random) -> bytes:
    """The number before or behind a tag of four letters: RIFF has it behind, MP4 before."""
    tags = [match.start() for match in TAG.finditer(data[:8192])]
    tags += [match.start() + max(0, len(data) - 4096) for match in TAG.finditer(data[-4096:])]
    places = [place for tag in tags for place in (tag - 4, tag + 4) if 0 <= place <= len(data) - 4]
    if not places:
        return _change_number(data, rng)
    place = rng.choice(places)
    return data[:place] + _number(data[place : place + 4], rng) + data[place + 4 :]


def _number(old: bytes, rng: random.Random) -> bytes:
    order = rng.choice(("little", "big"))
    value = int.from_bytes(old, order)
    near = (value + 1, value - 1, 2 * value, value // 2, value ^ (1 << (8 * len(old) - 1)))
    value = rng.choice((*near, *INTERESTING, rng.getrandbits(8 * len(old))))
    return (value % (1 << (8 * len(old)))).to_bytes(len(old), order)


def _change_page(data: bytes, rng: random.Random) -> bytes:
    """Drop, repeat, swap or change pages of an Ogg file, and give what is changed the right check sum."""
    starts = [match.start() for match in re.finditer(b"OggS", data)]
    if len(starts) < 2:
        return _change_size(data, rng)
    pages = [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)], strict=True)]
    index = rng.randrange(len(pages))
    kind = rng.choice(("drop", "repeat", "swap", "flag", "granule", "body"))
    if kind == "drop":
        del pages[index]
    elif kind == "repeat":
        pages.insert(index, pages[index])
    elif kind == "swap":
        other = rng.randrange(len(pages))
        pages[index], pages[other] = pages[other], pages[index]
    else:
        page = bytearray(pages[index])
        place = {"flag": 5, "granule": 6 + rng.randrange(8), "body": len(page) - 1}[kind]
        page[min(place, len(page) - 1)] ^= 1 << rng.randrange(8)
        pages[index] = _with_check_sum(page)
    return data[: starts[0]] + b"".join(pages)


def _with_check_sum(page: bytearray) -> bytes:
    if len(page) < 27:
        return bytes(page)
    page[22:26] = bytes(4)
    check = 0
    for byte in page:
        check ^= byte << 24
        for _ in range(8):
            check = (check << 1) ^ 0x04C11DB7 if check & 0x80000000 else check << 1
        check &= 0xFFFFFFFF
    page[22:26] = check.to_bytes(4, "little")
    return bytes(page)


KINDS: tuple[Callable[..., bytes], ...] = (
    _flip_bits,
    _flip_in_head,
    _cut,
    _cut_end,
    _cut_start,
    _delete,
    _insert,
    _repeat,
    _blank,
    _append,
    _splice,
    _change_number,
    _change_size,
    _change_size,
    _change_page,
)


def mutate_json(text: str, rng: random.Random) -> bytes:
    """Replace, remove or add values anywhere in a JSON document; now and then damage its bytes instead."""
    if rng.random() < 0.25:
        return mutate(text.encode(), rng)
    content = json.loads(text)
    for _ in range(rng.choice((1, 1, 2, 4))):
        content = _change_value(content, rng)
    written = json.dumps(content)
    return written.replace(json.dumps(NESTED), "[" * 200_000).encode()


def _change_value(content: Any, rng: random.Random) -> Any:
    if isinstance(content, dict) and content and rng.random() < 0.9:
        return _change_object(content, rng)
    if isinstance(content, list) and content and rng.random() < 0.8:
        index = rng.randrange(len(content))
        changed = rng.choice(([_change_value(content[index], rng)], [], content))
        return [*content[:index], *changed, *content[index + 1 :]]
    return rng.choice(ODD_VALUES)


def _change_object(content: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    key = rng.choice(sorted(content))
    kind = rng.choice(("deeper", "deeper", "remove", "rename", "add"))
    if kind == "remove":
        return {name: value for name, value in content.items() if name != key}
    if kind == "rename":
        return {key + "x" if name == key else name: value for name, value in content.items()}
    if kind == "add":
        return content | {rng.choice(("", "x", key + "_")): rng.choice(ODD_VALUES)}
    return content | {key: _change_value(content[key], rng)}


def mutate_safetensors(data: bytes, rng: random.Random) -> bytes:
    """Damage the header's length, its JSON, or the numbers behind it."""
    length = int.from_bytes(data[:8], "little")
    header, body = data[8 : 8 + length], data[8 + length :]
    kind = rng.choice(("length", "json", "json", "body", "bytes"))
    if kind == "length":
        return _number(data[:8], rng) + header + body
    if kind == "json":
        changed = mutate_json(header.decode(), rng)
        return len(changed).to_bytes(8, "little") + changed + body
    if kind == "body":
        return data[: 8 + length] + mutate(body, rng)
    return mutate(data, rng)


def seed_of(*parts: object) -> int:
    """A seed that is the same in every process, unlike ``hash``."""
    return zlib.crc32(repr(parts).encode())
