"""Whether a net can memorise a song: the score after a number of seconds of training on that song alone.

    python benchmarks/capacity.py SONG [--net SpectrogramNetSimple] [--net-version 2] [--seconds 240] \
        [--optimizer adamw] [--lr 0.001]

SONG is a folder with the four stems. A net with millions of weights that cannot memorise a minute of dense
music makes no use of them. It starts from random weights, is trained on random chunks of the song, with four
targets and the loss of the pretrained models, and is scored on the same song: SI-SDR improvement over the
mixture, in dB. Training is limited by CPU time, so that nets of different speed are compared at equal cost.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from torch import Tensor

from auralflow.audio import read_audio, resample
from auralflow.config import SOURCES, TrainConfig
from auralflow.datasets.tracks import stem_files
from auralflow.losses import create_criterion
from auralflow.metrics import si_sdr
from auralflow.nets.door import SeparationModel
from auralflow.nets.families import create_model, settings_of_net
from auralflow.trainer.optimization import create_optimizer

BATCH = 4
WARM_UP = 20
LARGEST_GRADIENT = 20.0
OPTIMIZERS = get_args(TrainConfig.model_fields["optimizer"].annotation)


def read_song(folder: Path, rate: int, channels: int) -> Tensor:
    """The stems of a song ``[S, C, N]``."""
    files = stem_files(folder)
    stems = []
    for source in SOURCES:
        audio, own = read_audio(files[source])
        sound = torch.from_numpy(resample(audio, own, rate))
        stems.append(sound.mean(0, keepdim=True) if channels == 1 else sound.expand(channels, -1))
    length = min(stem.shape[1] for stem in stems)
    return torch.stack([stem[:, :length] for stem in stems])


def learn(
    model: SeparationModel,
    stems: Tensor,
    progress: Callable[[int], float],
    *,
    settings: TrainConfig,
) -> int:
    """Train on random chunks of a song until ``progress(steps)`` reaches 1; return the number of chunks.

    Of the settings, the optimizer's and the seed count.
    """
    generator = np.random.default_rng(settings.seed)
    criterion = create_criterion("snr")
    optimizer = create_optimizer(model, settings)
    length, steps = model.config.chunk_samples, 0
    starts = max(1, stems.shape[-1] - length + 1)
    model.train()
    while (share := progress(steps)) < 1:
        pace = min(1, (steps + 1) / WARM_UP) * (0.51 + 0.49 * math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = settings.lr * pace
        places = generator.integers(0, starts, BATCH)
        targets = torch.stack([stems[:, :, place : place + length] for place in places])
        estimate = model(targets.sum(1))
        loss = criterion(estimate.spectrogram, model.transform(targets), estimate.mixture)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        steps += 1
    return BATCH * steps


def score(model: SeparationModel, stems: Tensor) -> list[float]:
    """SI-SDR improvement of each target over the whole song."""
    mixture = stems.sum(0)
    with torch.inference_mode():
        estimates = model.eval().separate(mixture[None])[0]
    flat = [part.flatten(1) for part in (estimates, stems, mixture.expand_as(stems))]
    return (si_sdr(flat[0], flat[1]) - si_sdr(flat[2], flat[1])).tolist()


def main(words: list[str] | None = None) -> None:
    """Print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("song", type=Path)
    parser.add_argument("--net", default="SpectrogramNetSimple")
    parser.add_argument("--net-version", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=240, help="CPU seconds of training")
    parser.add_argument("--optimizer", default="adamw", choices=OPTIMIZERS)
    parser.add_argument("--lr", type=float, default=1e-3)
    options = parser.parse_args(words)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings = {
        "net_version": options.net_version,
        "num_channels": 2,
        "num_fft": 2048,
        "window_size": 2048,
        "hop_length": 1024,
        "dropout_p": 0.1,
        "normalize_input": True,
        "normalize_output": True,
    }
    config = settings_of_net(options.net)(net=options.net, targets=SOURCES, **settings)
    model = create_model(config)
    stems = read_song(options.song, config.sample_rate, config.num_channels)
    begun = time.process_time()
    chunks = learn(
        model,
        stems,
        lambda _: (time.process_time() - begun) / options.seconds,
        settings=TrainConfig(optimizer=options.optimizer, lr=options.lr, lr_lstm=options.lr),
    )
    scores = score(model, stems)
    result = {"net": options.net, "net_version": options.net_version, "song": options.song.name}
    result |= {
        "optimizer": options.optimizer,
        "lr": options.lr,
        "cpu_seconds": options.seconds,
        "chunks": chunks,
        "mean": round(sum(scores) / len(scores), 2),
    }
    print(json.dumps(result | {name: round(value, 2) for name, value in zip(SOURCES, scores, strict=True)}))


if __name__ == "__main__":
    main()
