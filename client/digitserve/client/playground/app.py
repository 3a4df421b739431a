"""What is where: the page, its WebSocket, and where files are dropped."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket, WebSocketDisconnect

from digitserve.client import AsyncDigitClient
from digitserve.client.playground import seeing
from digitserve.client.playground.bridge import Bridge
from digitserve.client.playground.guarding import Guarded
from digitserve.client.playground.upload import Uploads
from digitserve.client.playground.watch import Watch

_STATIC = Path(__file__).parent / "static"
# Pages at once; each has a stream of its own.
MAX_PAGES = 16
_FINDERS = 2
_TRY_AGAIN_LATER = 1013


def make_app(connect: Callable[[], AsyncDigitClient], address: str, name: str) -> ASGIApp:
    """Makes the playground of one server.

    Args:
        connect: makes the client, inside the event loop.
        address: of the server, to be shown.
        name: the host that the playground listens on.
    """
    playground = _Playground(connect, address)
    routes = [
        WebSocketRoute("/stream", playground.stream),
        Route("/upload", playground.uploads, methods=["POST"]),
        Mount("/", StaticFiles(directory=_STATIC, html=True)),
    ]
    return Guarded(Starlette(routes=routes, lifespan=playground.lifespan), name)


class _Playground:
    def __init__(self, connect: Callable[[], AsyncDigitClient], address: str) -> None:
        self._connect = connect
        self._address = address
        self._pages = 0
        self.uploads = Uploads()

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Everything that lives as long as the process."""
        with ThreadPoolExecutor(_FINDERS, "finder") as self._finder:
            async with self._connect() as self._client:
                self.uploads.client = self._client
                self._watch = Watch(self._client, self._address)
                watching = asyncio.create_task(self._watch.run())
                try:
                    yield
                finally:
                    watching.cancel()
                    await asyncio.wait([watching])

    async def stream(self, socket: WebSocket) -> None:
        """Bridges one page to the server."""
        await socket.accept()
        if self._pages >= MAX_PAGES:
            with suppress(WebSocketDisconnect):
                await socket.close(_TRY_AGAIN_LATER, f"{MAX_PAGES} pages are open already")
            return
        self._pages += 1
        try:
            bridge = Bridge(socket, self._client, self._watch, self._finder)
            await bridge.run(server=self._address, camera_missing=seeing.camera_missing())
        finally:
            self._pages -= 1
