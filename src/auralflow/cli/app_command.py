"""``auralflow app``."""

from typing import Annotated

from cyclopts import Parameter

from auralflow.cli.console import result_line, stage
from auralflow.config import AppConfig

__all__ = ["app"]


def app(
    *,
    options: Annotated[AppConfig, Parameter(name="*", consume_multiple=True)] = AppConfig(),  # noqa: B008 - frozen
) -> None:
    """Serve a web page to separate songs and to play and download their stems (extra app).

    Examples
    --------
    auralflow app
    auralflow app --model my_model other_model --port 8080
    """
    from auralflow.cli.pretrained import open_model
    from auralflow.models.lookup import check_model

    for model in options.model:
        check_model(model)
    with stage("starting"):
        from auralflow.app import serve
        from auralflow.app.page import require_gradio

        require_gradio()

    serve(
        options,
        open_model=open_model,
        on_ready=lambda address: result_line(f"listening on {address} (Ctrl-C to quit)"),
    )
