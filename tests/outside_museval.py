"""museval as an independent reference, even on machines without ffmpeg."""

import sys
import types
import warnings

# It imports musdb for that data set only, which in turn refuses to load without an ffmpeg program.
sys.modules.setdefault("musdb", types.ModuleType("musdb"))
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import museval
    import museval.metrics

__all__ = ["museval"]
