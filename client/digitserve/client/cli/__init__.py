"""The command `digitserve`: works in the base install, nicer with the extra `cli`."""

from digitserve.client.cli.bench import bench
from digitserve.client.cli.commands import digitserve as main
from digitserve.client.cli.models import models
from digitserve.client.cli.playground import playground

__all__ = ["main"]

main.add_command(bench)
main.add_command(models)
main.add_command(playground)
