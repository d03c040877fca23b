"""``auralflow import``."""

from pathlib import Path
from typing import Annotated

from auralflow.cli.console import note, result_line
from auralflow.cli.parameters import Flatten, switch
from auralflow.config import ImportModelConfig
from auralflow.errors import UsageError

__all__ = ["import_files"]


def import_files(
    *files: Path,
    force: Annotated[
        bool,
        switch("Replace a model in that folder; it moves to a folder previous-TIME."),
    ] = False,
    options: Annotated[ImportModelConfig, Flatten] = ImportModelConfig(),  # noqa: B008 - frozen
) -> None:
    """Make a model folder of weights that others have published.

    Files of PyTorch, safetensors, ONNX and TensorFlow are recognised by their content, also within a
    tar or zip archive or a wheel. Nothing in them is run.

    Parameters
    ----------
    files
        Files of weights, archives or folders of them, and the YAML or JSON beside them.

    Examples
    --------
    auralflow import 2stems.tar.gz --save spleeter
    auralflow import vocals.pth drums.pth bass.pth other.pth --save umx
    auralflow import model.ckpt --config model.yaml --save my_model
    auralflow import net.onnx --n-fft 6144 --stem vocals --save mdx  # unlisted
    """
    from auralflow.models.importing import import_model

    if not files:
        raise UsageError("no file was given", expected="auralflow import FILE... --save FOLDER")
    imported = import_model(
        files,
        options.save,
        settings=options.config,
        family=options.family,
        targets=options.targets,
        parameters=options.parameters,
        force=force,
    )
    if imported.previous:
        note(f"the earlier model was moved to {imported.previous}")
    known = f"{imported.card.name}, " if imported.card.name else ""
    result_line(f"wrote {options.save}: {known}{imported.family.title}, {', '.join(imported.config.targets)}")
    note(imported.card.licence.sentence)
