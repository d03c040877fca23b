"""What numbers the net computes with, and how many chunks at once."""

import logging
import math

import numpy as np
import pytest
import torch
from separating import RATE, noise, small_model, write_song

from auralflow import machine
from auralflow.config import EngineConfig, StemConfig
from auralflow.errors import UsageError
from auralflow.nets.door import Traits
from auralflow.nets.families import create_model, find_net
from auralflow.separation import Separator, find_songs, precision, separate_files
from auralflow.separation.backends import torch_backend
from auralflow.separation.batches import MOST_ON_CUDA, Batches, fitting_batch
from auralflow.separation.work import Worker

CPU = torch.device("cpu")


@pytest.fixture
def speedup(monkeypatch):
    """Sets what the measurement finds."""

    def find(value):
        monkeypatch.setattr(precision, "bfloat16_speedup", lambda _device: value)

    return find


def resolved(speed_or_error, **options):
    model = small_model()
    if speed_or_error is not ...:
        model.traits = Traits(has_masks=True, bfloat16_error=speed_or_error)
    return Separator(model, **options).settings.precision


def test_auto_takes_bfloat16_only_where_it_is_faster_and_the_model_loses_little(speedup, caplog):
    caplog.set_level(logging.INFO, "auralflow")
    speedup(2.4)
    assert resolved(...) == "bfloat16"
    assert "precision bfloat16: bfloat16 runs at 2.4 times the speed of float32 on cpu" in caplog.text
    assert resolved(None) == "float32"
    assert "precision float32: the error of this net in bfloat16 is unknown" in caplog.text
    caplog.clear()
    assert resolved(-38.0) == "float32"
    assert "bfloat16 changes this net's estimates by -38 dB, above -40 dB" in caplog.text
    assert "not known" not in caplog.text
    assert resolved(..., backend="onnx") == "float32"
    speedup(0.7)
    assert resolved(...) == "float32"
    assert "runs at 0.7 times the speed" in caplog.text
    # What is asked for is done.
    assert resolved(None, precision="bfloat16") == "bfloat16"


def test_a_processor_without_units_is_not_measured(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True, "amx_bf16": False})
    monkeypatch.setattr(machine, "_speedup", lambda *_: pytest.fail("measured"))
    assert machine.bfloat16_speedup.__wrapped__(CPU) == 0


@pytest.mark.parametrize(("found", "measurements"), [([0.1], 1), ([0.9, 2.4], 2)])
def test_large_products_are_measured_only_where_small_ones_promise_something(
    found, measurements, monkeypatch
):
    sizes = []
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    monkeypatch.setattr(machine, "_speedup", lambda _, *size: (sizes.append(size), found[len(sizes) - 1])[1])
    assert machine.bfloat16_speedup.__wrapped__(CPU) == found[-1]
    assert len(sizes) == measurements
    assert sizes == sorted(sizes)


def test_a_journal_knows_the_precision_only_where_the_samples_differ(speedup):
    def identity(value, error):
        speedup(value)
        model = small_model()
        model.traits = Traits(has_masks=True, bfloat16_error=error)
        return Separator(model).identity

    assert identity(0, -50) == identity(0.5, -50)
    assert identity(2, -50) != identity(0, -50)
    assert identity(2, -50)["precision"] == "bfloat16"
    assert identity(2, -100) == identity(0, -100)


def test_a_run_goes_on_on_a_machine_that_resolves_otherwise(speedup, tmp_path):
    write_song(tmp_path / "songs" / "a.wav", noise(2, RATE))
    songs = find_songs([tmp_path / "songs"])
    model = small_model()

    def statuses(value, error):
        speedup(value)
        model.traits = Traits(has_masks=True, bfloat16_error=error)
        outcomes = separate_files(Separator(model), songs, tmp_path / str(error), StemConfig())
        return [outcome.status for outcome in outcomes]

    assert statuses(0, -100) == ["separated"]
    assert statuses(2, -100) == ["kept"], "the samples are the same"
    assert statuses(0, -50) == ["separated"]
    assert statuses(2, -50) == ["separated"], "two kinds of stems would be mixed"
    assert statuses(0, -50) == ["separated"], "its files are gone"
    assert statuses(0, -50) == ["kept"]


class Hungry:
    """Runs out of memory with more than so many chunks."""

    def __init__(self, fits, error=torch.OutOfMemoryError):
        self.fits, self.error, self.seen = fits, error, []

    def __call__(self, chunks):
        self.seen.append(len(chunks))
        if len(chunks) > self.fits:
            raise self.error("DefaultCPUAllocator: can't allocate memory")
        return 2 * chunks


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError, RuntimeError])
def test_a_batch_that_does_not_fit_is_halved_for_good(error, caplog):
    hungry = Hungry(2, error)
    batches = Batches(hungry, "Lower --chunk.")
    chunks = torch.randn(7, 2, 5)
    torch.testing.assert_close(batches(chunks), 2 * chunks)
    assert hungry.seen == [7, 3, 1, 1, 1, 1, 1, 1, 1]
    assert "out of memory with batches of 7 chunks, continuing with 3" in caplog.text
    batches(chunks[:2])
    assert hungry.seen[-2:] == [1, 1], "it was remembered"


