"""Limits that several workers count together, in one table."""

import itertools
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server.errors import RateExceeded, StreamsExceeded
from digitserve.server.guard.identity import Identity, Kind, Limits
from digitserve.server.guard.limits import Bucket
from digitserve.server.guard.scopes import Scope
from digitserve.server.workers import shared
from digitserve.server.workers.shared import SharedAccounts, Table
from support.guarded import Clock

_NAMES = map(str, itertools.count())


def identity(name: str, **limits: Any) -> Identity:
    """Somebody."""
    return Identity(Kind.JWT, name, name, frozenset({Scope.PREDICT}), Limits(**limits))


@pytest.fixture(scope="module", name="table")
def _table() -> Table:
    """A table for all tests: each has identities of its own."""
    return Table.made()


@given(
    rate=st.floats(0.1, 1e4),
    burst=st.integers(1, 1000),
    asked=st.lists(
        st.tuples(st.integers(0, 2), st.integers(1, 1024), st.floats(0, 10)), max_size=50
    ),
)
def test_three_workers_are_as_one_bucket(
    table: Table, rate: float, burst: int, asked: list[tuple[int, int, float]]
) -> None:
    """Whichever of them is asked: the same is given, and the same wait is told."""
    clock = Clock(0.0)
    bucket = Bucket(rate, burst, clock)
    workers = [SharedAccounts(table.descriptor, at, clock) for at in range(3)]
    somebody = identity(next(_NAMES), images_per_second=rate, burst=burst)
    for at, images, pause in asked:
        clock.now += pause
        wait_s = 0.0
        try:
            workers[at].of(somebody).charge(images)
        except RateExceeded as error:
            wait_s = error.retry_after_s
        assert wait_s == bucket.take(images)


def test_a_dead_worker_gives_its_streams_back(table: Table) -> None:
    """And nobody else's."""
    one, other = (SharedAccounts(table.descriptor, at) for at in range(2))
    somebody = identity(next(_NAMES), streams=3)
    for worker in (one, one, other):
        worker.of(somebody).open_stream()
    with pytest.raises(StreamsExceeded):
        other.of(somebody).open_stream()
    table.forget(0)
    for _ in range(2):
        other.of(somebody).open_stream()
    with pytest.raises(StreamsExceeded):
        other.of(somebody).open_stream()


def test_who_has_no_limits_costs_no_lock(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    """His images are not counted."""
    account = SharedAccounts(table.descriptor, 0).of(identity(next(_NAMES)))
    monkeypatch.delattr(shared, "fcntl")
    account.charge(1_000_000)


def test_new_limits_hold_at_once(table: Table) -> None:
    """With a full bucket."""
    clock, name = Clock(0.0), next(_NAMES)
    accounts = SharedAccounts(table.descriptor, 0, clock)
    for burst in (1, 5):
        account = accounts.of(identity(name, images_per_second=1, burst=burst))
        account.charge(burst)
        with pytest.raises(RateExceeded):
            account.charge(1)


def test_a_full_table_lets_go_of_who_is_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not, is remembered; who finds no room is counted by his worker alone."""
    monkeypatch.setattr(shared, "_SETS", 1)
    clock = Clock(0.0)
    accounts = SharedAccounts(Table.made().descriptor, 0, clock)
    busy = [identity(next(_NAMES), images_per_second=1, burst=9) for _ in range(shared._WAYS)]
    for each in busy:
        accounts.of(each).charge(9)
    late = identity(next(_NAMES), images_per_second=1, burst=2, streams=1)
    accounts.of(late).charge(2)
    accounts.of(late).open_stream()
    with pytest.raises(RateExceeded):
        accounts.of(late).charge(1)
    with pytest.raises(StreamsExceeded):
        accounts.of(late).open_stream()
    for each in busy:
        with pytest.raises(RateExceeded):
            accounts.of(each).charge(1)
    accounts.of(late).close_stream()
    clock.now += 10
    accounts.of(late).open_stream()
    assert late.id not in {each.id for each in busy}


def test_workers_take_turns_at_a_record(table: Table) -> None:
    """Processes that charge at the same time: not one image too many, and none lost."""
    code = (
        "import sys\n"
        "from digitserve.server.errors import RateExceeded\n"
        "from digitserve.server.workers.shared import SharedAccounts\n"
        "from digitserve.server.guard.identity import Identity, Kind, Limits\n"
        "several = Identity(Kind.JWT, 'several', '', frozenset(), Limits(1e-6, 2000))\n"
        "account = SharedAccounts(int(sys.argv[1]), int(sys.argv[2])).of(several)\n"
        "given = 0\n"
        "for _ in range(1500):\n"
        "    try:\n"
        "        account.charge(1)\n"
        "        given += 1\n"
        "    except RateExceeded:\n"
        "        pass\n"
        "print(given)\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(table.descriptor), str(at)],
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[table.descriptor],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )
        for at in range(3)
    ]
    assert sum(int(each.communicate()[0]) for each in running) == 2000
