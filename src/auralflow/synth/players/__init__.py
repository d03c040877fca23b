"""Who plays the parts: built-in instruments and voices, recordings, soundfonts."""
