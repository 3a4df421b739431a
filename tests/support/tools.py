"""Programs that are not Python's, which some tests run."""

import os
import shutil

import pytest


def found_tool(name: str, of: str) -> str:
    """The program's path; without it the test is skipped, but not in CI.

    Args:
        name: what it is called.
        of: what to install to have it.
    """
    if (found := shutil.which(name)) is not None:
        return found
    missing = f"{name} is not here ({of})"
    if os.environ.get("CI") == "true":
        pytest.fail(missing)
    pytest.skip(missing)
