"""Writes the tables of docs/pretrained.md from the cards of the pretrained models, between markers.

Run ``make readme``, or ``python docs/pretrained_tables.py --check`` to only compare.
"""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from auralflow.models import DataPart, ModelCard, ScoreTable, installed_registry

ROOT = Path(__file__).parent.parent
NOTHING = "There are no pretrained models in this version."


def decibels(value: float | None) -> str:
    """A level, rounded to a tenth of a decibel."""
    return "" if value is None else f"{value:+.1f}"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """A Markdown table whose first ``left`` columns contain text, and the others numbers."""
    lines = [head, ["---"] * left + ["--:"] * (len(head) - left), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def on_test_songs(card: ModelCard) -> ScoreTable | None:
    """The scores on test songs."""
    return next((table for table in card.scores if table.subset == "test"), None)


def all_targets(cards: Sequence[ModelCard]) -> list[str]:
    """Every target that any of the models has."""
    return list(dict.fromkeys(target for card in cards for target in card.targets))


def summary(cards: Sequence[ModelCard]) -> str:
    """One row per model: its size, and its mean scores."""
    if not cards:
        return NOTHING
    targets = all_targets(cards)
    tables = [table for card in cards if (table := on_test_songs(card))]
    rows, peers = [], []
    for card in cards:
        table = on_test_songs(card)
        size = [f"{card.parameters / 1e6:.1f} million", f"{card.size / 1e6:.1f} MB"]
        rows.append([f"`{card.name}`", *size, *scores(table, "mean", "si_sdr_improvement", targets)])
        peers.append([f"`{card.name}`", *scores(table, "median", "museval_sdr", targets)])
    if not tables:
        return markdown(["model", "parameters", "weights", *targets], rows)
    first = tables[0]
    rows.append(["ideal ratio mask (an oracle)", "", "", *scores(first, "mean", "ceiling", targets)])
    peers.insert(0, ["mixture (the floor)", *scores(first, "median", "museval_floor", targets)])
    peers.append(["ideal ratio mask (an oracle)", *scores(first, "median", "museval_ceiling", targets)])
    count = sum(not track.known_artist for track in first.tracks)
    commands = "\n".join(table.command for table in tables)
    improvement = (
        f"SI-SDR of the estimate minus that of the mixture, mean over the {count} test songs by artists that "
        "no model was trained on. The ideal ratio mask is the ceiling for masks of this kind."
    )
    published = (
        "The unit of most published results, SDR of museval 4: median over 1-s frames, then over the same "
        "songs. Results on MUSDB18 are for other songs, so compare them with floor and oracle in mind. "
        "Where the processor makes bfloat16 the faster precision, scores may differ by 0.1 dB. "
        f"Measured with:\n\n```\n{commands}\n```"
    )
    first_table = markdown(["SI-SDR improvement, dB", "parameters", "weights", *targets], rows)
    second_table = markdown(["SDR of museval, dB", *targets], peers)
    return "\n\n".join([first_table, improvement, second_table, published])


def scores(
    table: ScoreTable | None, statistic: Literal["mean", "median"], value: Any, targets: Sequence[str]
) -> list[str]:
    """One score per target over the songs by artists that were not trained on."""
    if table is None:
        return [""] * len(targets)
    average = getattr(table, statistic)
    return [decibels(average(target, known_artist=False, value=value)) for target in targets]


def data(cards: Sequence[ModelCard]) -> str:
    """How long each model was trained, its weaknesses, and the training data.

    Models of one recipe share their training data, which is then listed once.
    """
    if not cards:
        return NOTHING
    parts = []
    for card in cards:
        training = card.training
        start = f", starting from the weights of {training.start}" if training.start else ""
        about = (
            f"Trained on {training.chunks:,} chunks in {training.hours:.1f} hours on {training.machine}, "
            f"seed {training.seed}{start}. Licence of the weights: {card.licence}."
        )
        parts += [f"### {card.name}", about]
        if card.weaknesses:
            parts.append("\n".join(f"- {text}" for text in card.weaknesses))
    for material in dict.fromkeys(card.data for card in cards):
        names = [f"`{card.name}`" for card in cards if card.data == material]
        parts += [f"### Training data of {', '.join(names)}", material_table(material)]
    return "\n\n".join(parts)


def material_table(material: Sequence[DataPart]) -> str:
    """A table of training data, with licence and credit."""
    rows = []
    for part in material:
        linked = part.source.startswith("https://")
        name = f"[{part.name}]({part.source})" if linked else part.name
        rows.append([name, part.licence, part.credit, f"{part.minutes:.0f}" if part.minutes else ""])
    return markdown(["material", "licence", "credit", "minutes"], rows, left=3)


BLOCKS = {"docs/pretrained.md": {"summary": summary, "data": data}}


def filled(text: str, page: str, cards: Sequence[ModelCard]) -> str:
    """A page with each block regenerated.

    Raises:
        ValueError: If the page lacks the markers of a block.
    """
    for name, write in BLOCKS[page].items():
        pattern = re.compile(f"(<!-- pretrained: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"{page} has no markers for the {name} of the pretrained models")
        body = write(cards)
        text = pattern.sub(lambda found, body=body: f"{found[1]}\n{body}\n\n{found[2]}", text)
    return text


def main() -> int:
    """Write the pages, or with ``--check`` only report whether they are up to date."""
    cards = installed_registry().cards()
    stale = False
    for page in BLOCKS:
        path = ROOT / page
        text = path.read_text(encoding="utf-8")
        wanted = filled(text, page, cards)
        stale |= text != wanted
        if "--check" not in sys.argv[1:]:
            path.write_text(wanted, encoding="utf-8")
    return int(stale and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
