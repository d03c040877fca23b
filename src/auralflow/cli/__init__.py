"""The command line: each command parses its settings, calls one library function and prints the result.

Commands import what they need when they run, so that help and usage errors need not wait for torch. Results
go to standard output; progress, notes and errors go to standard error.
"""

from auralflow.cli.main import app, main

__all__ = ["app", "main"]
