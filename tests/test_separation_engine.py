"""The separator in Python: what goes in, what comes out, and what must hold of it."""

import io
import itertools
import threading
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from separating import RATE, fixed_model, noise, small_model, write_song

from auralflow.errors import AudioError, CancelledError, NotFoundError, SettingsError, UsageError
from auralflow.nets.families import settings_of_net
from auralflow.nets.unet.folding import fold_batch_norm
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.separation import Separator
from auralflow.separation.pipeline import average, prefetch


@pytest.fixture(scope="module")
def separator():
    return Separator(small_model())


@settings(max_examples=25, deadline=None)
@given(
    frames=st.integers(1, 3 * RATE),
    channels=st.integers(1, 5),
    shifts=st.integers(1, 3),
    overlap=st.sampled_from([0.0, 0.25, 0.6]),
    batch_size=st.integers(1, 3),
    wiener=st.sampled_from([0, 0, 2]),
)
def test_mask_of_one_gives_back_the_input(frames, channels, shifts, overlap, batch_size, wiener):
    audio = noise(channels, frames)
    engine = Separator(fixed_model(1.0), shifts=shifts, overlap=overlap, batch_size=batch_size, wiener=wiener)
    separated = engine.separate(audio, RATE)
    # The Wiener filter takes its regularisation for noise and leaves that out.
    np.testing.assert_allclose(separated[0], audio, atol=2e-2 if wiener else 1e-5)


def _cut(audio, pieces):
    edges = np.linspace(0, audio.shape[-1], pieces + 1).astype(int)
    return [audio[:, a:b] for a, b in itertools.pairwise(edges)]


@pytest.mark.parametrize("rate", [RATE, 11025])
@pytest.mark.parametrize("options", [{}, {"shifts": 3}, {"wiener": 1}, {"phase": "griffin-lim"}])
def test_stream_equals_the_result_in_memory(rate, options):
    audio = noise(2, 2 * rate)
    engine = Separator(small_model(), **options)
    whole = engine.separate(audio, rate)
    for pieces in (1, 23):
        blocks = list(engine.stream(_cut(audio, pieces), rate, 2))
        np.testing.assert_allclose(np.concatenate([b.targets for b in blocks], axis=-1), whole, atol=1e-6)
        np.testing.assert_array_equal(np.concatenate([b.original for b in blocks], axis=-1), audio)


def test_samples_are_finished_within_the_latency(separator):
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 100
            yield noise(2, 100)

    done = 0
    for block in separator.stream(endless(), RATE, 2):
        done += block.targets.shape[-1]
        assert read - done <= separator.latency * RATE + 200
        if done > 10 * RATE:
            break


def test_separator_equals_the_model_it_was_made_of(separator):
    audio = noise(2, 5000)
    model = small_model()
    expected = model.separate(torch.from_numpy(audio)[None])[0].numpy()
    np.testing.assert_allclose(separator.separate(audio, RATE), expected, atol=1e-5)


@pytest.mark.parametrize("make", [1, 2])
@pytest.mark.parametrize("net", ["SpectrogramNetSimple", "SpectrogramNetLSTM", "SpectrogramNetVAE"])
def test_folding_changes_nothing_but_the_number_of_layers(net, make):
    extra = {} if net == "SpectrogramNetSimple" else {"hidden_size": 8}
    config = settings_of_net(net)(
        net=net,
        net_version=make,
        num_hidden_channels=2,
        num_fft=256,
        window_size=256,
        hop_length=128,
        sample_rate=RATE,
        **extra,
    )
    model = SpectrogramMaskModel(config)
    audio = torch.randn(2, 1, config.chunk_samples)
    model.train()
    model(audio)  # so that the batch normalisations have something to say
    model.eval()
    folded = fold_batch_norm(model)
    assert torch.allclose(folded(audio).mask, model(audio).mask, atol=1e-5)
    # Behind a dense layer over frequency, a factor of a channel cannot go into the weights.
    kinds = [type(module).__name__ for name, module in folded.net.down.named_modules() if "dense" not in name]
    assert "BatchNorm2d" not in kinds
    assert any(parameter.requires_grad for parameter in model.parameters())


