"""Scores: plans, notes, drum hits and syllables, composed here or read from MIDI files."""

__all__: list[str] = []
