"""What `make prove-polyglot` and `make bench-polyglot` are made of."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "polyglot"
EXAMPLES = ROOT / "examples"
CI = os.environ.get("CI") == "true"
