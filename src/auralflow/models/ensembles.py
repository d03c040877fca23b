"""Builds ensembles: model folders that combine the estimates of several models."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from auralflow.config import LinkedWeights, ModelConfig, parse_settings, read_settings
from auralflow.errors import AuralflowError, NotFoundError, UsageError
from auralflow.models.card import CARD_FILE, WEIGHTS_FILE, ModelCard
from auralflow.models.catalogue import licence_of
from auralflow.models.ensemble_weights import WeightRows, WeightTable
from auralflow.models.folder import check_weights, read_weights, save_weights
from auralflow.models.loading import OnProgress, find_model
from auralflow.models.lookup import is_pretrained
from auralflow.models.origin import EnsembleCard, Licence, MemberOrigin, OriginCard
from auralflow.models.registry import Registry, installed_registry
from auralflow.models.weights import Access
from auralflow.models.writing import ModelParts, write_model
from auralflow.nets.door import SeparationModel
from auralflow.nets.families import create_model, find_family
from auralflow.nets.shapes import shapes_only
from auralflow.storage import file_hash

__all__ = ["Draft", "draft_ensemble"]


@dataclass(frozen=True)
class Draft:
    """An ensemble that has not been written yet.

    Attributes:
        config: Its settings.
        parts: Its members, in the order of the settings.
    """

    config: ModelConfig
    parts: Sequence["_Part"]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the members."""
        return tuple(part.origin.name for part in self.parts)

    @property
    def method(self) -> str:
        """How the estimates are combined."""
        settings: Any = self.config
        return str(settings.method)

    def table(self) -> dict[str, Sequence[float]]:
        """Weights of the members by target."""
        counts = [counts for _, counts in self._counted()]
        return {target: [row.get(target, 0.0) for row in counts] for target in self.config.targets}

    def load(self) -> SeparationModel:
        """Load the ensemble, ready to separate."""
        model = create_model(self.config)
        # In float32, whatever the precision of the files.
        model.load_state_dict(self._weights())
        return model.eval()

    def weighted(self, table: WeightTable) -> "Draft":
        """Derive an ensemble with other weights.

        Args:
            table: Weights of the members for every target. Members without any weight are left out.

        Returns:
            The new draft.
        """
        counts = [
            {target: row[index] for target, row in table.items() if row[index] > 0}
            for index in range(len(self.parts))
        ]
        return _draft(self.config.targets, self.config, list(zip(self.parts, counts, strict=True)))

    def write(self, folder: str | Path, *, link: bool = False, force: bool = False) -> Path | None:
        """Write the ensemble to a model folder.

        Args:
            folder: The folder, created if missing.
            link: Link to the members' weights instead of copying them. Default: False.
            force: Replace a model in the folder, moving its files to ``previous-<time>/``. Default: False.

        Returns:
            The folder that the earlier model was moved to, None if there was none.

        Raises:
            UsageError: If the folder already contains a model and ``force`` is off.
            ModelError: If a member's weights are damaged.
        """
        folder = Path(folder)
        card = EnsembleCard(targets=self.config.targets, members=tuple(part.origin for part in self.parts))
        content, weights = card.model_dump(mode="json"), self._weights()
        if link:
            linked = _draft(self.config.targets, self.config, self._counted(), linked=True).config
            return write_model(folder, ModelParts(linked, None, content), force=force)
        with tempfile.TemporaryDirectory(prefix="auralflow-") as scratch:
            path = Path(scratch) / WEIGHTS_FILE
            save_weights(weights, path)
            return write_model(folder, ModelParts(self.config, path, content), force=force)

    def _counted(self) -> "list[_Counted]":
        members: Any = self.config
        return [(part, member.weights) for part, member in zip(self.parts, members.members, strict=True)]

    def _weights(self) -> dict[str, Tensor]:
        return {
            f"models.{index}.{name}": tensor
            for index, part in enumerate(self.parts)
            for name, tensor in part.read().items()
        }


