"""
What comes out: a table that can be read, and numbers that can be kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

import attrs


@attrs.frozen
class Section:
    """
    One part of the table.

    @ivar title: what was measured.
    @ivar columns: the heads of all columns but the first.
    @ivar rows: the first word is what the row is about.
    @ivar notes: what one has to know to read it.
    @ivar raw: the numbers behind it, for JSON.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    raw: Any
    notes: Sequence[str] = ()

    def lines(self) -> list[str]:
        """
        @return: it as text.
        """
        cells = [[self.title, *self.columns], *self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        rule = "-" * max(sum(widths) + 2 * len(self.columns), len(self.title))
        text = []
        for row in cells:
            first, *others = (
                word.ljust(width) if not number else word.rjust(width)
                for number, (word, width) in enumerate(zip(row, widths, strict=True))
            )
            text.append("  ".join([first, *others]).rstrip())
        return [text[0], rule, *text[1:], *(f"({note})" for note in self.notes)]


def spread(values: Sequence[float], form: str) -> str:
    """
    @param form: of one value, as for C{format}.
    @return: the median, and from where to where the values go.
    """
    low, middle, high = (
        format(value, form) for value in (min(values), median(values), max(values))
    )
    return f"{middle} [{low}-{high}]"


def bytesText(size: float) -> str:
    """
    @return: a size of a body.
    """
    for unit, factor in (("MB", 10**6), ("KB", 10**3)):
        if size >= factor:
            return f"{size / factor:g} {unit}"
    return f"{size:g} B"
