"""What is closed when its `with` block ends, for threads and for asyncio."""

from abc import ABC, abstractmethod
from typing import Self


class Closing(ABC):
    """Closed by `close`, or at the end of a `with` block."""

    @abstractmethod
    def close(self) -> None:
        """Lets go of everything."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncClosing(ABC):
    """Closed by `close`, or at the end of an `async with` block."""

    @abstractmethod
    async def close(self) -> None:
        """Lets go of everything."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
