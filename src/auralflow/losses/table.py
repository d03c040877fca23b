"""All losses, by the name that ``--criterion`` takes: a new one is a file beside this and a line here."""

from collections.abc import Mapping
from typing import Any

from pydantic.fields import FieldInfo

from auralflow.errors import SettingsError
from auralflow.losses.base import Criterion, check_choice
from auralflow.losses.complex_l1 import ComplexL1Loss
from auralflow.losses.component import ComponentLoss
from auralflow.losses.construction import ConstructionLoss
from auralflow.losses.l1 import L1Loss
from auralflow.losses.l2 import L2Loss
from auralflow.losses.mask import MaskLoss
from auralflow.losses.rmse import RMSELoss
from auralflow.losses.si_sdr import SiSDRLoss
from auralflow.losses.snr import SNRLoss

__all__ = ["LOSSES", "create_criterion", "criterion_from_options", "loss_options"]

LOSSES: Mapping[str, type[Criterion]] = {
    loss.name: loss
    for loss in (
        ComponentLoss,
        ConstructionLoss,
        L1Loss,
        L2Loss,
        MaskLoss,
        SiSDRLoss,
        RMSELoss,
        ComplexL1Loss,
        SNRLoss,
    )
}


def create_criterion(name: str, **settings: Any) -> Criterion:
    """Make a criterion from its name.

    Args:
        name: A name of `LOSSES`; ``-`` counts as ``_``.
        settings: Its settings, such as ``alpha`` for component. Default: their defaults.

    Returns:
        The criterion, whose type says which tensors it needs.

    Raises:
        SettingsError: If the name, a choice or a setting is unknown.

    Example:
        >>> create_criterion("si-sdr", best_permutation=True)
        SiSDRLoss(reduction='mean', best_permutation=True)
    """
    key = name.replace("-", "_")
    check_choice("criterion", key, tuple(LOSSES))
    known = {field for loss in LOSSES.values() for field in loss.settings()}
    if unknown := sorted(settings.keys() - known):
        raise SettingsError(
            "unknown setting of a criterion", found=", ".join(unknown), expected=", ".join(sorted(known))
        )
    loss = LOSSES[key]
    return loss(**{field: value for field, value in settings.items() if field in loss.settings()})


def criterion_from_options(name: str, options: Mapping[str, Any]) -> Criterion:
    """Make a criterion from its name and a value for each option of `loss_options`.

    Example:
        >>> criterion_from_options("component", {"alpha": 1.0, "beta": 0.5, "gamma": 0, "reduction": "sum"})
        ComponentLoss(reduction='sum', alpha=1.0, beta=0.5, gamma=0)
    """
    settings = LOSSES[name].settings()
    values = {field: options[info.alias or field] for field, (_, info) in settings.items()}
    return create_criterion(name, **values)


def loss_options() -> dict[str, tuple[Any, FieldInfo]]:
    """The options of all losses by name: type, and default, bounds and description.

    Example:
        >>> list(loss_options())
        ['alpha', 'beta', 'gamma', 'construction_loss', 'best_perm', 'reduction']
    """
    shared = Criterion.settings()
    options = {}
    losses: tuple[type[Criterion], ...] = (*LOSSES.values(), Criterion)
    for loss in losses:
        for field, (kind, info) in loss.settings().items():
            if field not in shared or loss is Criterion:
                plain = FieldInfo.merge_field_infos(info, alias=None, alias_priority=None)
                options[info.alias or field] = (kind, plain)
    return options
