"""``auralflow completion``."""

from typing import Literal

from auralflow.cli.console import results

__all__ = ["completion"]

FILES = 'COMPREPLY=( $(compgen -f -- "${cur}") )'
"""How the generated script completes files: it splits names at spaces."""
WHOLE_FILES = f"local IFS=$'\\n'; compopt -o filenames 2>/dev/null; {FILES}"
"""The same without splitting names, and with spaces in them quoted."""


def completion(shell: Literal["bash", "zsh", "fish", "powershell"], /) -> None:
    """Print the completion script of a shell, for commands, options and their values.

    Parameters
    ----------
    shell
        The shell.

    Examples
    --------
    echo 'eval "$(auralflow completion bash)"' >> ~/.bashrc
    echo 'eval "$(auralflow completion zsh)"' >> ~/.zshrc    # after compinit
    auralflow completion fish > ~/.config/fish/completions/auralflow.fish
    """
    from auralflow.cli.main import app

    script = app.generate_completion(prog_name="auralflow", shell=shell)
    results.print(script.replace(FILES, WHOLE_FILES), end="")
