"""Music source separation by deep mask estimation."""

__version__ = "0.1.0"
