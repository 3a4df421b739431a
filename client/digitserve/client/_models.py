"""`client.models`: which versions a server holds, and which of them answers.

Each server holds versions of its own.  `list` asks one server after the other, as `predict` does;
what changes something asks the present one, once (why, says `_asking`).
"""

import builtins
from operator import attrgetter
from typing import Any

from digitserve.client._asking import Asking, AsyncAsking
from digitserve.client.types import ModelState, ModelVersion, Shadow
from digitserve.v1 import models_pb2

# What is called of a `Server`.
_LIST_VERSIONS = attrgetter("models.ListVersions")
_LOAD_VERSION = attrgetter("models.LoadVersion")
_PROMOTE_VERSION = attrgetter("models.PromoteVersion")
_ROLL_BACK_VERSION = attrgetter("models.RollBackVersion")
_UNLOAD_VERSION = attrgetter("models.UnloadVersion")
_SET_LABEL = attrgetter("models.SetLabel")

_STATES = {state.value: state for state in ModelState}


class Models:
    """The versions that a server holds.

    with DigitClient("127.0.0.1:50051") as client:
        client.models.load(2)
        client.models.promote(2, expected_stable=1)

    A change is asked of one server, once.  `Unavailable` and `DeadlineExceeded` do not tell whether
    it was made: `list` does.
    """

    def __init__(self, ask: Asking) -> None:
        self._ask = ask

    def list(self, *, timeout: float | None = None) -> builtins.list[ModelVersion]:
        """Lists the versions that the server knows, refused ones included, by their numbers.

        Args:
            timeout: seconds; None: the client's.

        Raises:
            CallError: if the server, or the way to it, says no.
        """
        request = models_pb2.ListVersionsRequest()
        response = self._ask.anyone(_LIST_VERSIONS, request, timeout)
        return _versions(response)

    def load(self, version: int, *, timeout: float | None = None) -> ModelVersion:
        """Reads a version from the server's models folder, checks it, and makes it ready.

        Args:
            version: its number, from 1.
            timeout: seconds, enough for a network to be read and tried; None: the client's.

        Returns:
            The version, READY; or REFUSED, with the reason.

        Raises:
            NotFound: if the folder does not hold it.
            CallError: if the server, or the way to it, says no.
        """
        request = models_pb2.LoadVersionRequest(version=version)
        return _version(self._ask.once(_LOAD_VERSION, request, timeout).version)

    def promote(
        self, version: int, *, expected_stable: int | None = None, timeout: float | None = None
    ) -> ModelVersion:
        """Makes a version `stable`, if it passes its gates.

        Args:
            version: its number, from 1.
            expected_stable: the version that you believe to be stable now; None: whichever is.
            timeout: seconds; None: the client's.

        Returns:
            The version, which is `stable` now.

        Raises:
            Aborted: if another one than `expected_stable` is, or another promotion came first.
            FailedPrecondition: if its gates refuse it.
            NotFound: if the server does not hold it.
            CallError: if the server, or the way to it, says no.
        """
        request = models_pb2.PromoteVersionRequest(version=version, expected_stable=expected_stable)
        return _version(self._ask.once(_PROMOTE_VERSION, request, timeout).version)

    def roll_back(
        self, *, expected_stable: int | None = None, timeout: float | None = None
    ) -> ModelVersion:
        """Makes the version `stable` that was so before the last promotion.

        Args:
            expected_stable: the version that you believe to be stable now; None: whichever is.
            timeout: seconds; None: the client's.

        Returns:
            The version that is `stable` again.

        Raises:
            Aborted: if another one than `expected_stable` is, or another promotion came first.
            FailedPrecondition: if there is none to go back to.
            CallError: if the server, or the way to it, says no.
        """
        request = models_pb2.RollBackVersionRequest(expected_stable=expected_stable)
        return _version(self._ask.once(_ROLL_BACK_VERSION, request, timeout).version)

    def unload(self, version: int, *, timeout: float | None = None) -> None:
        """Lets go of a version that bears no label.

        Args:
            version: its number, from 1.
            timeout: seconds; None: the client's.

        Raises:
            FailedPrecondition: if it bears a label.
            NotFound: if the server does not hold it.
            CallError: if the server, or the way to it, says no.
        """
        self._ask.once(
            _UNLOAD_VERSION,
            models_pb2.UnloadVersionRequest(version=version),
            timeout,
        )

    def set_label(self, label: str, version: int | None, *, timeout: float | None = None) -> None:
        """Gives a label other than `stable` to a version, or takes it away.

        Args:
            label: lower-case letters, digits and dashes.
            version: the number of the version, from 1; None: nobody bears the label any more.
            timeout: seconds; None: the client's.

        Raises:
            InvalidArgument: if it is no label, or `stable`: that is for `promote`.
            NotFound: if the server does not hold the version.
            CallError: if the server, or the way to it, says no.
        """
        request = models_pb2.SetLabelRequest(label=label, version=version)
        self._ask.once(_SET_LABEL, request, timeout)


