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
        switch("Replace a model in that folder; the old one is moved to a folder previous-TIME."),
    ] = False,
    options: Annotated[ImportModelConfig, Flatten] = ImportModelConfig(),  # noqa: B008 - frozen
) -> None:
    """Import published weights into a model folder.

    PyTorch, safetensors, ONNX and TensorFlow files are recognised by their content, even inside a tar or zip
    archive or a wheel. No code in them is executed.

    Parameters
    ----------
    files
        Weights files, archives or folders of them, and the YAML or JSON published with them.

    Examples
    --------
    auralflow import 2stems.tar.gz --save spleeter
    auralflow import vocals.pth drums.pth bass.pth other.pth --save umx
    auralflow import model.ckpt --config model.yaml --save my_model
    auralflow import net.onnx --n-fft 6144 --stem vocals --save mdx
    """
    from auralflow.models.importing import import_model

    if not files:
        raise UsageError("no files given", expected="auralflow import FILE... --save FOLDER")
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
    contents = f"{known}{imported.family.title}, {', '.join(imported.config.targets)}"
    result_line(f"wrote {options.save}: {contents}", copyable=True)
    note(imported.card.licence.sentence)
