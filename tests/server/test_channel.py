"""The channel between a supervisor and a worker: what neither side can do to the other."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digitserve.server import errors
from digitserve.server.errors import BadField, NothingBefore, UnknownModel, VersionInUse
from digitserve.server.versions.bundle import BundleError, BundleUnread
from digitserve.server.workers.channel import Channel, ChannelClosed, Silence
from digitserve.server.workers.faults import Unforeseen, raised, told_of
from digitserve.server.workers.question import SharedQuestion

# What nobody waits for in vain, even on a busy machine.
_PATIENCE_S = 60.0


async def echo(what: str, told: Any) -> Any:
    """Says what it was told; or does what it is asked to."""
    if what == "hang":
        await asyncio.get_running_loop().create_future()
    if what == "raise":
        raise UnknownModel("version", "9", {1: None})
    if what == "break":
        raise ZeroDivisionError("a secret")
    return told


@asynccontextmanager
async def channels() -> AsyncIterator[tuple[Channel, Channel]]:
    """Both ends, each of which answers."""
    sockets = socket.socketpair()
    ends = [await Channel.over(each, echo) for each in sockets]
    tasks = [asyncio.ensure_future(each.run()) for each in ends]
    try:
        yield ends[0], ends[1]
    finally:
        for end in ends:
            end.close()
        await asyncio.wait(tasks)


@asynccontextmanager
async def against(*said: bytes) -> AsyncIterator[Channel]:
    """An end whose other side says this and no more."""
    ours, theirs = socket.socketpair()
    end = await Channel.over(ours, echo)
    running = asyncio.ensure_future(end.run())
    for each in said:
        theirs.sendall(each)
    try:
        yield end
    finally:
        theirs.close()
        end.close()
        await running


def message(told: object) -> bytes:
    """As it goes over the channel."""
    data = json.dumps(told).encode()
    return struct.pack(">I", len(data)) + data


def test_many_ask_at_once_both_ways() -> None:
    """Each gets its own answer."""

    async def scenario() -> None:
        async with channels() as (one, other):
            asked = [
                end.ask("say", at, within_s=_PATIENCE_S) for at in range(30) for end in (one, other)
            ]
            assert await asyncio.gather(*asked) == [at for at in range(30) for _ in range(2)]

    asyncio.run(scenario())


def test_what_was_raised_is_raised() -> None:
    """A domain error with its fields; of all else nothing."""

    async def scenario() -> None:
        async with channels() as (one, _):
            with pytest.raises(UnknownModel) as found:
                await one.ask("raise", within_s=_PATIENCE_S)
            assert found.value == UnknownModel("version", "9", [1])
            with pytest.raises(Unforeseen) as unforeseen:
                await one.ask("break", within_s=_PATIENCE_S)
            assert str(unforeseen.value) == ""

    asyncio.run(scenario())


def test_silence_is_not_waited_for() -> None:
    """One request that is not answered ends alone."""

    async def scenario() -> None:
        async with channels() as (one, _):
            with pytest.raises(Silence):
                await one.ask("hang", within_s=0)
            assert await one.ask("say", 1, within_s=_PATIENCE_S) == 1

    asyncio.run(scenario())


def test_who_owes_too_many_answers_is_asked_no_more() -> None:
    """It is silent, whether or not anybody waits for them; and it does not hang up."""

    async def scenario() -> None:
        async with channels() as (one, other):
            for _ in range(64):
                with pytest.raises(Silence):
                    await one.ask("hang", within_s=0)
            with pytest.raises(Silence):
                await one.ask("say", within_s=_PATIENCE_S)
            assert await other.ask("say", 1, within_s=_PATIENCE_S) == 1

    asyncio.run(scenario())


def test_what_many_ask_at_once_is_asked_once() -> None:
    """By all who came before it was asked; who comes later gets no answer begun before."""

    async def scenario() -> None:
        begun: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue()

        async def ask() -> int:
            answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            begun.put_nowait(answer)
            return await answer

        question = SharedQuestion(ask)
        first = [asyncio.ensure_future(question.answer()) for _ in range(300)]
        asked = await begun.get()
        later = [asyncio.ensure_future(question.answer()) for _ in range(300)]
        first.pop().cancel()  # the others go on
        asked.set_result(1)
        assert set(await asyncio.gather(*first)) == {1}
        (await begun.get()).set_result(2)
        assert set(await asyncio.gather(*later)) == {2}
        assert begun.empty()

    asyncio.run(scenario())


def test_who_is_gone_is_not_waited_for() -> None:
    """What was asked before ends, and what is asked after."""

    async def scenario() -> None:
        async with channels() as (one, other):
            asked = asyncio.ensure_future(one.ask("hang", within_s=_PATIENCE_S))
            await other.ask("say", within_s=_PATIENCE_S)  # so that it is there
            other.close()
            for each in (asked, one.ask("say", within_s=_PATIENCE_S)):
                with pytest.raises(ChannelClosed):
                    await each

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "said",
    [
        b"\xff\xff\xff\xff",
        message([1]),
        message({"said": 1}),
        message({"id": "1", "ask": "say"}),
        struct.pack(">I", 3) + b"\xff\xfe{",
        struct.pack(">I", 200_000) + b"[" * 200_000,
        b"".join(message({"id": at, "ask": "hang"}) for at in range(65)),
    ],
)
def test_who_is_malformed_is_gone(said: bytes) -> None:
    """Too long, of no form, or asking too much at once."""

    async def scenario() -> None:
        async with against(said) as end:
            with pytest.raises(ChannelClosed):
                await end.ask("say", within_s=_PATIENCE_S)

    asyncio.run(scenario())


@given(answer=st.recursive(st.none() | st.text(), st.lists))
def test_an_answer_of_any_form_is_an_answer_or_an_exception(answer: object) -> None:
    """What went wrong is believed in no form but ours."""

    async def scenario() -> None:
        async with against(message({"id": 1, "wrong": answer})) as end:
            with pytest.raises((Unforeseen, ChannelClosed, BundleError, errors.DomainError)):
                await end.ask("say", within_s=_PATIENCE_S)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "error",
    [
        BadField("version", "VERSION_MISSING", "expected a version"),
        NothingBefore(),
        VersionInUse(3, ["stable"]),
        BundleError(Path("models/3"), "is no bundle", "of a sort"),
        BundleUnread(Path("models/3"), "Too many open files"),
    ],
)
def test_an_error_says_the_same_on_the_other_side(error: Exception) -> None:
    """As plain data, and back."""
    there = raised(json.loads(json.dumps(told_of(error))))
    assert (type(there), str(there)) == (type(error), str(error))


def test_only_our_own_errors_are_raised() -> None:
    """Whatever name the other side says."""
    for name in ("Path", "dataclass", "status_of", "DomainError", "nothing"):
        made = raised(["domain", name, {"path": "/"}])
        assert isinstance(made, Unforeseen | errors.DomainError)
