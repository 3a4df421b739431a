"""A measurement for people, with Rich: a table of percentiles, a bar for each range of latency."""

from typing import Any

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from digitserve.client.cli.measured import QUANTILES, bars, footing, heading, times


def show_tables(told: dict[str, Any]) -> None:
    """Prints a `load.report` on standard output."""
    console = Console(highlight=False)
    for line in heading(told):
        console.print(Text(line, "red" if line.startswith("failed") else ""))
    table = Table("ms", box=None, header_style="bold")
    for name in QUANTILES:
        table.add_column(name, justify="right")
    for name, row in times(told):
        table.add_row(name, *row)
    console.print(table)
    drawn = bars(told)
    most = max((bar.calls for bar in drawn), default=0)
    rows = Table.grid(padding=(0, 1))
    for bar in drawn:
        edges = f"{bar.low:.2f}", "to", f"{bar.high:.2f} ms"
        rows.add_row(*edges, Bar(most, 0, bar.calls, width=40, color="blue"), str(bar.calls))
    console.print(rows)
    for line in footing(told):
        console.print(Text(line, "dim" if line.startswith("client") else "yellow"))
