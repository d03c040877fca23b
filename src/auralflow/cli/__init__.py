"""The command line: reads settings, calls one function of the library per command, prints.

What a command needs is imported inside it: help and usage errors must not wait for torch. Results go to
standard output; progress, notes and errors to standard error.
"""

from auralflow.cli.main import app, main

__all__ = ["app", "main"]
