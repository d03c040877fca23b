"""Whole songs through the engine, as the packages separate them that their users run today."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
import torch
from parity import checkpoint_of, distance, excite, reference

from auralflow.nets.families import create_model, find_family, load_object
from auralflow.separation import Separator

SOURCES = ["drums", "bass", "other", "vocals"]


def song(num_samples):
    generator = torch.Generator().manual_seed(3)
    # Quiet, and with an offset: the statistics of the whole song matter.
    return 0.05 * torch.randn(2, num_samples, generator=generator).cumsum(-1) / 20 + 0.02


@pytest.mark.parametrize("kind", ["HTDemucs", "HDemucs", "Demucs"])
@pytest.mark.parametrize("seconds", [0.4, 5.3])
def test_demucs(kind, seconds):
    torch.manual_seed(0)
    kwargs = {"sources": SOURCES, "channels": 8, "segment": Fraction(2)}
    if kind == "HTDemucs":
        kwargs |= {"dconv_mode": 3, "bottom_channels": 32, "t_layers": 3, "t_heads": 2}
    if kind == "Demucs":
        # Of these, a chunk needs an odd number of samples around it.
        kwargs |= {"depth": 4, "segment": Fraction(201, 100)}
    theirs = reference(f"demucs.{kind.lower()}", kind)(**kwargs).eval()
    excite(theirs, 8)
    checkpoint = checkpoint_of(theirs, class_name=f"demucs.{kind.lower()}.{kind}", kwargs=kwargs)
    conversion = load_object(find_family("htdemucs").reader).convert(checkpoint)
    model = create_model(conversion.config)
    model.load_state_dict(conversion.weights)

    mixture = song(round(seconds * 44100))
    mono = mixture.mean(0)
    level, spread = mono.mean(), mono.std() + 1e-8
    apply_model = reference("demucs.apply", "apply_model")
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        expected = apply_model(theirs, (mixture - level)[None] / spread, shifts=0, overlap=0.25)[0]
    expected = expected * spread + level

    separated = Separator(model).separate(mixture.numpy(), sample_rate=44100)
    assert separated.dtype == np.float32
    assert distance(torch.from_numpy(separated), expected) < 1e-4
