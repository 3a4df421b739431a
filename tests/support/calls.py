"""Calls without a transport."""


class Nobody:
    """Calls, and says nothing of himself."""

    def peer(self) -> str:
        return "nobody"

    def metadata(self, _: str) -> str:
        return ""

    def certificate(self) -> str:
        return ""

    def deadline(self) -> float | None:
        return None