def draft_ensemble(
    models: Sequence[str | Path],
    *,
    weights: WeightTable | None = None,
    method: str | None = None,
    targets: tuple[str, ...] = (),
    registry: Registry | None = None,
    access: Access | None = None,
    on_progress: OnProgress | None = None,
) -> Draft:
    """Combine models into an ensemble.

    A model that is itself an ensemble is split into its members. A single ensemble can be given to combine
    its members anew.

    Args:
        models: Model folders and pretrained names.
        weights: Weights of the models by target. Default: equal weights.
        method: How to combine estimates: ``mean``, ``median``, ``mean_magnitude``, ``median_magnitude``,
            ``min_magnitude`` or ``max_magnitude``. Default: that of a single ensemble, otherwise ``mean``.
        targets: Targets of the ensemble. Default: the targets of all models. Models that do not estimate a
            target are left out for it.
        registry: The pretrained models. Default: the installed ones.
        access: Where to look for pretrained weights. Default: from the environment.
        on_progress: Called with the number of bytes downloaded and the total.

    Returns:
        The ensemble, not yet written.

    Raises:
        NotFoundError: If a model does not exist, or no model estimates a target.
        ModelError: If a model's files are damaged.
        UsageError: If the models have no target in common, or the weights do not suit them.

    Example:
        >>> draft = draft_ensemble(["SpectrogramNetSimple", "SpectrogramNetSimple"], targets=("vocals",))
        >>> draft.names, draft.table()
        (('SpectrogramNetSimple', 'SpectrogramNetSimple'), {'vocals': [1.0, 1.0]})
    """
    registry = registry or installed_registry()
    entries = [_entry(model, registry, access, on_progress) for model in models]
    weights = dict(weights or {})
    taken_apart = len(entries) == 1
    if taken_apart:
        parts = entries[0].parts
        method = method or entries[0].method
        targets = targets or entries[0].targets
        if "" not in weights:
            weights = {t: [part.counts.get(t, 0.0) for part in parts] for t in targets} | weights
        entries = [_Entry(part.origin.name, [part.counting_one()]) for part in parts]
    if len(entries) < 2:
        raise UsageError(
            "an ensemble needs several models",
            found=f"only '{models[0]}'" if models else "none",
            expected="auralflow ensemble MODEL MODEL ... --save FOLDER",
        )
    method = method or "mean"
    chosen = targets or tuple(dict.fromkeys(target for entry in entries for target in entry.targets))
    _check_targets(entries, chosen, alone=taken_apart)
    table = WeightRows([(entry.name, entry.targets) for entry in entries], chosen, weights)
    rows = {target: _counts(entries, target, table.of(target), method) for target in chosen}
    members = [
        (part, {target: row[index] for target, row in rows.items() if row[index] > 0})
        for index, part in enumerate(part for entry in entries for part in entry.parts)
    ]
    return _draft(chosen, method, members)


_Counted = tuple["_Part", Mapping[str, float]]


def _draft(
    targets: tuple[str, ...], like: ModelConfig | str, members: Sequence[_Counted], *, linked: bool = False
) -> Draft:
    """Draft an ensemble of the members with any weight; ``like`` is a method, or settings that have one."""
    members = [(part, counts) for part, counts in members if counts]
    values = {
        "targets": targets,
        "method": getattr(like, "method", like),
        "members": [
            {"model": part.config, "weights": dict(counts), "link": part.link if linked else None}
            for part, counts in members
        ],
    }
    return Draft(parse_settings(_settings(), values), [part for part, _ in members])


def _settings() -> type[ModelConfig]:
    return find_family("bag").settings("Ensemble")


@dataclass(frozen=True)
class _Part:
    """A single model, which may be part of a file.

    Attributes:
        config: Its settings.
        weights: The weights file.
        link: Link to the file, and to the part of it.
        origin: Where the model comes from.
        counts: Its weight for each target within the model it is part of.
    """

    config: ModelConfig
    weights: Path
    link: LinkedWeights
    origin: MemberOrigin
    counts: Mapping[str, float]

    def counting_one(self) -> "_Part":
        """The same model with a weight of 1 for all targets."""
        return replace(self, counts=dict.fromkeys(self.config.targets, 1.0))

    def read(self) -> dict[str, Tensor]:
        """Read and check its weights, in their stored precision."""
        weights = read_weights(self.weights, part=self.link.part)
        own = shapes_only(lambda: create_model(self.config)).state_dict()
        check_weights(own, weights, self.weights)
        return weights


