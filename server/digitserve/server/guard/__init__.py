"""Who may do what: credentials, scopes and limits; and TLS.

    call ──▶ credential ──▶ identity ──▶ scope ──▶ parse ──▶ handler ──▶ rate
             `credentials`               `scopes`            (a service) `limits`

Knows what a call is, and neither a transport nor a digit.  Without a guard nothing of it is there.
"""


class GuardError(Exception):
    """The guard cannot be set up: one of its files cannot be read, or is wrong; says which."""


class FileUnread(GuardError):
    """The system did not let us read a file, as it may at another time."""
