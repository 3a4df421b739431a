"""Writes what the adapters' protocols are, from `protos/neighbours/`, beside each adapter.

Runs where `generate_stubs.py` does, by `make stubs`; a folder that is named gets them instead.
"""

import sys
from importlib.resources import files as resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
NEIGHBOURS = ROOT / "protos/neighbours"
ADAPTERS = ROOT / "server/digitserve/server/adapters"


def main(out: Path = ADAPTERS) -> None:
    """Writes `PROTOCOL/descriptors.binpb` for each `PROTOCOL.proto`."""
    for proto in sorted(NEIGHBOURS.glob("*.proto")):
        folder = out / proto.stem
        folder.mkdir(parents=True, exist_ok=True)
        status = protoc.main(
            [
                "protoc",
                f"-I{NEIGHBOURS}",
                f"-I{resources('grpc_tools') / '_proto'}",
                "--include_imports",
                f"--descriptor_set_out={folder / 'descriptors.binpb'}",
                str(proto),
            ]
        )
        if status:
            raise SystemExit(status)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
