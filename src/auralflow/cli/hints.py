"""Options of other separators, and their equivalents here."""

import re

__all__ = ["hint"]

_TWO_STEMS = re.compile(
    "karaoke|instrumental|cap+ella|accompaniment|backing|minus-one|no-?vocals|only-vocals|vocals-only|(two|2)-?stem"
)
_PAIR = "For vocals and instrumental (karaoke, a cappella): --instrumental, the same as --two-stems vocals."
_ELSEWHERE = {
    "-n --model --model-filename --model-name": "The model is the first argument: auralflow separate "
    "htdemucs song.mp3.",
    "--out --output --output-path --output-dir --outdir": "Use --save to choose the folder.",
    "--mp3 --flac --output-format --codec": "Use --format to choose the format, as in --format mp3.",
    "--mp3-bitrate --bit-rate": "Use --bitrate to set the bit rate in kbit/s, as in --bitrate 192.",
    "--float32 --int24": "Use --subtype to choose the sample format, as in --subtype FLOAT.",
    "--clip-mode": "Use --clip to choose what happens if a stem exceeds full scale.",
    "--segment --segment-size --chunk-size": "Use --chunk to set the length of a chunk in seconds.",
    "--niter": "Use --wiener to set the iterations of the Wiener filter.",
    "--stem --stems": "Use --targets to choose the stems, as in --targets vocals,drums.",
    "--gpu --cuda --use-gpu --no-cuda": "Use --device to choose a device, as in --device cuda; by default, a "
    "GPU is used if there is one.",
}


def hint(command: str, option: str) -> str:
    """Return what to type instead of an option of another separator, or an empty string.

    Args:
        command: The command that was called.
        option: The option as typed.

    Example:
        >>> hint("separate", "--karaoke")
        'For vocals and instrumental (karaoke, a cappella): --instrumental, the same as --two-stems vocals.'
        >>> hint("separate", "--segment=7")
        'Use --chunk to set the length of a chunk in seconds.'
        >>> hint("train", "--karaoke"), hint("separate", "--sing")
        ('', '')
    """
    if command != "separate":
        return ""
    option = option.partition("=")[0].replace("_", "-").lower()
    for names, advice in _ELSEWHERE.items():
        if option in names.split():
            return advice
    return _PAIR if _TWO_STEMS.search(option) else ""
