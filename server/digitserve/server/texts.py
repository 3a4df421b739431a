"""What a caller named, as far as an error repeats it.

The end of a call travels in trailers: percent-encoded, in its message and again in its details.
Clients take 8 kB of those, and a compressed request may hold a thousand times its own length.
"""

# Bytes that are repeated of a name, where nothing else is said.
_MOST = 256


def abridged(text: str, most: int = _MOST) -> str:
    """A text; of one that has more bytes than `most`, so many and three dots."""
    beginning = text[:most].encode(errors="replace")
    if len(text) <= most and len(beginning) <= most:
        return text
    return beginning[:most].decode(errors="ignore") + "..."
