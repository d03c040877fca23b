"""Who plays the parts: built-in instruments and voices, recordings, soundfonts."""

__all__: list[str] = []
