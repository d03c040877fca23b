"""Starts a net from the weights of another."""

from typing import TYPE_CHECKING, cast

from torch import Tensor, nn

from auralflow.config import ModelConfig
from auralflow.errors import ModelError
from auralflow.nets.door import WarmStart
from auralflow.nets.unet.config import SpectrogramNetConfig
from auralflow.nets.unet.folded import FoldedNetLSTM, FoldedNetVAE
from auralflow.nets.unet.nets import SpectrogramNetLSTM, SpectrogramNetVAE
from auralflow.nets.unet.selu_transfer import as_self_normalizing

if TYPE_CHECKING:
    from auralflow.nets.unet.model import SpectrogramMaskModel

__all__ = ["warm_start"]

HEAD = ("net.head.weight", "net.head.bias")
RECURRENT = "net.recurrent."


def warm_start(model: "SpectrogramMaskModel", source: "SpectrogramMaskModel") -> WarmStart:
    """Copy all matching weights from another model, which may be another net or have other targets.

    The nets share their U-Net: a `SpectrogramNetLSTM` that starts from a `SpectrogramNetSimple` copies all of
    it and has the same output until its recurrent bottleneck is trained. A `SpectrogramNetVAE` has other
    activations and no batch normalisation: its convolutions are converted to give nearly the same output, and
    its bottlenecks start close to the identity. In version 2 all three nets have the same activations, and
    the larger ones copy the smaller ones unchanged. The last convolution is copied target by target.

    Args:
        model: The model to fill.
        source: The trained model, which is not changed.

    Returns:
        How much was copied, and what remains untrained.

    Raises:
        ModelError: If the U-Nets differ in width or version.

    Example:
        >>> from auralflow.nets.unet import SpectrogramNetConfig
        >>> from auralflow.nets.unet.model import SpectrogramMaskModel
        >>> pairs = ("vocals", "drums"), ("drums", "bass")
        >>> configs = [SpectrogramNetConfig(targets=pair, num_hidden_channels=2) for pair in pairs]
        >>> first, second = map(SpectrogramMaskModel, configs)
        >>> warm_start(second, first).fresh
        ('net.head.weight of bass', 'net.head.bias of bass')
    """
    if model.config.num_hidden_channels != source.config.num_hidden_channels:
        raise ModelError(
            "cannot start from the weights of a net of a different size",
            found=f"num_hidden_channels {source.config.num_hidden_channels}",
            expected=f"{model.config.num_hidden_channels}",
            advice="Give both models the same num_hidden_channels.",
        )
    _check_versions(model.config, source.config)
    net, given = model.net, source.state_dict()
    if isinstance(net, SpectrogramNetVAE) and not isinstance(source.net, SpectrogramNetVAE):
        given = as_self_normalizing(source).state_dict()
        # The recurrent stack of another net expects other features.
        given = {name: tensor for name, tensor in given.items() if not name.startswith(RECURRENT)}
        net.variational.pass_through()
    own = model.state_dict()
    if isinstance(net, FoldedNetVAE) and not isinstance(source.net, FoldedNetVAE):
        net.variational.pass_through()
    if isinstance(net, FoldedNetLSTM) and not any(name.startswith(RECURRENT) for name in given):
        nn.init.zeros_(net.leave.weight)
        nn.init.zeros_(cast(Tensor, net.leave.bias))
    if isinstance(net, SpectrogramNetLSTM) and not any(name.startswith(RECURRENT) for name in given):
        net.recurrent.pass_through()
    fresh = []
    for name in HEAD:
        missing, given[name] = _arranged(own[name], given[name], model.config, source.config)
        fresh += [f"{name} of {target}" for target in missing]
    fitting = {name: given[name] for name in own if name in given and given[name].shape == own[name].shape}
    model.load_state_dict(fitting, strict=False)
    fresh += [name for name in own if name not in fitting]
    untrained = sum(_size(name, own, model.config) for name in fresh)
    return WarmStart(1 - untrained / sum(tensor.numel() for tensor in own.values()), tuple(fresh))


def _check_versions(config: SpectrogramNetConfig, source: SpectrogramNetConfig) -> None:
    if config.net_version != source.net_version:
        raise ModelError(
            "cannot start from the weights of a net of a different version",
            found=f"net_version {source.net_version}",
            expected=f"{config.net_version}",
        )


def _arranged(
    own: Tensor, given: Tensor, config: SpectrogramNetConfig, source: SpectrogramNetConfig
) -> tuple[list[str], Tensor]:
    """Reorder the rows of the last convolution for other targets; return the missing ones."""
    if config.num_channels != source.num_channels:
        return list(config.targets), own
    channels = len(own) // len(config.targets)
    arranged = own.clone()
    for index, target in enumerate(config.targets):
        if target in source.targets:
            start = source.targets.index(target) * channels
            arranged[index * channels : (index + 1) * channels] = given[start : start + channels]
    return [target for target in config.targets if target not in source.targets], arranged


def _size(name: str, own: dict[str, Tensor], config: ModelConfig) -> int:
    name, of, _ = name.partition(" of ")
    return own[name].numel() // (len(config.targets) if of else 1)
