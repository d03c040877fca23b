"""Dealing a signal out in chunks: our own way, and those of published models against what their code does."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from auralflow.transforms import Chunking, cross_fade_window, overlap_add

QUICK = settings(deadline=None, max_examples=40)

POLICIES = {
    "own": Chunking(length=40, step=30),
    "context": Chunking(length=40, step=40, window="rectangle", context=13),
    "demucs": Chunking(length=40, step=30, window="triangle", every_step=True, last="centre"),
    "hdemucs": Chunking(length=41, step=30, window="triangle", every_step=True, last="short"),
    "time demucs": Chunking(
        length=41,
        step=30,
        window="triangle",
        context=12,
        fit=lambda size: 17 * -(-size // 17) + 6,
        every_step=True,
        last="short",
    ),
    "msst": Chunking(
        length=40,
        step=10,
        window="linear_tenth",
        before=30,
        after=30,
        edges="reflect",
        every_step=True,
        last="reflect",
    ),
    "msst without overlap": Chunking(
        length=40, step=40, window="linear_tenth", every_step=True, last="reflect"
    ),
    "mdx": Chunking(length=40, step=30, window="hann", before=4, after=4, multiple=32, every_step=True),
    "uvr": Chunking(length=40, step=8, window="rectangle", before=32, after=32, every_step=True),
}
ADDING = Chunking(length=50, step=40, window="rectangle", normalized=False, before=20, every_step=True)


def run(signal, process, chunking, *, block=10**9, batch_size=1):
    parts = list(overlap_add(signal.split(block, dim=-1), process, chunking, batch_size=batch_size))
    return torch.cat(parts, dim=-1) if parts else signal[..., :0]


def place_dependent(chunks):
    """Something that is not the same wherever a chunk begins, and looks at both sides of a sample."""
    ramp = torch.linspace(0.5, 1.5, chunks.shape[-1], dtype=chunks.dtype)
    return ramp * chunks + 0.3 * chunks.roll(3, -1) - 0.2 * chunks.flip(-1)


@pytest.mark.parametrize("name", POLICIES)
@QUICK
@given(num_samples=st.integers(1, 400), batch_size=st.integers(1, 5), block=st.integers(1, 300))
def test_what_leaves_chunks_as_they_are_leaves_the_signal_as_it_is(name, num_samples, batch_size, block):
    signal = torch.randn(2, num_samples)
    found = run(signal, lambda chunks: chunks, POLICIES[name], block=block, batch_size=batch_size)
    torch.testing.assert_close(found, signal, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", [*POLICIES, "adding"])
@QUICK
@given(num_samples=st.integers(1, 400), batch_size=st.integers(1, 5))
def test_our_own_fades_over_the_chunks_of_others_leave_the_signal_as_it_is(name, num_samples, batch_size):
    published = {**POLICIES, "adding": ADDING}[name]
    faded = published.cross_faded()
    assert faded.window == "cross_fade"
    assert faded.cross_faded() == faded
    # The net reads as much, in no more chunks.
    assert faded.read_length == published.read_length
    if published.normalized:
        padded = num_samples + published.before + published.after
        assert faded.count(num_samples) <= published.count(padded)
    signal = torch.randn(2, num_samples)
    found = run(signal, lambda chunks: chunks, faded, batch_size=batch_size)
    torch.testing.assert_close(found, signal, atol=1e-5, rtol=0)


@QUICK
@given(
    num_samples=st.integers(1, 400),
    length=st.integers(1, 120),
    overlap=st.floats(0, 0.95),
    batch_size=st.integers(1, 5),
    block=st.integers(1, 300),
    context=st.integers(0, 50),
)
def test_any_length_step_and_context_add_up_to_the_signal(
    num_samples, length, overlap, batch_size, block, context
):
    chunking = Chunking(length=length, step=max(1, round(length * (1 - overlap))), context=context)
    signal = torch.randn(2, num_samples)
    found = run(signal, lambda chunks: chunks, chunking, block=block, batch_size=batch_size)
    torch.testing.assert_close(found, signal, atol=1e-5, rtol=0)


@pytest.mark.parametrize("chunking", [*POLICIES.values(), ADDING], ids=[*POLICIES, "adding"])
@pytest.mark.parametrize("num_samples", [1, 39, 40, 41, 61, 100, 333])
def test_the_result_does_not_depend_on_blocks_or_batches(chunking, num_samples):
    signal = torch.randn(1, num_samples)
    expected = run(signal, place_dependent, chunking)
    assert expected.shape == signal.shape
    for block, batch_size in ((1, 1), (7, 3), (333, 2), (90, 8)):
        assert torch.equal(
            run(signal, place_dependent, chunking, block=block, batch_size=batch_size), expected
        )


@pytest.mark.parametrize("chunking", [*POLICIES.values(), ADDING], ids=[*POLICIES, "adding"])
def test_memory_does_not_grow_with_the_signal(chunking):
    """What has been read and is not finished stays below a bound, however long the signal is."""
    read, written, most = 0, 0, 0

    def blocks():
        nonlocal read
        for _ in range(500):
            read += 10
            yield torch.zeros(1, 10)

    for part in overlap_add(blocks(), lambda chunks: chunks, chunking, batch_size=2):
        written += part.shape[-1]
        most = max(most, read - written)
    assert written == read == 5000
    assert most <= chunking.length + 2 * chunking.step + chunking.reach + chunking.history + 20


# What the published code does, written down again without streaming: see its sources for the lines.


def spleeter(signal, process, *, length, step, before):
    """Frames of a whole song in segments: what comes of each is added where it was, without any weight."""
    total = before + signal.shape[-1]
    padded = F.pad(signal, (before, 2 * length))
    result = torch.zeros_like(padded)
    for start in range(0, total, step):
        result[:, start : start + length] += process(padded[None, :, start : start + length])[0]
    return result[:, before:total]


def demucs(signal, process, *, length, overlap, valid_length):
    """``apply_model`` of demucs 4 with ``split=True`` and ``shifts=0``."""
    total = signal.shape[-1]
    stride = int((1 - overlap) * length)
    weight = torch.cat([torch.arange(1, length // 2 + 1), torch.arange(length - length // 2, 0, -1)])
    weight = weight / weight.max()
    result, sums = torch.zeros_like(signal), torch.zeros(total)
    for offset in range(0, total, stride):
        size = min(total - offset, length)
        wanted = valid_length or size
        start = offset - (wanted - size) // 2
        end = start + wanted
        chunk = F.pad(signal[:, max(0, start) : min(total, end)], (max(0, -start), max(0, end - total)))
        missing = wanted - size
        estimate = process(chunk[None])[0][:, missing // 2 : missing // 2 + size]
        result[:, offset : offset + size] += weight[:size] * estimate
        sums[offset : offset + size] += weight[:size]
    return result / sums


def msst(signal, process, *, length, num_overlap):
    """``demix`` of Music-Source-Separation-Training with a batch of one."""
    step, fade = length // num_overlap, length // 10
    border, total = length - step, signal.shape[-1]
    padded = total > 2 * border and border > 0
    mix = F.pad(signal, (border, border), mode="reflect") if padded else signal
    result, counter = torch.zeros_like(mix), torch.zeros_like(mix)
    position = 0
    while position < mix.shape[-1]:
        part = mix[:, position : position + length]
        size = part.shape[-1]
        mode = "reflect" if size > length // 2 else "constant"
        part = F.pad(part, (0, length - size), mode=mode)
        window = torch.ones(length)
        window[length - fade :] = torch.linspace(1, 0, fade)
        window[:fade] = torch.linspace(0, 1, fade)
        if position == 0:
            window[:fade] = 1
        elif position + step >= mix.shape[-1]:
            window[length - fade :] = 1
        result[:, position : position + size] += process(part[None])[0][:, :size] * window[:size]
        counter[:, position : position + size] += window[:size]
        position += step
    estimate = result / counter
    return estimate[:, border:-border] if padded else estimate


def mdx(signal, process, *, length, trim, overlap):
    """``demix`` of the MDX-Net separators."""
    total, own = signal.shape[-1], length - 2 * trim
    mix = F.pad(signal, (trim, own + trim - total % own))
    step = int((1 - overlap) * length)
    result, divider = torch.zeros_like(mix), torch.zeros_like(mix)
    for start in range(0, mix.shape[-1], step):
        end = min(start + length, mix.shape[-1])
        window = torch.from_numpy(np.hanning(end - start)).float() if overlap else torch.ones(end - start)
        part = F.pad(mix[:, start:end], (0, start + length - end))
        result[:, start:end] += process(part[None])[0][:, : end - start] * window
        divider[:, start:end] += window
    return (result / divider)[:, trim:-trim][:, :total]


LENGTHS = [1, 2, 3, 29, 30, 31, 39, 40, 41, 59, 60, 61, 62, 79, 80, 81, 100, 119, 120, 121, 257, 400]


def check(chunking, reference):
    for num_samples in LENGTHS:
        torch.manual_seed(num_samples)
        signal = torch.randn(2, num_samples)
        expected = reference(signal)
        # 0 / 0 in the published code, which then writes silence; here the chunk's own estimate.
        known = expected.isfinite()
        for block, batch_size in ((10**9, 1), (17, 3)):
            found = run(signal, place_dependent, chunking, block=block, batch_size=batch_size)
            torch.testing.assert_close(found[known], expected[known], atol=2e-6, rtol=2e-6)
            assert found.isfinite().all()
        assert known.float().mean() > 0.9 or num_samples < 41


def test_segments_of_frames_as_spleeter_makes_them():
    check(ADDING, lambda signal: spleeter(signal, place_dependent, length=50, step=40, before=20))


@pytest.mark.parametrize("length", [40, 41])
@pytest.mark.parametrize("overlap", [0.25, 0.1, 0.75])
def test_chunks_with_centred_padding_as_demucs_makes_them(length, overlap):
    step = int((1 - overlap) * length)
    for last, valid_length in (("centre", length), ("short", None)):
        chunking = Chunking(length=length, step=step, window="triangle", every_step=True, last=last)
        check(
            chunking,
            lambda signal, valid=valid_length: demucs(
                signal, place_dependent, length=length, overlap=overlap, valid_length=valid
            ),
        )


@pytest.mark.parametrize("num_overlap", [1, 2, 4])
@pytest.mark.parametrize("length", [40, 43])
def test_chunks_with_mirrored_edges_as_msst_makes_them(length, num_overlap):
    step = length // num_overlap
    border = length - step
    chunking = Chunking(
        length=length,
        step=step,
        window="linear_tenth",
        before=border,
        after=border,
        edges="reflect",
        every_step=True,
        last="reflect",
    )
    check(chunking, lambda signal: msst(signal, place_dependent, length=length, num_overlap=num_overlap))


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5])
def test_chunks_under_a_hann_window_as_mdx_net_makes_them(overlap):
    chunking = Chunking(
        length=40,
        step=int((1 - overlap) * 40),
        window="hann" if overlap else "rectangle",
        before=4,
        after=4,
        multiple=32,
        every_step=True,
    )
    check(chunking, lambda signal: mdx(signal, place_dependent, length=40, trim=4, overlap=overlap))


def test_the_net_hears_what_is_around_a_chunk():
    """With context, samples far from the ends are what the whole signal gives."""

    def smooth(chunks):
        return F.conv1d(chunks, torch.ones(1, 1, 9) / 9, padding=4)

    signal = torch.randn(1, 500)
    chunking = Chunking(length=50, step=50, window="rectangle", context=4)
    torch.testing.assert_close(run(signal, smooth, chunking, batch_size=3), smooth(signal[None])[0])


def test_batches_are_no_larger_than_asked_and_chunks_all_of_one_length():
    shapes = []

    def watch(chunks):
        shapes.append(tuple(chunks.shape))
        return chunks

    run(torch.zeros(2, 1000), watch, Chunking(length=100, step=75), batch_size=4)
    assert {shape[1:] for shape in shapes} == {(2, 100)}
    assert max(shape[0] for shape in shapes) == 4
    assert sum(shape[0] for shape in shapes) == 1 + math.ceil((1000 - 100) / 75)


def test_no_signal_gives_no_output():
    for chunking in POLICIES.values():
        assert list(overlap_add([], lambda chunks: chunks, chunking)) == []
        assert list(overlap_add([torch.zeros(1, 0)], lambda chunks: chunks, chunking)) == []


def test_input_is_read_only_as_far_as_needed():
    read = []

    def blocks():
        for index in range(100):
            read.append(index)
            yield torch.zeros(1, 10)

    next(overlap_add(blocks(), lambda chunks: chunks, Chunking(length=50, step=25), batch_size=2))
    # One batch spans 75 samples, and one more block tells that it is not the last.
    assert len(read) == 8


@pytest.mark.parametrize("step", [0, -1, 11])
def test_impossible_steps_are_refused(step):
    with pytest.raises(ValueError, match=r"step is .*: it must be from 1 to length"):
        Chunking(length=10, step=step)


@pytest.mark.parametrize("name", ["before", "after", "multiple", "context"])
def test_negative_numbers_of_samples_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} is -1: it must not be negative"):
        Chunking(length=10, step=5, **{name: -1})


@QUICK
@given(length=st.integers(1, 500), share=st.floats(0.01, 1))
def test_the_window_is_symmetric_positive_and_at_most_one(length, share):
    window = cross_fade_window(length, max(1, round(length * share)))
    assert window.min() > 0
    assert window.max() <= 1
    assert torch.equal(window, window.flip(0))
