"""``auralflow config``: a command for each net, with that net's options."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args

from cyclopts import App, Group, Parameter
from pydantic import create_model

from auralflow.cli.console import note, result_line, show_settings, stage
from auralflow.cli.help import OPTIONS, SHORT_SAVE, add_command
from auralflow.cli.parameters import Flatten, switch
from auralflow.config import SOURCES, ModelConfig, Settings, option_name, parse_settings
from auralflow.config.base import split_words
from auralflow.errors import UsageError
from auralflow.nets.families import FAMILIES, Family, Net, all_nets, find_family

__all__ = ["add_net", "config", "with_family"]

NOT_OPTIONS = ("format_version", "family", "net", "targets", "overlap")
TARGETS = Group("Targets", sort_key=0)

config = App(
    name="config",
    help="Configure a new model: write model.json to its folder. Each net is a command with its own options.",
    help_epilogue="For the options of a net: auralflow config NET --help\n\n"
    "For a net from another package, whose code is then trusted: auralflow config NET --family FAMILY",
    group_parameters=OPTIONS,
)


def add_net(family: Family, net: Net) -> None:
    """Add a net as a command of ``auralflow config``."""
    add_command(config, _command(family, net), name=net.name)


def with_family(tokens: tuple[str, ...]) -> tuple[str, ...]:
    """Remove ``--family NAME`` from a command line, and add that family's nets as commands.

    Args:
        tokens: The arguments of the process.

    Returns:
        The arguments without the option.

    Raises:
        UsageError: If the family does not exist, or one of its nets has the name of a built-in one.
    """
    for index, token in enumerate(tokens):
        option, _, name = token.partition("=")
        if option == "--family":
            taken = 1 if name else 2
            name = name or "".join(tokens[index + 1 : index + 2])
            if name not in FAMILIES:
                family = find_family(name, trust_code=name)
                for net in family.nets:
                    if any(net.name == own.name for _, own in all_nets()):
                        raise UsageError(
                            f"the family of nets {name!r} has a net {net.name!r}",
                            found="the name of a net of auralflow",
                        )
                    if net.name in config:
                        # Left by an earlier command in the same process.
                        del config[net.name]
                    add_net(family, net)
            return tokens[:index] + tokens[index + taken :]
    return tokens


def _command(family: Family, net: Net) -> Callable[..., None]:
    def command(  # noqa: PLR0913 - the options of a command are its arguments
        *,
        save: Annotated[Path, Parameter(help="Folder of the model.", alias=SHORT_SAVE)] = Path("my_model"),
        display: Annotated[bool, switch("Show the settings and the number of parameters.")] = False,
        force: Annotated[
            bool,
            switch("Replace a model in that folder; the old one is moved to a folder previous-TIME."),
        ] = False,
        vocals: Annotated[bool, switch("Estimate the vocals.", group=TARGETS)] = False,
        drums: Annotated[bool, switch("Estimate the drums.", group=TARGETS)] = False,
        bass: Annotated[bool, switch("Estimate the bass.", group=TARGETS)] = False,
        other: Annotated[bool, switch("Estimate everything else.", group=TARGETS)] = False,
        targets: Annotated[
            tuple[str, ...],
            Parameter(help="Estimate these targets, as in guitar,piano.", group=TARGETS, show_default=False),
        ] = (),
        options: Settings,
    ) -> None:
        flags = dict(zip(SOURCES, (vocals, drums, bass, other), strict=True))
        names = (*(name for name, on in flags.items() if on), *split_words(targets))
        _configure(family, net, tuple(dict.fromkeys(names)), options, save=save, display=display, force=force)

    kind = create_model("ModelOptions", __base__=Settings, **_fields(family, net))
    command.__annotations__["options"] = Annotated[kind, Flatten]
    command.__kwdefaults__ = {**(command.__kwdefaults__ or {}), "options": kind()}
    command.__doc__ = _about(family, net)
    return command


def _about(family: Family, net: Net) -> str:
    source = f"Source: {family.citation}" if family.citation else ""
    targets = "" if _own_targets(net) else " --vocals"
    return (
        f"{net.summary[:1].upper()}{net.summary[1:]}.\n\n"
        f"{family.title}. Writes the settings of a new {net.name} to model.json. {source}\n\n"
        "Examples\n--------\n"
        f"auralflow config {net.name} --save my_model{targets}\n"
        f"auralflow config {net.name} --save duo \\\n  --targets guitar,piano"
    )


def _fields(family: Family, net: Net) -> dict[str, Any]:
    """The options of a net. Those of the family's other nets are accepted but hidden from the help."""
    own = net.settings.model_fields
    fields = {
        name: _option(net, name, field)
        for name, field in own.items()
        # A field with a single possible value is not an option.
        if name not in NOT_OPTIONS and len(get_args(field.annotation)) != 1
    }
    for relative in family.nets:
        for name, field in relative.settings.model_fields.items():
            if name not in own:
                hidden = field._copy()
                hidden.json_schema_extra = {"hidden": True}
                fields[name] = (field.annotation, hidden)
    return fields


def _option(net: Net, name: str, field: Any) -> tuple[Any, Any]:
    changed = field._copy()
    if name in net.presets:
        changed.default = net.presets[name]
    return field.annotation, changed


def _own_targets(net: Net) -> tuple[str, ...]:
    """The default targets of a net; empty for one that can estimate any."""
    usual = ModelConfig.model_fields["targets"].default
    own: tuple[str, ...] = net.presets.get("targets", net.settings.model_fields["targets"].default)
    return () if own == usual else own


def _configure(
    family: Family,
    net: Net,
    targets: tuple[str, ...],
    options: Settings,
    *,
    save: Path,
    display: bool,
    force: bool,
) -> None:
    targets = targets or _own_targets(net)
    if not targets:
        raise UsageError(
            "no targets given",
            expected="one or more of --vocals --drums --bass --other, or --targets guitar,piano",
        )
    typed = options.model_dump(include=options.model_fields_set)
    known = net.settings.model_fields
    unused = [option_name(name) for name in typed if name not in known]
    if unused:
        note(f"{', '.join(unused)}: no effect on {net.name}, not saved")
    values = {name: value for name, value in typed.items() if name in known}
    chosen = {**net.presets, "family": family.name, "net": net.name, "targets": targets, **values}
    settings = parse_settings(net.settings, chosen)

    from auralflow.models.card import MODEL_FILE
    from auralflow.models.writing import create_model_folder

    previous = create_model_folder(save, settings, force=force)
    if previous:
        note(f"the earlier model was moved to {previous}")
    if display:
        with stage("counting the parameters"):
            from auralflow.models.folder import count_parameters

            parameters = count_parameters(settings)
        shown = settings.model_dump(mode="json")
        show_settings(str(save / MODEL_FILE), shown | {"parameters": f"{parameters:,}"})
    result_line(f"wrote {save / MODEL_FILE}", copyable=True)


for _family, _net in all_nets():
    add_net(_family, _net)