@dataclass(frozen=True)
class _Entry:
    """A model as given by the user.

    Attributes:
        name: Its name.
        parts: Its members, or just itself.
        method: How it combines the estimates of its members.
    """

    name: str
    parts: Sequence[_Part]
    method: str = "mean"

    @property
    def targets(self) -> tuple[str, ...]:
        """Its targets."""
        return tuple(dict.fromkeys(target for part in self.parts for target in part.counts))


def _entry(
    model: str | Path, registry: Registry, access: Access | None, on_progress: OnProgress | None
) -> _Entry:
    files = find_model(model, registry=registry, access=access, on_progress=on_progress)
    pretrained = is_pretrained(model, registry)
    place = str(model) if pretrained else str(Path(model).absolute())
    name = str(model) if pretrained else Path(place).name
    origins = _origins(model, name, registry if pretrained else None)

    def part(
        config: ModelConfig, path: Path, counts: Mapping[str, float], link: LinkedWeights | None, inner: str
    ) -> _Part:
        if not path.is_file():
            read_weights(path)  # raises the error for a missing file
        link = link or LinkedWeights(model=place, part=inner, sha256=file_hash(path))
        origin = origins(len(parts)).model_copy(update={"net": config.net, "sha256": link.sha256})
        return _Part(config, path, link, origin, counts)

    parts: list[_Part] = []
    whole: Any = files.config
    if not isinstance(files.config, _settings()):
        parts.append(part(whole, files.weights, dict.fromkeys(whole.targets, 1.0), None, ""))
        return _Entry(name, parts)
    for index, member in enumerate(whole.members):
        inner = f"models.{index}"
        path = files.linked.get(inner, files.weights)
        parts.append(part(member.model, path, member.weights, member.link, inner))
    return _Entry(name, parts, whole.method)


def _origins(model: str | Path, name: str, registry: Registry | None) -> Callable[[int], MemberOrigin]:
    """Name, licence and credit of a model's parts, as far as stated on its card."""
    licence, credit = Licence(), ""
    origin = MemberOrigin(name=name, net="?", sha256="0" * 64)
    # The card may be incomplete or missing.
    with suppress(AuralflowError):
        if registry:
            card = registry.public_card(name) or registry.card(name)
            licence, credit = licence_of(card), getattr(card, "credit", "")
        else:
            values = read_settings(Path(model) / CARD_FILE)
            if values.get("kind") == "ensemble":
                members = dict(enumerate(parse_settings(EnsembleCard, values).members))
                return lambda index: members.get(index, origin)
            if values.get("kind") == "imported":
                known = parse_settings(OriginCard, values)
                licence, credit = known.licence, known.credit
            else:
                licence = licence_of(ModelCard.read(Path(model) / CARD_FILE))
    known_origin = origin.model_copy(update={"licence": licence, "credit": credit})
    return lambda _: known_origin


def _check_targets(entries: Sequence[_Entry], chosen: Sequence[str], *, alone: bool) -> None:
    held = {target: [entry.name for entry in entries if target in entry.targets] for target in chosen}
    for target, names in held.items():
        if not names:
            known = dict.fromkeys(target for entry in entries for target in entry.targets)
            raise NotFoundError(f"none of the models has the target {target!r}", expected=", ".join(known))
    if not alone and all(len(names) < 2 for names in held.values()):
        raise UsageError(
            "these models have no target in common",
            found="; ".join(f"{entry.name}: {', '.join(entry.targets)}" for entry in entries),
            expected="a target that at least two of them estimate",
        )


def _counts(entries: Sequence[_Entry], target: str, row: Sequence[float], method: str) -> list[float]:
    """Weights of all parts for a target, where the parts of a model share its weight."""
    found = []
    for entry, weight in zip(entries, row, strict=True):
        own = [part.counts.get(target, 0.0) for part in entry.parts]
        several = sum(count > 0 for count in own) > 1
        if weight and several and (entry.method, method) != ("mean", "mean"):
            raise UsageError(
                f"the members of {entry.name}, an ensemble itself, cannot be merged into this one",
                found=f"several for {target} by {entry.method}, and --method {method}",
                expected="mean for both",
            )
        found += [weight * count / (sum(own) or 1.0) for count in own]
    return found
