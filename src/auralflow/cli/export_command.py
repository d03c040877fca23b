"""``auralflow export``."""

from pathlib import Path

from auralflow.cli.console import results

__all__ = ["export"]


def export(model: Path, file: Path, /) -> None:
    """Write the net of a model as an ONNX file: from magnitude spectrograms to masks.

    Parameters
    ----------
    model
        Folder of the model.
    file
        The ONNX file to be made or replaced.
    """
    from auralflow.models import load
    from auralflow.models.export import export_onnx

    export_onnx(load(model), file)
    results.print(f"wrote {file}", markup=False)
