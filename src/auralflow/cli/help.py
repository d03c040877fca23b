"""Help pages: groups of commands and options, usage lines, and examples from the commands' docstrings."""

import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

from cyclopts import App, Group, Parameter
from pydantic import create_model

from auralflow.config import AugmentConfig, LossConfig, ScoreConfig, Settings, TrainConfig

__all__ = ["DATA", "MODELS", "OPTIONS", "PROGRAM", "SETTING_GROUPS", "SHORT_SAVE", "SONGS", "add_command"]

SONGS = Group("Songs", sort_key=1)
MODELS = Group("Models", sort_key=2)
DATA = Group("Datasets", sort_key=3)
PROGRAM = Group("This program", sort_key=4)

OPTIONS = Group.create_default_parameters("Options")
"""The group of options that are not listed below."""

SETTING_GROUPS: Mapping[str, Mapping[str, str]] = {
    "ModelOptions": {
        "Audio": "num_channels sample_length sample_rate",
        "Transform": "num_fft window_size hop_length",
        "Net": "num_hidden_channels dropout_p normalize_input normalize_output mask_act_fn leak_factor",
        "Recurrent stack": "recurrent_depth hidden_size input_axis",
    },
    "TrainConfig": {
        "Length of the training": "max_epochs stop_patience max_plateaus min_delta select max_leak "
        "checkpoint_minutes",
        "Loss": " ".join((*LossConfig.model_fields, "kl_weight")),
        "Optimisation": "batch_size optimizer lr lr_lstm weight_decay warmup_steps ema_decay use_amp "
        "scale_grad init_scale clip_grad max_grad_norm",
        "Loading": "max_tracks max_samples valid_samples num_workers persistent_workers pin_memory pre_fetch",
        "TensorBoard": "tensorboard view_iter view_epoch view_weights view_grad view_norm play_estimate "
        "play_residual view_spec view_wav image_freq",
    },
    "AugmentConfig": {
        "Remixing and augmentation": " ".join(AugmentConfig.model_fields),
    },
    "StemConfig": {
        "Part of the song": "start duration",
        "Files": "layout name residual original format subtype bitrate clip",
    },
    "EngineConfig": {
        "Quality": "overlap chunk window shifts wiener phase consistent",
        "Computing": "batch_size device precision backend",
    },
    "SeparateConfig": {
        "Songs": "from_file shard only_failed accept_failed",
        "Computing": "jobs executor address",
    },
    "EvaluateConfig": {
        "Scores": " ".join(("bounds", *ScoreConfig.model_fields)),
        "Computing": "jobs",
    },
}
"""Groups of options by settings class; the options are listed by field name."""

SHORT_SAVE = "-o"
"""The short form of ``--save`` in every command."""

SECTION = re.compile(r"\n\n(\w+)\n-+\n")


def add_command(
    app: App, function: Callable[..., Any], *, name: str | None = None, group: Group | None = None
) -> None:
    """Register a function as a command, with a usage line, groups of options and examples in its help.

    Args:
        app: The program, or a command with subcommands.
        function: The command. The *Examples* section of its docstring is shown below the options.
        name: Name of the command. Default: the name of the function.
        group: Group of the command in the program's help. Default: none.
    """
    name = name or function.__name__
    program = " ".join(["auralflow", *(part for part in app.name if part != "auralflow"), name])
    about, *sections = SECTION.split(inspect.getdoc(function) or "")
    examples = dict(zip(sections[::2], sections[1::2], strict=True)).get("Examples", "")
    place: dict[str, Any] = {"group": group} if group else {}
    app.command(
        _with_groups(function),
        name=name,
        **place,
        # Rewrap paragraphs to the width of the terminal rather than that of the source.
        help="\n\n".join(" ".join(paragraph.split()) for paragraph in about.split("\n\n")),
        sort_key=len(list(app)),
        usage=_usage(program, function),
        help_epilogue=f"Examples:\n\n{textwrap.indent(examples, '  ')}" if examples else None,
    )


def _usage(program: str, function: Callable[..., Any]) -> str:
    words = [program, "[OPTIONS]"]
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            words.append(parameter.name.upper())
        elif parameter.kind is parameter.VAR_POSITIONAL:
            words.append(f"{parameter.name.upper()}...")
    return f"Usage: {' '.join(words)}"


def _with_groups(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a function so that its options are grouped, and it still receives its own settings classes."""
    signature = inspect.signature(function)
    kinds = {
        name: kind
        for name, parameter in signature.parameters.items()
        if (kind := _settings_type(parameter.annotation))
    }
    if not kinds:
        return function

    @functools.wraps(function)
    def command(*args: Any, **options: Any) -> Any:
        for name, kind in kinds.items():
            if name in options:
                options[name] = kind.model_validate(options[name].model_dump(exclude_unset=True))
        return function(*args, **options)

    parameters = dict(signature.parameters)
    for name, kind in kinds.items():
        grouped = _grouped(kind)
        (look,) = get_args(parameters[name].annotation)[1:]
        parameters[name] = parameters[name].replace(annotation=Annotated[grouped, look], default=grouped())
    command.__signature__ = signature.replace(parameters=list(parameters.values()))  # type: ignore[attr-defined]
    command.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
    return command


def _settings_type(annotation: Any) -> type[Settings] | None:
    if get_origin(annotation) is Annotated:
        kind = get_args(annotation)[0]
        return kind if isinstance(kind, type) and issubclass(kind, Settings) else None
    return None


def _grouped(kind: type[Settings]) -> type[Settings]:
    """A subclass of a settings class whose fields say how to show their options in the help."""
    titles = {
        field: title
        for base in kind.__mro__
        for title, fields in SETTING_GROUPS.get(base.__name__, {}).items()
        for field in fields.split()
    }
    order = [title for groups in SETTING_GROUPS.values() for title in groups]
    fields: dict[str, Any] = {}
    for name, field in kind.model_fields.items():
        look: dict[str, Any] = {}
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("hidden"):
            look["show"] = False
        extra = field.json_schema_extra
        if isinstance(extra, dict) and isinstance(own := extra.get("parameter"), dict):
            look |= own
        if name == "save":
            look["alias"] = SHORT_SAVE
        if title := titles.get(name):
            look["group"] = Group(title, sort_key=10 + order.index(title))
        if field.default is False or field.default == ():
            look["show_default"] = False
        elif isinstance(field.default, tuple):
            look["show_default"] = lambda values: " ".join(map(str, values))
        if field.annotation is bool and field.default is False:
            # Only a stored setting of an earlier training run can be on without having been typed.
            look["negative"] = None if issubclass(kind, TrainConfig) else ()
        fields[name] = (Annotated[field.annotation, Parameter(**look)], field)
    return create_model(kind.__name__, __base__=kind, **fields)
