"""Reading published checkpoints of any format without running anything that is in them.

Every reader makes a `CheckpointPart` of one file: `read_checkpoint` finds out what each file is, opens
archives and collects the parts into one `Checkpoint`. Whose nets they are is decided elsewhere.
"""

from auralflow.models.reading.collect import read_checkpoint
from auralflow.models.reading.files import describe_file, kind_of, tail_md5
from auralflow.models.reading.settings_file import read_settings_file

__all__ = ["describe_file", "kind_of", "read_checkpoint", "read_settings_file", "tail_md5"]
