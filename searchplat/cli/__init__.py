"""The command line: one file per command, thin; `app` ties them together and turns errors into exit codes.

Nothing heavy is imported before a command runs, so that `searchplat --help` answers at once. Everything that
comes from files and trials is printed through `text.visible`.
"""

from __future__ import annotations


def main() -> None:
    """Run the command line; the console script `searchplat`."""
    from searchplat.cli.app import entry

    entry()
