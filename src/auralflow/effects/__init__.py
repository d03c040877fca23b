"""What is done to sounds, on arrays: filters, dynamics, rooms, width, amplifiers, production of voices."""

__all__: list[str] = []
