"""``auralflow config``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter
from pydantic import create_model

from auralflow.cli.console import note, result_line, show_settings
from auralflow.cli.parameters import Flatten, switch
from auralflow.config import (
    SOURCES,
    Settings,
    option_name,
    parse_settings,
)
from auralflow.errors import UsageError
from auralflow.nets.families import settings_of_net
from auralflow.nets.unet.config import NetName, RecurrentNetConfig

__all__ = ["config"]

NOT_OPTIONS = ("format_version", "family", "net", "targets", "overlap")

if TYPE_CHECKING:
    ModelOptions = Settings
else:
    # The options of every net; the net that is chosen says which of them count.
    ModelOptions = create_model(
        "ModelOptions",
        __base__=Settings,
        **{
            name: (field.annotation, field)
            for name, field in RecurrentNetConfig.model_fields.items()
            if name not in NOT_OPTIONS
        },
    )

TARGETS = Group("Targets", sort_key=0)


def config(  # noqa: PLR0913 - the options of a command are its arguments
    net: NetName,
    /,
    *,
    save: Annotated[Path, Parameter(help="Folder of the model.")] = Path("my_model"),
    display: Annotated[bool, switch("Show the settings and the number of parameters.")] = False,
    force: Annotated[
        bool,
        switch("Replace a model in that folder; it moves to a folder previous-TIME."),
    ] = False,
    vocals: Annotated[bool, switch("Estimate the vocals.", group=TARGETS)] = False,
    drums: Annotated[bool, switch("Estimate the drums.", group=TARGETS)] = False,
    bass: Annotated[bool, switch("Estimate the bass.", group=TARGETS)] = False,
    other: Annotated[bool, switch("Estimate everything else.", group=TARGETS)] = False,
    options: Annotated[ModelOptions, Flatten] = ModelOptions(),  # noqa: B008 - frozen
) -> None:
    r"""Configure a new model: write model.json to its folder.

    Parameters
    ----------
    net
        Architecture.

    Examples
    --------
    auralflow config SpectrogramNetSimple --save my_model --vocals
    auralflow config SpectrogramNetVAE --save four_stems \
      --vocals --drums --bass --other --num-channels 2 \
      --num-fft 2048 --window-size 2048 --hop-length 1024
    """
    wanted = dict(zip(SOURCES, (vocals, drums, bass, other), strict=True))
    targets = [name for name, on in wanted.items() if on]
    if not targets:
        raise UsageError("no target was chosen", expected="one or more of --vocals --drums --bass --other")
    kind = settings_of_net(net)
    typed = options.model_dump(include=options.model_fields_set)
    unused = [option_name(name) for name in typed if name not in kind.model_fields]
    if unused:
        note(f"{', '.join(unused)}: no effect on {net}, not stored")
    values = {name: value for name, value in typed.items() if name in kind.model_fields}
    settings = parse_settings(kind, {"net": net, "targets": targets, **values})

    from auralflow.models.folder import create_model_folder

    previous = create_model_folder(save, settings, force=force)
    if previous:
        note(f"the earlier model was moved to {previous}")
    if display:
        from auralflow.models.folder import count_parameters

        shown = settings.model_dump(mode="json")
        show_settings(str(save / "model.json"), shown | {"parameters": f"{count_parameters(settings):,}"})
    result_line(f"wrote {save / 'model.json'}")
