"""Writes the Python stubs of `protos/` beside the `.proto` files (or below a folder that is named).

And, for each protocol that an adapter of the server speaks, the descriptor set of its `.proto`, in
the same place.

Runs in an environment of its own, with the pinned `grpcio-tools`: see `requirements/protos.in`
and `make stubs`.
"""

import sys
from importlib.metadata import files
from importlib.resources import files as resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTOS = ROOT / "protos"
ADAPTERS = Path("digitserve/server/adapters")


def googleapis() -> Path:
    """The folder that holds `google/rpc/status.proto`."""
    for file in files("googleapis-common-protos") or ():
        if file.as_posix() == "google/rpc/status.proto":
            return Path(str(file.locate())).parents[2]
    raise SystemExit("googleapis-common-protos is not installed")


def arguments() -> list[str]:
    """What protoc has to be told whatever it is to make: where to look, and our files."""
    return [
        "protoc",
        f"-I{PROTOS}",
        f"-I{googleapis()}",
        f"-I{well_known()}",
        *sorted(str(path) for path in PROTOS.glob("digitserve/v1/*.proto")),
    ]


def well_known() -> str:
    """The folder that holds `google/protobuf/`."""
    return str(resources("grpc_tools") / "_proto")


def describe(out: Path) -> None:
    """Generates the descriptor set of each adapter's `.proto`, with all that it imports."""
    for proto in sorted((ROOT / "server" / ADAPTERS).glob("*/*.proto")):
        folder = out / ADAPTERS / proto.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        status = protoc.main(
            [
                "protoc",
                f"-I{proto.parent}",
                f"-I{well_known()}",
                "--include_imports",
                f"--descriptor_set_out={folder / proto.stem}.binpb",
                proto.name,
            ]
        )
        if status:
            raise SystemExit(status)


def main(out: Path | None = None) -> None:
    """Generates messages, their types, services and descriptor sets, into `out` or in place."""
    describe(out or ROOT / "server")
    out = out or PROTOS
    kinds = (f"--{kind}_out={out}" for kind in ("python", "pyi", "grpc_python"))
    if status := protoc.main([*arguments(), *kinds]):
        raise SystemExit(status)
    # `manifest.proto` has no service; an empty module for it would only be read.
    for stub in out.glob("digitserve/v1/*_pb2_grpc.py"):
        if "Servicer" not in stub.read_text(encoding="utf-8"):
            stub.unlink()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
