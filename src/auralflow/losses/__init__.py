"""The losses to minimise in training, as criteria on tensors.

A loss is a pure function; a criterion is that function with its settings. The class of a criterion determines
which tensors it needs:

- ``MagnitudeCriterion``: a mask and magnitudes
- ``SpectrogramCriterion``: complex spectrograms of the targets
- ``MixtureCriterion``: that of the mixture as well
- ``AudioCriterion``: samples

Shapes: mask and target magnitude ``[B, S, C, F, T]``, mixture magnitude ``[B, C, F, T]``, audio
``[B, S, C, N]``. In formulas M is the mask, X the mixture magnitude and Y the target magnitude; an *item* is
one source of one batch entry.

If only some targets of a chunk are known, these are scored individually and the others by their sum: every
criterion takes ``known`` ``[B, S]``, and the rows of unknown targets contain their sum (see `join_unknown`).

``reduction`` is ``"mean"`` or ``"sum"``; the sum is over everything that the mean averages. All values and
gradients are finite for silence.
"""

from auralflow.losses.base import (
    AudioCriterion,
    Criterion,
    MagnitudeCriterion,
    MixtureCriterion,
    Reduction,
    SpectrogramCriterion,
)
from auralflow.losses.complex_l1 import ComplexL1Loss, complex_l1_loss
from auralflow.losses.component import ComponentLoss, component_loss
from auralflow.losses.construction import ConstructionLoss
from auralflow.losses.l1 import L1Loss, l1_loss
from auralflow.losses.l2 import L2Loss, l2_loss
from auralflow.losses.mask import MaskLoss, mask_loss
from auralflow.losses.partial import join_unknown
from auralflow.losses.rmse import RMSELoss, rmse_loss
from auralflow.losses.si_sdr import SiSDRLoss, si_sdr_loss
from auralflow.losses.snr import SNRLoss, snr_loss
from auralflow.losses.table import LOSSES, create_criterion

__all__ = [
    "LOSSES",
    "AudioCriterion",
    "ComplexL1Loss",
    "ComponentLoss",
    "ConstructionLoss",
    "Criterion",
    "L1Loss",
    "L2Loss",
    "MagnitudeCriterion",
    "MaskLoss",
    "MixtureCriterion",
    "RMSELoss",
    "Reduction",
    "SNRLoss",
    "SiSDRLoss",
    "SpectrogramCriterion",
    "complex_l1_loss",
    "component_loss",
    "create_criterion",
    "join_unknown",
    "l1_loss",
    "l2_loss",
    "mask_loss",
    "rmse_loss",
    "si_sdr_loss",
    "snr_loss",
]
