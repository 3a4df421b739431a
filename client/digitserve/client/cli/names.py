"""A file's name as a frame's: what the contract can carry of it."""

_MAX_BYTES = 256


def frame_id(name: str) -> str:
    """The end of a name, in at most 256 bytes of UTF-8; what is not UTF-8 in it is replaced."""
    return name.encode("utf-8", "replace")[-_MAX_BYTES:].decode("utf-8", "ignore")
