"""The sizes of batches that programs are compiled for: few, and a ragged batch is filled up to one of them."""

_MOST_FILLING = 8  # a batch so many times smaller than any before is worth a compilation of its own


class BatchSizes:
    """Rows to fill batches up to, by what they are for.

    Attributes:
        rounded: Whether batches are of ever new sizes: they are filled up to the next of 1, 2, 3, 4, 6, 8, 12, 16, ...,
            which are few sizes and at most half as much again.
    """

    def __init__(self) -> None:
        self.rounded = False
        self._known: dict[str, set[int]] = {}

    def rows(self, count: int, use: str) -> int:
        """Rows for a batch of so many: a size that was compiled for, where one is near enough."""
        if self.rounded:
            power = 1 << max(count - 1, 0).bit_length()
            return 3 * power // 4 if count <= 3 * power // 4 and power >= 4 else power
        known = self._known.setdefault(use, set())
        rows = min((size for size in known if count <= size <= _MOST_FILLING * count), default=count)
        known.add(rows)
        return rows
