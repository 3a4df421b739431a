"""Versions for people, with Rich: a table, or everything of one."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from digitserve.client.cli.versions import COLUMNS, NUMBERS, refusals, row
from digitserve.client.types import ModelVersion

_STYLES = {"ready": "green", "refused": "red", "loading": "yellow", "unloading": "yellow"}


def show_table(versions: Sequence[ModelVersion]) -> None:
    """Prints a line for each version, and below them why some were refused."""
    console = Console(highlight=False)
    table = Table(box=None, header_style="bold", pad_edge=False, collapse_padding=True)
    for name in COLUMNS:
        # In a narrow terminal headers break between words, what is below them wherever it must.
        table.add_column(
            name,
            justify="right" if name in NUMBERS else "left",
            min_width=max(map(len, name.split())),
            overflow="fold",
        )
    for version in versions:
        table.add_row(*(Text(text, _STYLES.get(text, "")) for text in row(version)))
    console.print(table)
    for line in refusals(versions):
        console.print(Text(line, "red"))


def show_facts(facts: Mapping[str, str]) -> None:
    """Prints names and what there is to say, side by side."""
    table = Table.grid(padding=(0, 2))
    for name, fact in facts.items():
        table.add_row(Text(name, "bold"), Text(fact, _STYLES.get(fact, "")))
    Console(highlight=False).print(table)
