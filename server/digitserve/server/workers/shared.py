"""What callers have asked for, counted over all workers, exactly: one small table in shared memory.

    identity ─▶ hash ─▶ one of 512 sets ─▶ one of its 64 records

        key   │ images held, and since when │ rate, burst │ open streams, of each worker
        16 B  │ 8 B, 8 B                    │ 8 B, 8 B    │ 256 of 4 B

A set is locked for as long as a record in it is read and written, by `fcntl`, so that a worker that
dies lets go of it: two system calls.  Streams are counted by worker, so that those of a dead one
are given back.  A record that says nothing (a full bucket, no stream) is free for somebody else; if
there is none, he is counted by each worker for itself.  Pages that nobody uses take no memory.

Workers read the tokens file within a second of each other; when the limits of somebody change, his
bucket is full anew for each that is told of it.
"""

import fcntl
import mmap
import os
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b

from digitserve.server.errors import RateExceeded, StreamsExceeded
from digitserve.server.guard.identity import Identity
from digitserve.server.guard.limits import Account, Accounts

_SETS, _WAYS, _MOST_WORKERS = 512, 64, 256
_KEY = 16
_BUCKET = struct.Struct("<dddd")  # held, at, rate, burst
_COUNT = struct.Struct("<i")
_COUNTS = struct.Struct(f"<{_MOST_WORKERS}i")
_RECORD = _BUCKET.size + _COUNTS.size
_RECORDS = _SETS * _WAYS * _KEY  # where they begin, after the keys
_LENGTH = _RECORDS + _SETS * _WAYS * _RECORD
_FREE = bytes(_KEY)


class Table:
    """The table.

    Attributes:
        descriptor: of its file, which a worker inherits.
    """

    def __init__(self, descriptor: int) -> None:
        """Maps one that is there."""
        self.descriptor = descriptor
        self._bytes = mmap.mmap(descriptor, _LENGTH)

    @classmethod
    def made(cls) -> "Table":
        """Makes an empty one, which is gone with the last process that has it."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("digitserve-limits")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, _LENGTH)
        return cls(descriptor)

    def forget(self, worker: int) -> None:
        """Gives back the streams of a worker that is gone; nobody else counts in its column."""
        keys = self._bytes[:_RECORDS]
        for at in range(_SETS * _WAYS):
            if keys[at * _KEY : (at + 1) * _KEY] != _FREE:
                place = _RECORDS + at * _RECORD + _BUCKET.size + worker * _COUNT.size
                _COUNT.pack_into(self._bytes, place, 0)

    @contextmanager
    def record(self, key: bytes, now: float) -> Iterator["Record | None"]:
        """Locks the record of a key while the block runs; None if there is no room for it."""
        chosen = int.from_bytes(key[:2], "little") % _SETS
        fcntl.lockf(self.descriptor, fcntl.LOCK_EX, 1, chosen)
        try:
            way = self._way(chosen, key, now)
            place = _RECORDS + (chosen * _WAYS + (way or 0)) * _RECORD
            yield None if way is None else Record(self._bytes, place)
        finally:
            fcntl.lockf(self.descriptor, fcntl.LOCK_UN, 1, chosen)

    def _way(self, chosen: int, key: bytes, now: float) -> int | None:
        start = chosen * _WAYS * _KEY
        keys = self._bytes[start : start + _WAYS * _KEY]
        at = _found(keys, key)
        if at is None:
            at = _found(keys, _FREE)
            if at is None:
                at = self._idle(chosen, now)
            if at is None:
                return None
            place = _RECORDS + (chosen * _WAYS + at) * _RECORD
            self._bytes[place : place + _RECORD] = bytes(_RECORD)
            self._bytes[start + at * _KEY : start + (at + 1) * _KEY] = key
        return at

    def _idle(self, chosen: int, now: float) -> int | None:
        """A record that says nothing."""
        for way in range(_WAYS):
            record = Record(self._bytes, _RECORDS + (chosen * _WAYS + way) * _RECORD)
            if record.full(now) and not record.streams:
                return way
        return None


def _found(keys: bytes, key: bytes) -> int | None:
    at = keys.find(key)
    while at >= 0 and at % _KEY:
        at = keys.find(key, at + 1)
    return None if at < 0 else at // _KEY


class Record:
    """What one identity has asked for; valid while it is locked."""

    def __init__(self, data: mmap.mmap, place: int) -> None:
        self._bytes, self._place = data, place

    @property
    def streams(self) -> int:
        """How many are open, at any worker."""
        return sum(_COUNTS.unpack_from(self._bytes, self._place + _BUCKET.size))

    def count(self, worker: int, streams: int) -> None:
        """Adds so many to a worker's streams."""
        place = self._place + _BUCKET.size + worker * _COUNT.size
        (before,) = _COUNT.unpack_from(self._bytes, place)
        _COUNT.pack_into(self._bytes, place, before + streams)

    def full(self, now: float) -> bool:
        """Whether nothing was taken for a while."""
        held, at, rate, burst = _BUCKET.unpack_from(self._bytes, self._place)
        return bool(held + (now - at) * rate >= burst)

    def take(self, images: int, rate: float, burst: float, now: float) -> float:
        """Takes so many images; see `guard.limits.Bucket`."""
        held, at, *limits = _BUCKET.unpack_from(self._bytes, self._place)
        held = min(burst, held + (now - at) * rate) if limits == [rate, burst] else burst
        lacking = min(images, burst) - held
        if lacking <= 0:
            held -= images
        _BUCKET.pack_into(self._bytes, self._place, held, now, rate, burst)
        return lacking / rate if lacking > 0 else 0.0


