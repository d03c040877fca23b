"""How much a recurrent net loses by processing a song in chunks rather than in one pass.

    python benchmarks/recurrent_chunks.py MODEL DATASET [--chunks 15 30 60] [--contexts 0 1 2 5]

MODEL is the folder of a trained Open-Unmix, DATASET a folder of songs as for `auralflow evaluate`. The songs
in `test` that are longer than the longest chunk are used. The table shows means over songs and targets: the
SI-SDR of the estimates in chunks with those in one pass as the reference, and the change of the SI-SDR with
the true stem as the reference. The Wiener filter is off.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
import torch

from auralflow.audio import read_audio
from auralflow.metrics import si_sdr
from auralflow.models import load
from auralflow.separation import Separator


def songs(dataset: Path, least: float, targets: tuple[str, ...]) -> list[tuple[str, np.ndarray, dict]]:
    """Mixtures ``[2, N]`` and stems of the test songs that are long enough."""
    found = []
    for track in sorted((dataset / "test").iterdir()):
        stems = {file.stem: read_audio(file)[0] for file in sorted(track.iterdir()) if file.stem != "mixture"}
        mixture = np.sum(list(stems.values()), axis=0)
        if mixture.shape[-1] > least * 44100:
            found.append((track.name, mixture, {name: stems[name] for name in targets if name in stems}))
    return found


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--chunks", type=float, nargs="+", default=[15, 30, 60])
    parser.add_argument("--contexts", type=float, nargs="+", default=[0, 1, 2, 5])
    arguments = parser.parse_args()
    model = load(arguments.model)
    config = model.config

    def separated(audio: np.ndarray, length: float, context: float) -> torch.Tensor:
        changes = {"separation_length": length, "separation_context": context}
        model.config = config.model_copy(update=changes)
        return torch.from_numpy(Separator(model, wiener=0, overlap=0, device="cpu").separate(audio, 44100))

    chosen = songs(arguments.dataset, max(arguments.chunks), model.targets)
    whole = {name: separated(audio, audio.shape[-1] / 44100 + 1, 0) for name, audio, _ in chosen}
    print(f"{', '.join(name for name, _, _ in chosen)}: {', '.join(model.targets)}")
    print("chunk, s  context, s   SI-SDR to one pass, dB  change of SI-SDR, dB")
    for length in arguments.chunks:
        for context in arguments.contexts:
            near, change = [], []
            for name, audio, stems in chosen:
                estimates = separated(audio, length, context)
                for index, target in enumerate(model.targets):
                    near.append(si_sdr(estimates[index], whole[name][index]).mean().item())
                    if target in stems:
                        truth = torch.from_numpy(stems[target])
                        scores = [si_sdr(part[index], truth).mean() for part in (estimates, whole[name])]
                        change.append((scores[0] - scores[1]).item())
            print(
                f"{length:8g}  {context:10g}  {statistics.mean(near):25.1f}  {statistics.mean(change):+20.3f}"
            )


if __name__ == "__main__":
    main()
