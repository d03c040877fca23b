"""What other separators call their options, and what does it here."""

import re

__all__ = ["hint"]

_TWO_STEMS = re.compile(
    "karaoke|instrumental|cap+ella|accompaniment|backing|minus-one|no-?vocals|only-vocals|vocals-only|(two|2)-?stem"
)
_PAIR = "For vocals and instrumental (karaoke, a cappella): --instrumental, the same as --two-stems vocals."
_ELSEWHERE = {
    "-n --model --model-filename --model-name": "The model is the first word: auralflow separate htdemucs "
    "song.mp3.",
    "--out --output --output-path --output-dir --outdir": "--save chooses the folder.",
    "--mp3 --flac --output-format --codec": "--format chooses the format, as in --format mp3.",
    "--mp3-bitrate --bit-rate": "--bitrate sets the kilobits per second, as in --bitrate 192.",
    "--float32 --int24": "--subtype chooses the depth, as in --subtype FLOAT.",
    "--clip-mode": "--clip says what happens when a stem exceeds full scale.",
    "--segment --segment-size --chunk-size": "--chunk chooses the seconds that the net sees at once.",
    "--niter": "--wiener chooses the iterations of the Wiener filter.",
    "--stem --stems": "--targets chooses the stems, as in --targets vocals,drums.",
    "--gpu --cuda --use-gpu --no-cuda": "--device chooses, as in --device cuda; a GPU that is there is "
    "used anyway.",
}


def hint(command: str, option: str) -> str:
    """Return what to type in place of an option of another separator, or an empty string.

    Args:
        command: The command that was called.
        option: The option as it was typed.

    Example:
        >>> hint("separate", "--karaoke")
        'For vocals and instrumental (karaoke, a cappella): --instrumental, the same as --two-stems vocals.'
        >>> hint("separate", "--segment=7")
        '--chunk chooses the seconds that the net sees at once.'
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
