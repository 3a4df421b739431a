"""What `make prove-playground` is made of: Chromium, driven by Playwright, on a real playground."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Where screenshots are written, all of them; DOCS has those that the documentation shows.
OUT = ROOT / "out" / "playground"
DOCS = ROOT / "docs" / "pictures"
SAMPLES = ROOT / "samples"
CI = os.environ.get("CI") == "true"
