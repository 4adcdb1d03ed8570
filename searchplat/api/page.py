"""The report of a search as an object of a notebook."""

from __future__ import annotations

import html
from pathlib import Path

from searchplat import paths

_HEIGHT_PX = 800


class Page:
    """A report: one HTML page that needs no network.

    A notebook shows it in a frame that has neither the notebook's origin nor its cookies, and keeps all of it (about
    5 MB) with the notebook if that is saved.

    Args:
        name: The search's.
        content: The page.
    """

    def __init__(self, name: str, content: str) -> None:
        self.name = name
        self.html = content

    def save(self, path: Path | str) -> Path:
        """Write it to a file, whole or not at all; return the file's absolute path.

        Raises:
            InputError: If the place may not be written.
            TryAgainError: If the disk is full.
        """
        from searchplat.report.file import write

        place = paths.resolve(path, "path")
        write(place, self.html)
        return place

    def __repr__(self) -> str:
        return f"<report of {self.name}, {len(self.html):,} characters; save it with .save('report.html')>"

    def _repr_html_(self) -> str:
        """A frame that may run the page's own scripts, and nothing else."""
        return (
            f'<iframe title="report of {html.escape(self.name)}" sandbox="allow-scripts" '
            f'style="width: 100%; height: {_HEIGHT_PX}px; border: 0" srcdoc="{html.escape(self.html)}"></iframe>'
        )
