"""What is installed only where it was asked for."""


class MissingExtra(Exception):
    """What was asked for needs a package that is not installed; says which extra has it."""
