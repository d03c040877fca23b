"""Making an ensemble: a model folder of several models, whose estimates become one."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auralflow.config import LinkedWeights, ModelConfig, parse_settings, read_settings
from auralflow.errors import AuralflowError, NotFoundError, UsageError
from auralflow.models.card import CARD_FILE, WEIGHTS_FILE, ModelCard
from auralflow.models.catalogue import licence_of
from auralflow.models.ensemble_weights import WeightRows, WeightTable
from auralflow.models.folder import check_weights, read_weights, save_weights
from auralflow.models.loading import OnProgress, find_model, is_pretrained
from auralflow.models.origin import EnsembleCard, Licence, MemberOrigin, OriginCard
from auralflow.models.registry import Registry, installed_registry
from auralflow.models.weights import Access
from auralflow.models.writing import ModelParts, check_free, write_model
from auralflow.nets.families import create_model, find_family
from auralflow.storage import file_hash

__all__ = ["Made", "make_ensemble"]


class Made(NamedTuple):
    """An ensemble that was made.

    Attributes:
        config: Its settings.
        members: Names of its members, in their order.
        previous: The folder that an earlier model was moved to, if there was one.
    """

    config: ModelConfig
    members: tuple[str, ...]
    previous: Path | None


def make_ensemble(  # noqa: PLR0913 - they are the options of a command
    models: Sequence[str | Path],
    folder: str | Path,
    *,
    weights: WeightTable | None = None,
    method: str = "mean",
    targets: tuple[str, ...] = (),
    link: bool = False,
    force: bool = False,
    registry: Registry | None = None,
    access: Access | None = None,
    on_progress: OnProgress = lambda *_: None,
) -> Made:
    """Make an ensemble of models.

    A model that is an ensemble itself is taken apart. Given alone, it is made anew of the same members.

    Args:
        models: Model folders and pretrained names.
        folder: Folder of the ensemble.
        weights: What each model counts for a target. Default: all the same.
        method: How estimates become one: ``mean``, ``median``, ``mean_magnitude``, ``median_magnitude``,
            ``min_magnitude`` or ``max_magnitude``.
        targets: What it estimates. Default: all that any of the models does. For a target that a model
            lacks, the model is left out.
        link: Refer to the models' weights where they are, instead of copying them.
        force: Replace the model of a folder that holds one. Its files move to ``previous-<time>/``.
        registry: The pretrained models. Default: those that are installed.
        access: Where pretrained weights may come from. Default: what the environment says.
        on_progress: Called with the bytes that have come, and how many there are.

    Raises:
        NotFoundError: If there is no such model, or none has such a target.
        ModelError: If a model's files are broken.
        UsageError: If the models have no target in common, the weights do not fit them, or the folder already
            holds a model and ``force`` is off.
    """
    folder = Path(folder)
    check_free(folder, None, force=force)
    registry = registry or installed_registry()
    entries = [_entry(model, registry, access, on_progress) for model in models]
    weights = dict(weights or {})
    taken_apart = len(entries) == 1
    if taken_apart:
        parts = entries[0].parts
        if "" not in weights:
            weights = {t: [part.counts.get(t, 0.0) for part in parts] for t in entries[0].targets} | weights
        targets = targets or entries[0].targets
        entries = [_Entry(part.origin.name, [part.counting_one()]) for part in parts]
    if len(entries) < 2:
        raise UsageError(
            "an ensemble needs several models",
            found=f"'{models[0]}' alone" if models else "none",
            expected="auralflow ensemble MODEL MODEL ... --save FOLDER",
        )
    chosen = targets or tuple(dict.fromkeys(target for entry in entries for target in entry.targets))
    _check_targets(entries, chosen, alone=taken_apart)
    table = WeightRows([(entry.name, entry.targets) for entry in entries], chosen, weights)
    rows = {target: _counts(entries, target, table.of(target), method) for target in chosen}
    members = [
        (part, {target: row[index] for target, row in rows.items() if row[index] > 0})
        for index, part in enumerate(part for entry in entries for part in entry.parts)
    ]
    members = [(part, counts) for part, counts in members if counts]
    values = {
        "targets": chosen,
        "method": method,
        "members": [
            {"model": part.config, "weights": counts, "link": part.link if link else None}
            for part, counts in members
        ],
    }
    config = parse_settings(_settings(), values)
    kept = [part for part, _ in members]
    card = EnsembleCard(targets=chosen, members=tuple(part.origin for part in kept))
    previous = _write(folder, config, kept, card, copied=not link, force=force)
    return Made(config, tuple(part.origin.name for part in kept), previous)


def _write(
    folder: Path,
    config: ModelConfig,
    parts: Sequence["_Part"],
    card: EnsembleCard,
    *,
    copied: bool,
    force: bool,
) -> Path | None:
    content = card.model_dump(mode="json")
    weights = {
        f"models.{index}.{name}": tensor
        for index, part in enumerate(parts)
        for name, tensor in part.read().items()
    }
    if not copied:
        return write_model(folder, ModelParts(config, None, content), force=force)
    with tempfile.TemporaryDirectory(prefix="auralflow-") as scratch:
        path = Path(scratch) / WEIGHTS_FILE
        save_weights(weights, path)
        return write_model(folder, ModelParts(config, path, content), force=force)


def _settings() -> type[ModelConfig]:
    return find_family("bag").settings("Ensemble")


@dataclass(frozen=True)
class _Part:
    """A single model, which may be a part of a file.

    Attributes:
        config: Its settings.
        weights: The file.
        link: Where that is, and which part of it.
        origin: Where it comes from.
        counts: What it counts for each target within the model that it is a part of.
    """

    config: ModelConfig
    weights: Path
    link: LinkedWeights
    origin: MemberOrigin
    counts: Mapping[str, float]

    def counting_one(self) -> "_Part":
        """The same, by itself."""
        return replace(self, counts=dict.fromkeys(self.config.targets, 1.0))

    def read(self) -> dict[str, Tensor]:
        """Its weights, in the precision that they are stored in, when they fit."""
        weights = read_weights(self.weights, part=self.link.part)
        with torch.device("meta"):
            own = create_model(self.config).state_dict()
        check_weights(own, weights, self.weights)
        return weights


@dataclass(frozen=True)
class _Entry:
    """A model as it was named.

    Attributes:
        name: Its name.
        parts: Itself, or what it is made of.
        method: How it makes one estimate of those of its parts.
    """

    name: str
    parts: Sequence[_Part]
    method: str = "mean"

    @property
    def targets(self) -> tuple[str, ...]:
        """What it estimates."""
        return tuple(dict.fromkeys(target for part in self.parts for target in part.counts))


def _entry(model: str | Path, registry: Registry, access: Access | None, on_progress: OnProgress) -> _Entry:
    files = find_model(model, registry=registry, access=access, on_progress=on_progress)
    pretrained = is_pretrained(model, registry)
    place = str(model) if pretrained else str(Path(model).absolute())
    name = str(model) if pretrained else Path(place).name
    origins = _origins(model, registry if pretrained else None)

    def part(
        config: ModelConfig, path: Path, counts: Mapping[str, float], link: LinkedWeights | None, inner: str
    ) -> _Part:
        if not path.is_file():
            read_weights(path)  # says so
        link = link or LinkedWeights(model=place, part=inner, sha256=file_hash(path))
        licence, credit = origins(len(parts))
        origin = MemberOrigin(name=name, net=config.net, sha256=link.sha256, licence=licence, credit=credit)
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


def _origins(model: str | Path, registry: Registry | None) -> Callable[[int], tuple[Licence, str]]:
    """Licence and credit of a model's parts, as far as its card says."""
    try:
        if registry:
            card = registry.public_card(str(model)) or registry.card(str(model))
            return lambda _: (licence_of(card), getattr(card, "credit", ""))
        values = read_settings(Path(model) / CARD_FILE)
        if values.get("kind") == "ensemble":
            members = parse_settings(EnsembleCard, values).members
            return lambda index: (members[index].licence, members[index].credit)
        if values.get("kind") == "imported":
            known = parse_settings(OriginCard, values)
            return lambda _: (known.licence, known.credit)
        own = licence_of(ModelCard.read(Path(model) / CARD_FILE))
    except AuralflowError:
        own = Licence()
    return lambda _: (own, "")


