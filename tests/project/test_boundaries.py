"""What may know what, and how the four import roots stay one namespace."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = {
    "v1": ROOT / "protos/digitserve/v1",
    "client": ROOT / "client/digitserve/client",
    "server": ROOT / "server/digitserve/server",
    "trainer": ROOT / "trainer/digitserve/trainer",
}
MUST_NOT_KNOW = {
    "v1": {"digitserve.client", "digitserve.server", "digitserve.trainer", "numpy", "tensorflow"},
    "client": {"digitserve.server", "digitserve.trainer", "tensorflow", "keras", "ai_edge_litert"},
    "server": {"digitserve.client", "digitserve.trainer"},
    "trainer": {"digitserve.client", "digitserve.server"},
}


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def knows(path: Path, module: str) -> bool:
    """Whether a file imports a module or anything in it."""
    return any(f"{name}.".startswith(f"{module}.") for name in imports(path))


@pytest.mark.parametrize("part", PARTS)
def test_no_part_knows_what_it_must_not(part: str) -> None:
    """Trainer and server meet on disk only; the client needs neither."""
    for path in PARTS[part].rglob("*.py"):
        for module in MUST_NOT_KNOW[part]:
            assert not knows(path, module), f"{path.relative_to(ROOT)} imports {module}"


def test_only_one_module_of_the_server_knows_tensorflow() -> None:
    """The engine that runs on it."""
    users = {
        path.relative_to(PARTS["server"]).as_posix()
        for path in PARTS["server"].rglob("*.py")
        if knows(path, "tensorflow") or knows(path, "keras")
    }
    assert users == {"engines/tensorflow.py"}


def test_services_do_not_know_their_transport() -> None:
    """Nor does engine, codec or adapter, nor whoever gives turns, guards or watches."""
    server = PARTS["server"]
    folders = ("services", "engines", "guard", "observe", "adapters", "adapters/*")
    innocent = [path for folder in folders for path in server.glob(f"{folder}/*.py")]
    for path in (*innocent, server / "codec.py", server / "turns.py"):
        assert not knows(path, "grpc"), path.name
        assert not knows(path, "digitserve.server.transport"), path.name


@pytest.mark.parametrize("part", PARTS)
def test_each_root_is_a_namespace_and_each_part_is_typed(part: str) -> None:
    """A `digitserve/__init__.py` in one root would hide the other three."""
    assert not (PARTS[part].parent / "__init__.py").exists()
    assert (PARTS[part] / "py.typed").exists()


def test_the_client_imports_no_more_than_the_base_install() -> None:
    """Neither NumPy nor Rich nor Pillow nor a web server, by being imported."""
    heavy = ("numpy", "rich", "PIL", "cv2", "tensorflow", "ai_edge_litert", "starlette", "uvicorn")
    code = (
        "import sys, digitserve.client, digitserve.client.cli\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
