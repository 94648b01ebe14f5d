"""Tables that a command puts in their place in a page."""

from pathlib import Path

_END = "<!-- end of table -->"


def put(path: Path, command: str, table: str) -> None:
    """Puts a table in its place in a file, which it becomes where there is none; the text around it stays.

    Args:
        path: The page.
        command: The module that makes the table; the page names it where the table begins.
        table: Its lines.
    """
    begin = f"<!-- table: {command} -->"
    text = path.read_text() if path.exists() else f"{begin}\n{_END}\n"
    if begin not in text or _END not in text.partition(begin)[2]:
        text = f"{text.rstrip()}\n\n{begin}\n{_END}\n"
    before, _, rest = text.partition(begin)
    after = rest.partition(_END)[2]
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(f"{before}{begin}\n\n{table}\n\n{_END}{after}")
    unfinished.replace(path)