def _check_targets(entries: Sequence[_Entry], chosen: Sequence[str], *, alone: bool) -> None:
    held = {target: [entry.name for entry in entries if target in entry.targets] for target in chosen}
    for target, names in held.items():
        if not names:
            known = dict.fromkeys(target for entry in entries for target in entry.targets)
            raise NotFoundError(f"none of the models has a target {target!r}", expected=", ".join(known))
    if not alone and all(len(names) < 2 for names in held.values()):
        raise UsageError(
            "these models have no target in common",
            found="; ".join(f"{entry.name}: {', '.join(entry.targets)}" for entry in entries),
            expected="a target that two of them estimate",
        )


def _counts(entries: Sequence[_Entry], target: str, row: Sequence[float], method: str) -> list[float]:
    """What each part counts for a target, where each model has what its parts share."""
    found = []
    for entry, weight in zip(entries, row, strict=True):
        own = [part.counts.get(target, 0.0) for part in entry.parts]
        several = sum(count > 0 for count in own) > 1
        if weight and several and (entry.method, method) != ("mean", "mean"):
            raise UsageError(
                f"{entry.name} is an ensemble whose members cannot be taken into this one",
                found=f"several for {target} by {entry.method}, and --method {method}",
                expected="mean for both",
            )
        found += [weight * count / (sum(own) or 1.0) for count in own]
    return found
