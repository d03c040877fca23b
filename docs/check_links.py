"""Checks the built documentation offline: internal links resolve, and nothing is loaded from the network.

``python docs/check_links.py docs/_build`` prints what is wrong and exits with 1.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The anchors of a page, its links, and the resources that it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Record the anchors, links and resources of an element."""
        values = {name: value for name, value in attributes if value}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in ("img", "script", "iframe") and "src" in values:
            self.loaded.append(values["src"])
        if tag == "link" and values.get("rel") in ("stylesheet", "icon") and "href" in values:
            self.loaded.append(values["href"])


def complaints(folder: Path) -> list[str]:
    """The faults in the pages of a folder, one line each."""
    pages = {path.resolve(): Page(path) for path in sorted(folder.rglob("*.html"))}
    found = [] if pages else [f"no page in {folder}"]
    for path, page in pages.items():
        where = path.relative_to(folder.resolve())
        foreign = (target for target in page.loaded if urlsplit(target).netloc)
        found.extend(f"{where} loads {target} from the network" for target in foreign)
        for target in page.links + page.loaded:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not goal.is_file():
                found.append(f"{where} leads to {target}, which does not exist")
            elif parts.fragment and goal in pages and unquote(parts.fragment) not in pages[goal].anchors:
                found.append(f"{where} leads to {target}, which is not on that page")
    return found


def main() -> int:
    """Print the faults in the given folder."""
    found = complaints(Path(sys.argv[1]))
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