def test_only_the_targets_asked_for_are_computed(separator):
    audio = noise(2, 5000)
    drums = Separator(small_model(), targets="drums")
    assert drums.targets == ("drums",)
    assert drums.members[0].engine.model.net.head.out_channels == 2
    np.testing.assert_allclose(drums.separate(audio, RATE), separator.separate(audio, RATE)[1:], atol=1e-6)


def test_targets_keep_the_order_in_which_they_were_asked_for(separator):
    audio = noise(2, 5000)
    swapped = Separator(small_model(), targets=("drums", "vocals")).separate(audio, RATE)
    np.testing.assert_allclose(swapped[::-1], separator.separate(audio, RATE), atol=1e-6)


@pytest.mark.parametrize("options", [{"wiener": 1}, {"consistent": True}])
def test_target_alone_is_what_it_is_among_the_others(options):
    audio = noise(2, 5000)
    alone = Separator(small_model(), targets="drums", **options).separate(audio, RATE)
    among = Separator(small_model(), **options).separate(audio, RATE)
    np.testing.assert_allclose(alone[0], among[1], atol=1e-6)


@pytest.mark.parametrize("rate", [RATE, 16000])
@pytest.mark.parametrize("phase", ["mixture", "griffin-lim"])
def test_consistent_targets_sum_to_the_original(rate, phase):
    audio = noise(2, 2 * rate)
    targets = Separator(small_model(), consistent=True, phase=phase).separate(audio, rate)
    np.testing.assert_allclose(targets.sum(axis=0), audio, atol=1e-6)


def test_consistency_gives_each_target_by_its_share():
    audio = noise(2, 5000)
    targets = Separator(fixed_model(0.6, 0.2), consistent=True).separate(audio, RATE)
    np.testing.assert_allclose(targets[0], 0.75 * audio, atol=1e-5)
    np.testing.assert_allclose(targets[1], 0.25 * audio, atol=1e-5)


def test_longer_chunks_keep_the_overlap_in_seconds():
    engine = Separator(small_model(), chunk=2.0, overlap=0.5).members[0].engine
    assert engine.chunking.length == 2 * RATE
    assert engine.chunking.length - engine.chunking.step == RATE // 4


def test_shifts_differ_from_one_pass_and_stay_near_it(separator):
    audio = noise(2, 3 * RATE)
    one, three = separator.separate(audio, RATE), Separator(small_model(), shifts=3).separate(audio, RATE)
    assert one.shape == three.shape
    assert 0 < np.abs(one - three).max() < 0.5 * np.abs(one).max()


def test_bfloat16_stays_40_db_nearer_to_float32_than_the_targets_are_loud(separator):
    audio = noise(2, 3 * RATE)
    exact = separator.separate(audio, RATE)
    rounded = Separator(small_model(), precision="bfloat16").separate(audio, RATE)
    assert rounded.dtype == np.float32
    error = np.mean((rounded - exact) ** 2, axis=(1, 2)) / np.mean(exact**2, axis=(1, 2))
    assert (error > 0).all(), "nothing was computed in bfloat16"
    assert (error < 1e-4).all()


def test_every_kind_of_source_gives_the_same(separator, tmp_path):
    audio = noise(2, 5000)
    path = write_song(tmp_path / "a.wav", audio, subtype="FLOAT")
    expected = separator.separate(audio, RATE)
    assert expected.shape == (2, 2, 5000)
    np.testing.assert_array_equal(separator.separate(path), expected)
    np.testing.assert_array_equal(separator.separate(str(path)), expected)
    with path.open("rb") as file:
        np.testing.assert_array_equal(separator.separate(file), expected)
    np.testing.assert_array_equal(separator.separate(io.BytesIO(path.read_bytes())), expected)
    tensor = separator.separate(torch.from_numpy(audio), RATE)
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), expected)


