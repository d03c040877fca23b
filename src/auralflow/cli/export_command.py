"""``auralflow export``."""

from pathlib import Path

from auralflow.cli.console import result_line

__all__ = ["export"]


def export(model: str, file: Path, /) -> None:
    """Write the net of a model as an ONNX file: from magnitude spectrograms to masks.

    Parameters
    ----------
    model
        Folder of a model, or the name of a pretrained one.
    file
        The ONNX file to be made or replaced.

    Examples
    --------
    auralflow export my_model my_model.onnx
    """
    from auralflow.cli.pretrained import open_model
    from auralflow.models.export import export_onnx

    export_onnx(open_model(model), file)
    result_line(f"wrote {file}")
