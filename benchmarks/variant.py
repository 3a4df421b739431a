"""A server with other settings than its command has flags for: `python -m benchmarks.variant JSON`.

JSON: fields of `Config`, and `"loop": "asyncio"` to do without uvloop.
"""

import asyncio
import json
import sys
from pathlib import Path

from benchmarks.subjects import MODEL
from digitserve.server.app import Server
from digitserve.server.config import Config
from digitserve.server.loops import loop_factory

_PATHS = {"tls_cert", "tls_key", "tokens"}


async def serve(settings: dict[str, object]) -> None:
    """Serves until it is killed."""
    paths = {name: Path(str(settings[name])) for name in _PATHS & set(settings)}
    config = Config(addresses=("127.0.0.1:0",), models=MODEL.parent, **settings | paths)  # type: ignore[arg-type]
    server = Server(config)
    (address,) = await server.start()
    print(f"serving on {address}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    factory = None if given.pop("loop", "uvloop") == "asyncio" else loop_factory()
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(serve(given))
