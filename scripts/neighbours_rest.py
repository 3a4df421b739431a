"""The REST calls, held to their OpenAPI document by schemathesis."""

import re
import subprocess

from neighbours.environment import interpreter
from proving import Shortfall, expect
from support.command import server_command
from support.scrape import unused_address

# Of a schema that cannot say that tensors and their shapes agree, not that all valid is accepted.
_CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
)
_GENERATED = re.compile(r"Test cases:\s+(\d+) generated")
_PATIENCE_S = 600


def schemathesis(short: bool) -> str:
    """Requests made from the document, and bent ones: no server error, and answers as described."""
    python = interpreter("schemathesis")
    http = unused_address()
    examples = 100 if short else 2000
    with server_command("--http", http):
        done = subprocess.run(
            [
                str(python.parent / "schemathesis"),
                "run",
                f"http://{http}/openapi.json",
                "--checks",
                ",".join(_CHECKS),
                "--max-examples",
                str(examples),
                "--seed",
                "1",
                "--no-color",
            ],
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
    generated = _GENERATED.search(done.stdout)
    if generated is None:
        raise Shortfall((done.stdout + done.stderr).strip()[-800:])
    return expect(
        not done.returncode,
        f"{generated[1]} requests, seed 1, {len(_CHECKS)} checks of each answer: "
        + ("nothing found" if not done.returncode else done.stdout.strip()[-1200:]),
    )