def test_a_chunk_that_does_not_fit_says_what_to_lower_and_other_faults_stay():
    with pytest.raises(
        UsageError, match=r"^out of memory: found not enough for one chunk\. Lower `chunk`\.$"
    ):
        Batches(Hungry(0), "Lower --chunk.")(torch.zeros(4, 1, 2))

    def broken(_):
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        Batches(broken, "")(torch.zeros(4, 1, 2))


@pytest.mark.parametrize(
    ("options", "advice"), [({"chunk": 2.0}, "Lower `chunk` from 2 s, to no less than 0.5 s"), ({}, "`jobs`")]
)
def test_a_separation_without_memory_fails_in_one_line(options, advice, monkeypatch):
    separator = Separator(small_model(), **options)
    monkeypatch.setattr(separator.members[0].engine, "run", Hungry(0))
    with pytest.raises(UsageError, match=advice) as caught:
        separator.separate(noise(2, 5 * RATE), RATE)
    assert "\n" not in str(caught.value)


def test_a_separation_goes_on_in_smaller_batches(monkeypatch):
    audio = noise(2, 5 * RATE)
    expected = Separator(small_model()).separate(audio, RATE)
    separator = Separator(small_model(), batch_size=8)
    run = separator.members[0].engine.run

    def limited(chunks):
        if len(chunks) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(chunks)

    monkeypatch.setattr(separator.members[0].engine, "run", limited)
    np.testing.assert_allclose(separator.separate(audio, RATE), expected, atol=1e-6)


@pytest.mark.parametrize(("free", "expected"), [(10_000, 1), (60_000, 4), (10**9, MOST_ON_CUDA)])
def test_a_gpu_gets_as_many_chunks_as_fit(free, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _device: None)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _device: 1000)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _device: 11_000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (free, 10**10))
    assert fitting_batch(lambda chunk: chunk, torch.zeros(1, 2, 5), torch.device("cuda")) == expected
    assert fitting_batch(Hungry(0), torch.zeros(1, 2, 5), torch.device("cuda")) == 1


def test_the_journal_key_does_not_change_for_float32(speedup, tmp_path):
    speedup(0)
    auto, asked = (
        Worker(Separator(small_model(), **options), tmp_path, StemConfig())
        for options in ({}, {"precision": "float32"})
    )
    assert auto.separator.identity == asked.separator.identity
    assert EngineConfig().precision == "auto"


SMALL = {
    "SpectrogramNetSimple": {"num_hidden_channels": 4, "sample_length": 1, "sample_rate": 16000},
    "OpenUnmix": {"hidden_size": 32, "sample_length": 1},
    "HTDemucs": {
        "num_hidden_channels": 8,
        "transformer_depth": 2,
        "transformer_channels": 32,
        "transformer_heads": 2,
        "sample_length": 1,
    },
    "HDemucs": {"num_hidden_channels": 8, "sample_length": 1},
    "BSRoformer": {"dim": 32, "depth": 2, "heads": 2, "dim_head": 16, "mask_hidden": 64, "sample_length": 1},
    "MelBandRoformer": {
        "dim": 32,
        "depth": 1,
        "heads": 2,
        "dim_head": 16,
        "mask_hidden": 64,
        "sample_length": 1,
    },
    "SCNet": {
        "stage_channels": (4, 8),
        "num_dual_paths": 2,
        "num_fft": 512,
        "hop_length": 128,
        "sample_length": 1,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("net", SMALL)
def test_bfloat16_changes_no_more_than_the_model_states(net):
    torch.manual_seed(0)
    _, found = find_net(net)
    model = create_model(found.settings(**{**found.presets, "net": net, **SMALL[net]})).eval()
    audio = torch.randn(1, model.config.num_channels, model.config.chunk_samples).cumsum(-1)
    audio = 0.1 * (audio - audio.mean()) / audio.std()
    with torch.inference_mode():
        exact, coarse = (torch_backend(model, name)(audio).audio for name in ("float32", "bfloat16"))
    error = 10 * math.log10(float((coarse - exact).square().mean() / exact.square().mean()))
    stated = model.traits.bfloat16_error
    assert error < (-20 if stated is None else stated + 3)


@pytest.mark.gpu
@pytest.mark.parametrize("chosen", ["float32", "bfloat16"])
def test_a_gpu_separates_as_the_cpu_does(chosen):
    audio = noise(2, 5 * RATE)
    expected = Separator(small_model(), device="cpu").separate(audio, RATE)
    separator = Separator(small_model(), device="cuda", precision=chosen)
    assert 1 <= separator.members[0].engine.batch_size <= MOST_ON_CUDA
    found = separator.separate(audio, RATE)
    error = np.mean((found - expected) ** 2) / np.mean(expected**2)
    assert error < (1e-8 if chosen == "float32" else 1e-4)
