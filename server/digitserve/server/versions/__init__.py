"""Model versions: what is on disk, what is loaded, which of them answers."""
