"""How a signal is dealt out in chunks, and how what is made of them becomes one signal again."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Chunking", "WindowName"]

WindowName = Literal["cross_fade", "triangle", "hann", "linear_tenth", "rectangle"]


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """How a song is dealt out to a net in chunks, and how their estimates become one song again.

    The default is auralflow's own: a new chunk is begun only for samples that no earlier one covers, and
    estimates are cross-faded. The other settings reproduce how published models are run.

    Attributes:
        length: Samples of a chunk whose estimates are used.
        step: Samples from one chunk's start to the next.
        window: Weights of a chunk's estimates. ``cross_fade``: linear fades over what chunks share;
            ``triangle``: rising to the middle (Demucs); ``hann``: symmetric, of the chunk's actual length
            (MDX-Net); ``linear_tenth``: fades over a tenth of a chunk, none at the ends of the song (MSST);
            ``rectangle``: ones.
        normalized: Divide by the sum of the weights. Off, chunks add up, as frames of one transform do.
        before: Samples put in front of the song.
        after: Samples put behind it, beside what fills the last chunk.
        edges: What those samples are: zeros, or the song mirrored (where it is long enough).
        context: Samples on both sides of a chunk that the net reads and whose estimates are left out; of the
            song where it has them, else zeros.
        every_step: Begin a chunk at every multiple of ``step`` within the song, also where it covers nothing
            new.
        last: How a chunk that runs past the end is filled: with ``zeros``; mirrored where more than half of
            it is song (``reflect``); or cut short and centred in the net's length (``centre``, Demucs).
    """

    length: int
    step: int
    window: WindowName = "cross_fade"
    normalized: bool = True
    before: int = 0
    after: int = 0
    edges: Literal["zeros", "reflect"] = "zeros"
    context: int = 0
    every_step: bool = False
    last: Literal["zeros", "reflect", "centre"] = "zeros"
