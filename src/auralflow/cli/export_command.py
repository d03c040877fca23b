"""``auralflow export``."""

from pathlib import Path

from auralflow.cli.console import result_line, stage
from auralflow.cli.parameters import FamilyName, TrustCode
from auralflow.errors import UsageError

__all__ = ["export"]


def export(model: str, file: Path, /, *, family: FamilyName = None, trust_code: TrustCode = False) -> None:
    """Export the net of a model to ONNX: from magnitude spectrograms to masks.

    Parameters
    ----------
    model
        Model folder or name of a pretrained model.
    file
        The ONNX file to write or replace.

    Examples
    --------
    auralflow export my_model my_model.onnx
    """
    from auralflow.cli.pretrained import open_model
    from auralflow.models.lookup import check_model

    check_model(model)
    if file.suffix.lower() != ".onnx":
        raise UsageError(
            f"cannot export to '{file}'", found="another format", expected=f"an ONNX file: {file.stem}.onnx"
        )
    with stage("starting"):
        from auralflow.models.export import export_onnx

    loaded = open_model(model, trust_code=family or trust_code)
    with stage("exporting the net"):
        export_onnx(loaded, file)
    result_line(f"wrote {file}", copyable=True)