def test_samples_of_another_shape_or_kind_are_refused(separator):
    for wrong in (noise()[0], noise().T, (noise() * 1000).astype(np.int16)):
        with pytest.raises(UsageError, match="cannot separate these samples"):
            separator.separate(wrong, RATE)
    for wrong, advice in (
        (noise()[0], "Add an axis to a mono signal: samples[None]."),
        (noise().T, "Swap the axes: samples.T."),
        (noise()[None], "Remove the batch axis: samples[0]."),
        (
            np.stack([noise()] * 3),
            "Separate the signals of a batch one at a time: samples[0], samples[1] and so on.",
        ),
        (np.zeros((0, 9), np.float32), "expected [channels, samples] with 1 to 64 channels"),
    ):
        with pytest.raises(UsageError) as refused:
            separator.separate(wrong, RATE)
        assert str(refused.value).endswith(advice)
        assert f"found shape {list(wrong.shape)}, expected [channels, samples]" in str(refused.value)
    with pytest.raises(UsageError, match="found bytes, expected a path, an array or tensor"):
        separator.separate(b"RIFF", RATE)
    broken = noise()
    broken[1, [5, 7]] = np.nan, np.inf
    with pytest.raises(AudioError, match=rf"NaN or infinity in 2 of {broken.size}, first at \[1, 5\]"):
        separator.separate(broken, RATE)


@pytest.mark.parametrize("dtype", ["int16", "int32"])
def test_integer_samples_are_told_how_to_become_floats_of_full_scale(separator, dtype):
    lowest = np.iinfo(dtype).min
    with pytest.raises(UsageError, match=rf"found {dtype}, expected floats from -1 to 1") as refused:
        separator.separate(np.full((2, 9), lowest, dtype), RATE)
    advice = str(refused.value).rpartition(": ")[2].removesuffix(".")
    assert (eval(advice, {"samples": np.full(1, lowest, dtype)}) == -1).all()
    assert advice in str(
        refused_by(lambda: small_model().separate(torch.zeros(1, 2, 9).to(getattr(torch, dtype))))
    )


def refused_by(call):
    with pytest.raises(UsageError) as refused:
        call()
    return refused.value


def test_model_refuses_what_is_no_tensor_of_float32():
    model = small_model()
    assert "found ndarray, expected a tensor" in str(refused_by(lambda: model.separate(noise()[None])))
    doubled = torch.zeros(1, 2, 9, dtype=torch.float64)
    assert str(refused_by(lambda: model.separate(doubled))).endswith("Convert it: audio.float().")


@pytest.mark.parametrize("method", ["stream", "stream_apart", "measure"])
@pytest.mark.parametrize(
    ("block", "channels", "error", "words"),
    [
        (noise(2), 1, UsageError, "expected [1, samples]. Say how many channels there are: channels=2."),
        (noise(1), 2, UsageError, "expected [2, samples]. Say how many channels there are: channels=1."),
        (noise(2).T, 2, UsageError, "expected [2, samples]. Swap the axes: samples.T."),
        (noise(1)[0], 1, UsageError, "Add an axis to a mono signal: samples[None]."),
        (np.zeros((2, 9), np.int16), 2, UsageError, "Divide by full scale: samples / 32768."),
        (torch.zeros(2, 9), 2, UsageError, "found a block of type Tensor, expected a NumPy array"),
        (np.array([[0, 0], [0, np.nan]]), 2, AudioError, "NaN or infinity in 1 of 4, first at [1, 1]"),
        (np.array([[0, 1e300]]), 1, AudioError, "NaN or infinity in 1 of 2, first at [0, 1]"),
    ],
)
def test_blocks_are_checked_like_whole_signals(method, block, channels, error, words):
    standardized = small_model()
    standardized.traits = replace(standardized.traits, standardized=True)
    engine = Separator(standardized)
    good = np.zeros((channels, 100), np.float32)
    with pytest.raises(error) as refused:
        list(getattr(engine, method)([good, block], RATE, channels))
    assert words in str(refused.value)


