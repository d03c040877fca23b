"""How much each level of a trained net contributes to its estimates.

    python benchmarks/depth.py MODEL SONG... [--start 8] [--seconds 12]

Several files are taken as the stems of one song and summed. Level by level, starting with the bottleneck, the
features that come up from below are set to zero. The table shows the energy of the change relative to the
unchanged estimates: -20 dB is a hundredth. A level far below the others has learnt nothing, or has died.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from auralflow.audio import read_audio, resample
from auralflow.models import load


def silence(part: nn.Module) -> torch.utils.hooks.RemovableHandle:
    """Make a module return zeros."""
    return part.register_forward_hook(lambda _, __, output: torch.zeros_like(output))


def change(stems: Tensor, reference: Tensor) -> list[float]:
    """Energy of the difference relative to each stem, in dB; stems ``[B, S, C, N]``."""
    axes = (0, 2, 3)
    ratio = (stems - reference).square().sum(axes) / reference.square().sum(axes)
    return (10 * ratio.log10()).tolist()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("song", type=Path, nargs="+")
    parser.add_argument("--start", type=float, default=8.0, help="seconds")
    parser.add_argument("--seconds", type=float, default=12.0)
    options = parser.parse_args()
    model = load(options.model)
    config = model.config
    stems = [read_audio(path) for path in options.song]
    parts = [torch.from_numpy(resample(audio, rate, config.sample_rate)) for audio, rate in stems]
    audio = sum(part[:, : min(part.shape[1] for part in parts)] for part in parts)
    audio = audio.mean(0, keepdim=True) if config.num_channels == 1 else audio.expand(2, -1)
    start, length = int(options.start * config.sample_rate), int(options.seconds * config.sample_rate)
    chunks = torch.stack(
        [
            chunk
            for chunk in audio[:, start : start + length].split(config.chunk_samples, dim=1)
            if chunk.shape[1] == config.chunk_samples
        ]
    )
    with torch.no_grad():
        reference = model.separate(chunks)
        print(f"{'silenced':28}" + "".join(f"{target:>9}" for target in config.targets))
        ups = list(model.net.up)
        for depth, part in zip(range(len(ups), 0, -1), ups, strict=True):
            handle = silence(part.up)
            name = "the bottleneck" if depth == len(ups) else f"all below level {depth}"
            row = change(model.separate(chunks), reference)
            print(f"{name:28}" + "".join(f"{value:>9.1f}" for value in row))
            handle.remove()


if __name__ == "__main__":
    main()
