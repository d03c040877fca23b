"""How a signal is split into chunks, and how their estimates become one signal again."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

__all__ = ["Chunking", "WindowName", "cross_fade_window"]

WindowName = Literal["cross_fade", "triangle", "hann", "linear_tenth", "rectangle"]

LEAST_WEIGHT = 1e-8
"""Stands in for a weight of zero: negligible beside any other, and decisive where there is no other."""


@dataclass(frozen=True, kw_only=True)
class Chunking:
    """How a song is split into chunks for a net, and how their estimates become one song again.

    The default is auralflow's own: a new chunk starts only for samples that no earlier one covers, and
    estimates are cross-faded. The other settings reproduce how published models are run.

    Attributes:
        length: Samples of a chunk whose estimates are used.
        step: Samples from one chunk's start to the next, from 1 to ``length``.
        window: Weights of a chunk's estimates. ``cross_fade``: linear fades over what chunks share;
            ``triangle``: rising to the middle (Demucs); ``hann``: symmetric, over the part that is song
            (MDX-Net); ``linear_tenth``: fades over a tenth of a chunk, none where the first chunk begins and
            the last one ends (MSST); ``rectangle``: ones.
        normalized: Divide by the sum of the weights. If off, chunks are added, as frames of one transform
            are.
        before: Samples of padding before the song.
        after: Samples of padding after it.
        multiple: The song is zero-padded, before ``after``, to the next multiple of this many samples, and by
            a whole one where it is a multiple already (MDX-Net). 0: not at all.
        edges: What ``before`` and ``after`` hold: ``zeros``, or the mirrored song (``reflect``), where it is
            longer than both; a shorter one is not padded.
        context: Samples on both sides of a chunk that the net reads and whose estimates are discarded: the
            song where there is one, else zeros.
        fit: Number of samples that the net reads for a chunk of so many: half of the surplus lies on either
            side of it, at most ``context``. Default: all of ``context``.
        every_step: Start a chunk at every multiple of ``step`` within the song, even where it covers nothing
            new.
        last: How a chunk that runs past the end is filled: with ``zeros``; with its mirror image where more
            than half of it is song, else with zeros (``reflect``); by starting it earlier, so that the rest
            of the song lies in its middle (``centre``, Demucs); or not at all (``short``, for nets of any
            length).

    Raises:
        ValueError: If a number is out of range.

    Example:
        >>> Chunking(length=4, step=5)
        Traceback (most recent call last):
        ValueError: step is 5: it must be from 1 to length (4)
    """

    length: int
    step: int
    window: WindowName = "cross_fade"
    normalized: bool = True
    before: int = 0
    after: int = 0
    multiple: int = 0
    edges: Literal["zeros", "reflect"] = "zeros"
    context: int = 0
    fit: Callable[[int], int] | None = None
    every_step: bool = False
    last: Literal["zeros", "reflect", "centre", "short"] = "zeros"

    def __post_init__(self) -> None:
        if not 1 <= self.step <= self.length:
            raise ValueError(f"step is {self.step}: it must be from 1 to length ({self.length})")
        for name in ("before", "after", "multiple", "context"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}: it must not be negative")

    @property
    def read_length(self) -> int:
        """Samples that the net reads at once: the chunk and its context."""
        return self.reading(self.length)[1]

    def reading(self, num_samples: int) -> tuple[int, int]:
        """Samples before a chunk of ``num_samples`` that are read for it, and how many are read in all."""
        if self.fit is None:
            return self.context, num_samples + 2 * self.context
        total = self.fit(num_samples)
        return (total - num_samples) // 2, total

    @property
    def history(self) -> int:
        """Samples before a chunk that may have to be read again for it."""
        return self.context + (self.length // 2 if self.last == "centre" else 0)

    @property
    def reach(self) -> int:
        """Samples past the end of a chunk that are read, at most, before it is processed."""
        return self.context + (self.before + self.after + 1 if self.edges == "reflect" else 0)

    def count(self, num_samples: int) -> int:
        """Number of chunks that a padded signal is split into."""
        if self.every_step:
            return -(-num_samples // self.step)
        return 1 + -(-max(0, num_samples - self.length) // self.step)

    def cross_faded(self) -> "Chunking":
        """The same chunks, where auralflow itself would start them and with its own fades.

        What the net reads around a chunk, and how a chunk is filled that runs past the end, stay as they are.
        Where chunks are added up without normalisation, each one is complete only in the part that it does
        not share with its neighbours: the rest becomes context.

        Example:
            >>> published = Chunking(length=8, step=6, window="hann", before=2, after=2, every_step=True)
            >>> published.cross_faded() == Chunking(length=8, step=6)
            True
        """
        if not self.normalized:
            shared = self.length - self.step
            inner = max(1, self.length - 2 * shared)
            return Chunking(length=inner, step=inner, context=self.context + shared, last=self.last)
        return Chunking(
            length=self.length, step=self.step, context=self.context, fit=self.fit, last=self.last
        )

    def weights(self, num_samples: int, *, is_first: bool = False, is_last: bool = False) -> Tensor:
        """Weights ``[length]`` of a chunk.

        Args:
            num_samples: How many samples of the chunk are song; weights beyond them have no meaning.
            is_first: Whether it is the first chunk.
            is_last: Whether it is the last one.

        Example:
            >>> Chunking(length=5, step=4, window="triangle").weights(5).tolist()
            [0.3333333432674408, 0.6666666865348816, 1.0, 0.6666666865348816, 0.3333333432674408]
        """
        window = torch.ones(self.length)
        match self.window:
            case "cross_fade":
                return cross_fade_window(self.length, self.step)
            case "triangle":
                half = self.length // 2
                rise, fall = torch.arange(1, half + 1), torch.arange(self.length - half, 0, -1)
                window = torch.cat((rise, fall)) / (self.length - half)
            case "hann":
                window[:num_samples] = torch.hann_window(num_samples, periodic=False)
            case "linear_tenth":
                fade = self.length // 10
                ramp = torch.linspace(0, 1, fade)
                if not is_first:
                    window[:fade] = ramp
                if is_first or not is_last:
                    window[self.length - fade :] = ramp.flip(0)
            case "rectangle":
                pass
        return window.clamp_min(LEAST_WEIGHT)


def cross_fade_window(length: int, step: int) -> Tensor:
    """Weights of a chunk: linear fades over the overlap, flat between, never zero.

    A net is least certain at the ends of its chunk, where it sees the music on one side only; so the ends
    count least where another chunk covers the same samples.

    Args:
        length: Samples in a chunk.
        step: Samples from one chunk's start to the next.

    Returns:
        ``[length]``, in (0, 1].

    Example:
        >>> cross_fade_window(6, 4).tolist()
        [0.25, 0.75, 1.0, 1.0, 0.75, 0.25]
    """
    fade = max(1.0, min(length - step, length / 2))
    ramp = torch.arange(length, dtype=torch.float32) + 0.5
    return (torch.minimum(ramp, ramp.flip(0)) / fade).clamp_max(1.0)
