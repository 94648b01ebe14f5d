"""The links of a built site that lead nowhere."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag


class _Page(HTMLParser):
    """What a page links to, and the places in it that may be linked to."""

    def __init__(self, text: str):
        super().__init__()
        self.links: list[str] = []
        self.places = {"", "__skip"}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.append(value)
            elif name in ("id", "name") and value:
                self.places.add(value)


def dead_links(site: Path) -> Iterator[str]:
    """Each link to a file or a place of the site that is not there; links to other hosts are not followed."""
    pages = {path.resolve(): _Page(path.read_text()) for path in site.rglob("*.html")}
    for path, page in pages.items():
        if path.name == "404.html":  # its links start at the root of a host
            continue
        for link in page.links:
            address, place = urldefrag(link)
            if ":" in address.split("/")[0] or address.startswith("//"):
                continue
            target = (path.parent / unquote(address)).resolve() if address else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file() or (target in pages and unquote(place) not in pages[target].places):
                yield f"{path.relative_to(site.resolve())}: {link}"
