"""Reads published checkpoints of any format without executing any code in them.

Every reader turns one file into a `CheckpointPart`: `read_checkpoint` detects the format of each file, opens
archives and collects the parts into one `Checkpoint`. The family of nets is recognised elsewhere.
"""

from auralflow.models.reading.collect import read_checkpoint
from auralflow.models.reading.files import describe_file, kind_of, tail_md5
from auralflow.models.reading.settings_file import read_settings_file

__all__ = ["describe_file", "kind_of", "read_checkpoint", "read_settings_file", "tail_md5"]
