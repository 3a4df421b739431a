"""`make released`: from now on, what is at HEAD counts as released.

Its contract is what later ones must not break, and its wheel is what they must get on with.
"""

import json
import subprocess
import tomllib

from polyglot import EXAMPLES, ROOT, tools

tools.set_up()
version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
head = subprocess.run(
    ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
)
record = {"commit": head.stdout.strip(), "version": version}
folder = EXAMPLES / "conformance"
tools.buf("build", "protos", "--exclude-source-info", "-o", str(folder / "released.binpb"))
(folder / "released.json").write_text(json.dumps(record) + "\n", encoding="utf-8")
print(f"released: {version} at {record['commit']}")