class SharedAccount(Account):
    """What one identity has asked for, at any worker."""

    def __init__(
        self, identity: Identity, clock: Callable[[], float], table: Table, worker: int
    ) -> None:
        super().__init__(identity, clock)
        self._table, self._worker = table, worker
        name = f"{identity.kind}\0{identity.id}".encode()
        self._key = blake2b(name, digest_size=_KEY).digest()
        self._beside = 0  # streams for which there was no room in the table

    def charge(self, images: int) -> None:
        """Counts images that are to be computed.

        Raises:
            RateExceeded: if they are too many for now; says when they would fit.
        """
        rate = self.limits.images_per_second
        if rate is None:
            return
        burst = float(self.limits.burst or max(rate, 1.0))
        now = self._clock()
        with self._table.record(self._key, now) as record:
            if record is None:
                super().charge(images)
                return
            wait_s = record.take(images, rate, burst, now)
        if wait_s:
            raise RateExceeded(self.name, float(rate), wait_s)

    def open_stream(self) -> None:
        """Counts a stream that begins; `close_stream` must follow.

        Raises:
            StreamsExceeded: if as many as it may have are open.
        """
        most = self.limits.streams
        with self._table.record(self._key, self._clock()) as record:
            if record is None:
                super().open_stream()
                self._beside += 1
                return
            if most is not None and record.streams >= most:
                raise StreamsExceeded(self.name, most)
            record.count(self._worker, 1)
        self.streams += 1

    def close_stream(self) -> None:
        """Counts a stream that ends."""
        super().close_stream()
        if self._beside:
            self._beside -= 1
            return
        with self._table.record(self._key, self._clock()) as record:
            if record is not None:  # it is: a stream keeps it
                record.count(self._worker, -1)


class SharedAccounts(Accounts):
    """The accounts of one worker, in a table that it shares with the others."""

    def __init__(
        self, descriptor: int, worker: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(clock)
        self._table, self._worker = Table(descriptor), worker

    def made(self, identity: Identity) -> Account:
        """A new one."""
        return SharedAccount(identity, self._clock, self._table, self._worker)
