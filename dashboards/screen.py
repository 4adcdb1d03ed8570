"""Draws a search's last screen as SVG, as the terminal shows it: for a README, a slide, a notebook.

python dashboards/screen.py darec-quick screen.svg
"""

from __future__ import annotations

import html
import io
import re
import sys
from pathlib import Path

from rich.console import Console

from searchplat.ledger.folder import SearchFolder, runs_root
from searchplat.views.snapshot import take, wall_seconds
from searchplat.views.summary import summary

WIDTH = 92


def draw(name: str, root: Path) -> str:
    """SVG text of the last screen of the search `name` in `root`."""
    folder = SearchFolder(root, name)
    console = Console(file=io.StringIO(), record=True, width=WIDTH, markup=False, highlight=False, force_terminal=True)
    with folder.read() as ledger:
        screen = summary(
            take(name, folder.path, ledger),
            wall_seconds=wall_seconds(ledger),
            tracking_uri="sqlite:///mlflow.db",
        )
        console.print(screen)
    # Where the search lay on this machine is nobody's business; the line is then shorter than its stated length.
    here = re.escape(html.escape(f"{Path.cwd()}/"))
    return re.sub(rf' textLength="[^"]*"([^>]*>){here}', r"\1", console.export_svg(title=f"searchplat search: {name}"))


def main() -> None:
    """Write the picture."""
    if len(sys.argv) != 3:
        raise SystemExit("usage: python dashboards/screen.py SEARCH OUT.svg")
    Path(sys.argv[2]).write_text(draw(sys.argv[1], runs_root()), encoding="utf-8")


if __name__ == "__main__":
    main()
