"""What is said of a wrong command line: one line, on stderr, and exit code 2."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import click

from digitserve.server.sources import nearest

EXIT_USAGE = 2


class Refused(click.ClickException):
    """A wrong use of the command."""

    exit_code = EXIT_USAGE

    def show(self, file: Any = None) -> None:
        """Says so in one line; Click would add how the command is used."""
        click.echo(f"digitserve-server: {self.format_message()}", file=file, err=True)


class OneLineGroup(click.Group):
    """A group whose usage errors, and those of its commands, take one line.

    Its commands are read when somebody asks for one.
    """

    def __init__(self, *args: Any, elsewhere: Mapping[str, str], **extra: Any) -> None:
        """Has the commands `elsewhere` by name, each with the module that has one of that name."""
        super().__init__(*args, **extra)
        self._elsewhere = elsewhere

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return sorted([*super().list_commands(ctx), *self._elsewhere])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Reads a command."""
        if cmd_name not in self._elsewhere:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(self._elsewhere[cmd_name]), cmd_name)
        return command

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Reads the flags before the command's name."""
        with _one_line():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Finds the command, reads its flags, and runs it."""
        with _one_line():
            return super().invoke(ctx)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Finds the command."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            raise Refused(f"{name}: no such command{nearest(name, known)}")
        return super().resolve_command(ctx, args)


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except click.NoSuchOption as error:
        known = [] if error.ctx is None else _flags(error.ctx.command)
        name = error.option_name
        raise Refused(f"{name}: no such flag{nearest(name, known)}") from error
    except click.UsageError as error:
        told = error.format_message()
        if "\n" in told:  # a group without a command: its help
            raise
        raise Refused(told) from error


def _flags(command: click.Command) -> list[str]:
    return [name for each in command.params for name in (*each.opts, *each.secondary_opts)]