def test_errors_of_file_objects_name_what_the_caller_gave(separator, tmp_path):
    with pytest.raises(AudioError, match=r"^cannot read the file object: found "):
        separator.separate(io.BytesIO(b"abc"))
    path = tmp_path / "song.wav"
    path.write_bytes(b"abc")
    with path.open("rb") as file, pytest.raises(AudioError) as refused:
        separator.separate(file)
    assert str(refused.value).startswith(f"cannot read '{path}': ")
    broken = noise()
    broken[0, 5] = np.nan
    bad = write_song(tmp_path / "bad.wav", broken, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"^the file object cannot be used: found 1 samples"):
        separator.separate(io.BytesIO(bad.read_bytes()))


def test_empty_signal_gives_empty_targets(separator):
    assert separator.separate(np.zeros((2, 0), dtype=np.float32), 44100).shape == (2, 2, 0)


def test_progress_rises_to_one(separator):
    shares: list[float] = []
    separator.separate(noise(2, 4 * RATE), RATE, on_progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 2
    assert shares[-1] == 1.0


def test_work_stops_soon_after_it_was_asked_to(separator):
    stop = threading.Event()
    shares = []

    def watch(share):
        shares.append(share)
        stop.set()

    with pytest.raises(CancelledError):
        separator.separate(noise(2, 20 * RATE), RATE, on_progress=watch, should_stop=stop.is_set)
    assert len(shares) == 1


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"targets": "piano"}, NotFoundError, "no target 'piano'.*vocals, drums"),
        ({"overlop": 0.5}, SettingsError, "overlop.*overlap"),
        ({"overlap": 1.0}, SettingsError, "overlap"),
        ({"chunk": 0.1}, UsageError, "at least 0.5 s"),
        ({"precision": "bfloat16", "backend": "onnx"}, SettingsError, "bfloat16 needs `backend` torch"),
        ({"device": "cuda:7"}, UsageError, "no such device"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_one_line(options, error, words):
    with pytest.raises(error, match=words) as caught:
        Separator(small_model(), **options)
    assert "\n" not in str(caught.value)


def test_consistency_of_a_single_target_is_refused():
    with pytest.raises(UsageError, match="several targets"):
        Separator(fixed_model(0.5), consistent=True)


def test_threads_share_a_separator(separator):
    audio = [noise(2, 3 * RATE, seed=seed) for seed in range(3)]
    expected = [separator.separate(one, RATE) for one in audio]
    found = [None] * 3

    def work(index):
        found[index] = separator.separate(audio[index], RATE)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_prefetch_passes_items_and_errors_on_in_their_place():
    def items():
        yield 1
        yield 2
        raise AudioError("broken")

    seen: list[int] = []
    with pytest.raises(AudioError, match="broken"):
        seen.extend(iter_into(seen, prefetch(items())))
    assert seen == [1, 2]


def iter_into(seen, items):
    for item in items:
        seen.append(item)
    return []


def test_prefetch_closes_what_it_reads_when_it_is_closed():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    stream = prefetch(items())
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert closed.is_set()


def test_average_of_streams_cut_in_different_places():
    first, second = noise(1, 1000, seed=1), noise(1, 1000, seed=2)
    blocks = list(average([iter(_cut(first, 3)), iter(_cut(second, 11))]))
    np.testing.assert_allclose(np.concatenate(blocks, axis=-1), (first + second) / 2, atol=1e-7)


@pytest.mark.gpu
def test_gpu_equals_cpu():
    audio = noise(2, 5 * RATE)
    cpu = Separator(small_model(), device="cpu").separate(audio, RATE)
    gpu = Separator(small_model(), device="cuda").separate(audio, RATE)
    np.testing.assert_allclose(gpu, cpu, atol=1e-4)


def test_rates_and_channels_come_back_as_they_went_in(separator, tmp_path):
    for rate in (8000, 22050, 44100, 192000):
        for channels in (1, 3, 8):
            audio = noise(channels, rate // 4)
            path = write_song(tmp_path / "a.wav", audio, rate, "FLOAT")
            assert soundfile.info(path).channels == channels
            assert separator.separate(path).shape == (2, channels, rate // 4)
