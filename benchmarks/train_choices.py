"""What each choice in the trainer gains: the same step with one thing changed, compared with the actual step.

Run ``python benchmarks/train_choices.py [--batch-size 4] [--rounds 5]``. Prints a Markdown table. The step
and its variants take turns in every round, and the figure is the median of the ratios within a round, so that
other load on the machine does not affect one of them alone.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint

from auralflow.config import SOURCES
from auralflow.losses import ComplexL1Loss
from auralflow.nets.unet import SpectrogramNetConfig
from auralflow.nets.unet.blocks import ConvBlock
from auralflow.nets.unet.model import SpectrogramMaskModel
from auralflow.trainer.muon import Muon, split_groups
from auralflow.trainer.objective import compute_loss

Step = Callable[[], object]


def reference_model() -> SpectrogramMaskModel:
    """SpectrogramNetSimple at the size of the bundled model."""
    torch.manual_seed(0)
    config = SpectrogramNetConfig(
        targets=SOURCES, num_channels=2, num_fft=2048, window_size=2048, hop_length=1024
    )
    return SpectrogramMaskModel(config).train()


def adamw(model: nn.Module, **how: bool) -> Optimizer:
    """One of the implementations of the optimizer."""
    return torch.optim.AdamW(model.parameters(), lr=1e-4, **how)


def muon(model: nn.Module) -> Optimizer:
    """The other optimizer."""
    return Muon(split_groups(model, [{"params": model.parameters(), "lr": 1e-4}]))


def make_step(
    model: SpectrogramMaskModel,
    batch: tuple[Tensor, Tensor],
    optimizer: Optimizer | None = None,
    *,
    threads: int | None = None,
    bfloat16: bool = False,
) -> Step:
    """One step of the optimizer on the batch."""
    optimizer = optimizer or adamw(model, fused=True)
    criterion = ComplexL1Loss()
    usual = torch.get_num_threads()

    def step() -> None:
        torch.set_num_threads(threads or usual)
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16) if bfloat16 else nullcontext():
            estimate = model(batch[0])
        compute_loss(criterion, estimate, batch[1]).backward()
        optimizer.step()
        torch.set_num_threads(usual)

    return step


def with_recomputation(model: SpectrogramMaskModel) -> SpectrogramMaskModel:
    """Keep only the inputs of the convolution blocks, and recompute the rest in the backward pass."""
    for block in model.modules():
        if isinstance(block, ConvBlock):
            forward = block.forward
            block.forward = lambda features, forward=forward: checkpoint(
                forward, features, use_reentrant=False
            )
    return model


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    targets = 0.1 * torch.randn(options.batch_size, 4, 2, 132300)
    batch = (targets.sum(1), targets)

    planar = reference_model()
    planar.net.to(memory_format=torch.contiguous_format)
    looped, listed, turned = reference_model(), reference_model(), reference_model()
    steps: dict[str, Step] = {
        "the trainer's choices, float32": make_step(reference_model(), batch),
        "weights laid out channels first": make_step(planar, batch),
        "one thread": make_step(reference_model(), batch, threads=1),
        "AdamW tensor by tensor (foreach=False)": make_step(looped, batch, adamw(looped, foreach=False)),
        "AdamW over lists of tensors (foreach=True)": make_step(listed, batch, adamw(listed, foreach=True)),
        "Muon (--optimizer muon)": make_step(turned, batch, muon(turned)),
        "activations recomputed": make_step(with_recomputation(reference_model()), batch),
        "bfloat16 (--use-amp)": make_step(reference_model(), batch, bfloat16=True),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(options.rounds + 1):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if number:  # the first round allocates and chooses kernels
                times[name].append(time.perf_counter() - started)
    own = next(iter(times.values()))
    print(f"{torch.get_num_threads()} threads, batch {options.batch_size}, {options.rounds} rounds\n")
    print("| step | seconds | time relative to the first |\n|---|---|---|")
    for name, values in times.items():
        ratio = statistics.median(value / first for value, first in zip(values, own, strict=True))
        print(f"| {name} | {statistics.median(values):.3f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
