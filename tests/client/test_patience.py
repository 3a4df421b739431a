"""Whether what broke is carried on, and how soon: the rules, without a wire."""

import grpc

from digitserve.client import InvalidArgument, Unavailable
from digitserve.client._patience import Patience

SILENT = Unavailable(grpc.StatusCode.UNAVAILABLE, "nobody there")
DRAINING = Unavailable(grpc.StatusCode.UNAVAILABLE, "draining", retry_after=1.0)


def test_each_server_is_asked_once_when_nobody_is_there() -> None:
    """As by a unary call."""
    patience = Patience(30, servers=2)
    assert patience.pause(SILENT) is not None
    assert patience.pause(SILENT) is None


def test_servers_that_are_draining_are_asked_again() -> None:
    """A rolling restart can refuse it at one server after the other: that is no reason to fail."""
    patience = Patience(30, servers=2)
    assert all(patience.pause(DRAINING) is not None for _ in range(7))


def test_what_is_wrong_is_not_repeated() -> None:
    """The next server would say the same."""
    wrong = InvalidArgument(grpc.StatusCode.INVALID_ARGUMENT, "max_in_flight")
    assert Patience(30, servers=2).pause(wrong) is None


def test_what_was_answered_once_is_carried_on_until_patience_ends() -> None:
    """So many seconds of pauses; every answer begins them anew."""
    patience = Patience(5, servers=1)
    patience.rested()
    pauses = []
    while (pause := patience.pause(SILENT)) is not None:
        pauses.append(pause)
    assert 5 <= sum(pauses) <= 5 + 2
    patience.rested()
    assert patience.pause(None) is not None


def test_what_took_its_leave_is_waited_for() -> None:
    """A server that ended a stream well was there, though it never answered."""
    patience = Patience(30, servers=1)
    assert patience.pause(None) is not None
    assert patience.pause(SILENT) is not None


def test_another_server_is_asked_at_once_and_a_lone_one_when_it_says() -> None:
    """The time to come back that a server names is about that server."""
    pause = Patience(30, servers=2).pause(DRAINING)
    assert pause is not None
    assert pause <= 0.1
    assert Patience(30, servers=1).pause(DRAINING) == 1.0