class AsyncModels:
    """The versions that a server holds, for asyncio; see `Models`."""

    def __init__(self, ask: AsyncAsking) -> None:
        self._ask = ask

    async def list(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> builtins.list[ModelVersion]:
        """Lists the versions that the server knows; see `Models.list`."""
        request = models_pb2.ListVersionsRequest()
        response = await self._ask.anyone(_LIST_VERSIONS, request, timeout)
        return _versions(response)

    async def load(
        self,
        version: int,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> ModelVersion:
        """Reads a version, checks it, and makes it ready; see `Models.load`."""
        request = models_pb2.LoadVersionRequest(version=version)
        return _version((await self._ask.once(_LOAD_VERSION, request, timeout)).version)

    async def promote(
        self,
        version: int,
        *,
        expected_stable: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> ModelVersion:
        """Makes a version `stable`, if it passes its gates; see `Models.promote`."""
        request = models_pb2.PromoteVersionRequest(version=version, expected_stable=expected_stable)
        return _version((await self._ask.once(_PROMOTE_VERSION, request, timeout)).version)

    async def roll_back(
        self,
        *,
        expected_stable: int | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> ModelVersion:
        """Makes the version `stable` that was so before; see `Models.roll_back`."""
        request = models_pb2.RollBackVersionRequest(expected_stable=expected_stable)
        return _version((await self._ask.once(_ROLL_BACK_VERSION, request, timeout)).version)

    async def unload(
        self,
        version: int,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> None:
        """Lets go of a version that bears no label; see `Models.unload`."""
        request = models_pb2.UnloadVersionRequest(version=version)
        await self._ask.once(_UNLOAD_VERSION, request, timeout)

    async def set_label(
        self,
        label: str,
        version: int | None,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's deadline, which the server sees
    ) -> None:
        """Gives a label to a version, or takes it away; see `Models.set_label`."""
        request = models_pb2.SetLabelRequest(label=label, version=version)
        await self._ask.once(_SET_LABEL, request, timeout)


def _versions(response: models_pb2.ListVersionsResponse) -> list[ModelVersion]:
    return [_version(each) for each in response.versions]


def _version(message: models_pb2.ModelVersion) -> ModelVersion:
    image_us = _optional(message, "image_us")
    shadow = message.shadow
    return ModelVersion(
        version=message.version,
        # A newer server may know states that this library does not.
        state=_STATES.get(message.state, ModelState.UNKNOWN),
        labels=tuple(message.labels),
        accuracy=_optional(message, "accuracy"),
        description=message.description,
        reason=message.reason,
        engine=message.engine,
        gate_accuracy=_optional(message, "gate_accuracy"),
        image_time=None if image_us is None else image_us / 1e6,
        rejection_threshold=_optional(message, "rejection_threshold"),
        images=message.images,
        shadow=Shadow(shadow.images, shadow.agreed) if message.HasField("shadow") else None,
    )


def _optional(message: models_pb2.ModelVersion, field: str) -> Any:
    return getattr(message, field) if message.HasField(field) else None
