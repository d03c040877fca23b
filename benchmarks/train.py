"""Training speed of the three nets, compared with the peak of this machine, a plain loop, and Open-Unmix.

Run ``python benchmarks/train.py [--batch-size 4] [--steps 4] [--rounds 3]``. Prints a Markdown table. Every
figure is a median over interleaved rounds, so that other load on the machine does not affect one row alone.
Open-Unmix is included if its package is installed (``pip install --no-deps openunmix``; an empty module
replaces torchaudio, which the net itself does not use).
"""

import argparse
import statistics
import sys
import time
import types
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from auralflow.config import SOURCES, TrainConfig
from auralflow.nets.families import settings_of_net
from auralflow.nets.unet import NETS
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.trainer import Trainer
from auralflow.trainer.objective import compute_loss
from auralflow.trainer.optimization import create_optimizer, criterion_of

PEAK_SHAPES = ((16, 512, 128), (64, 128, 64), (256, 32, 16))
SETTINGS = TrainConfig(criterion="complex_l1", lr=1e-4)


def seconds(action: Callable[[], object], repeat: int = 1) -> float:
    """Mean time of a call."""
    start = time.perf_counter()
    for _ in range(repeat):
        action()
    return (time.perf_counter() - start) / repeat


def convolution_peak() -> float:
    """The highest GFLOP/s of a 3x3 convolution, forward only, on this machine."""
    best = 0.0
    for channels, height, width in PEAK_SHAPES:
        for layout in (torch.contiguous_format, torch.channels_last):
            image = torch.randn(4, channels, height, width).contiguous(memory_format=layout)
            layer = nn.Conv2d(channels, channels, 3, padding=1).to(memory_format=layout)
            flops = 2 * 4 * channels * channels * 9 * height * width
            with torch.inference_mode():
                layer(image)
                best = max(best, *(flops / seconds(lambda: layer(image), 5) / 1e9 for _ in range(3)))  # noqa: B023
    return best


def reference_model(net: str) -> SpectrogramMaskModel:
    """A net at the reference size, for four stereo targets."""
    transform = {"num_fft": 2048, "window_size": 2048, "hop_length": 1024}
    config = settings_of_net(net)(net=net, targets=SOURCES, num_channels=2, **transform)
    return SpectrogramMaskModel(config)


def plain_step(model: SpectrogramMaskModel, batch: tuple[Tensor, Tensor]) -> Callable[[], object]:
    """The minimal training step: forward, loss, backward, optimizer."""
    optimizer, criterion = create_optimizer(model, SETTINGS), criterion_of(SETTINGS)
    model.train()

    def step() -> None:
        optimizer.zero_grad()
        compute_loss(criterion, model(batch[0]), batch[1], kl_weight=SETTINGS.kl_weight).backward()
        optimizer.step()

    return step


def trainer_step(model: SpectrogramMaskModel, batch: tuple[Tensor, Tensor]) -> Callable[[], object]:
    """The same step in the trainer."""
    trainer = Trainer(model, SETTINGS)
    trainer.wrapped.train()
    return lambda: trainer._step(batch)


def open_unmix_step(batch: tuple[Tensor, Tensor]) -> Callable[[], object] | None:
    """A step of Open-Unmix (hidden size 512, one target) on the same chunks; None if not installed."""
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
    try:
        from openunmix.model import OpenUnmix
        from openunmix.transforms import make_filterbanks
    except ImportError:
        return None
    net = OpenUnmix(nb_bins=2049, nb_channels=2, hidden_size=512, max_bin=1487)
    encoder, _ = make_filterbanks(n_fft=4096, n_hop=1024, sample_rate=44100.0)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)

    def magnitude(audio: Tensor) -> Tensor:
        return torch.linalg.vector_norm(encoder(audio), dim=-1)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.mse_loss(net(magnitude(batch[0])), magnitude(batch[1][:, 0].contiguous())).backward()
        optimizer.step()

    return step


def gflop_per_step(step: Callable[[], object]) -> float:
    """Floating-point operations of a step, counted by PyTorch; LSTM layers on the CPU are not counted."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops() / 1e9


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("--batch-size", 4), ("--steps", 4), ("--rounds", 3)):
        parser.add_argument(name, type=int, default=default)
    options = parser.parse_args()
    torch.manual_seed(0)
    targets = 0.1 * torch.randn(options.batch_size, 4, 2, 132300)
    batch = (targets.sum(1), targets)

    contestants: dict[str, Callable[[], object]] = {}
    for net in NETS:
        contestants[f"{net}, plain loop"] = plain_step(reference_model(net), batch)
        contestants[f"{net}, trainer"] = trainer_step(reference_model(net), batch)
    open_unmix = open_unmix_step(batch)
    if open_unmix:
        contestants["Open-Unmix 512, one target"] = open_unmix

    work = {name: gflop_per_step(step) for name, step in contestants.items()}
    times: dict[str, list[float]] = {name: [] for name in contestants}
    peaks = []
    for _ in range(options.rounds):
        peaks.append(convolution_peak())
        for name, step in contestants.items():
            times[name].append(seconds(step, options.steps))

    peak = statistics.median(peaks)
    threads = torch.get_num_threads()
    print(f"{threads} threads, batch {options.batch_size}, convolution peak {peak:.0f} GFLOP/s\n")
    print("| step | chunks/s | GFLOP/s | of peak | time relative to the plain loop |")
    print("|---|---|---|---|---|")
    for name, values in times.items():
        middle = statistics.median(values)
        plain = times.get(name.replace("trainer", "plain loop"), values)
        ratio = statistics.median(a / b for a, b in zip(values, plain, strict=True))
        speed = work[name] / middle
        print(
            f"| {name} | {options.batch_size / middle:.2f} | {speed:.0f} | {speed / peak:.0%} | {ratio:.3f} |"
        )


if __name__ == "__main__":
    main()
