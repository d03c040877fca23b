"""Audio effects on arrays: filters, dynamics, rooms, stereo width, amplifiers, vocal production."""

__all__: list[str] = []
