"""`--workers`: several processes on one port that are as one server, whatever happens to them."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_status import rpc_status

from digitserve.client import DigitClient, Unavailable
from digitserve.server.config import Config
from digitserve.server.sources import read_config
from digitserve.v1 import digits_pb2, models_pb2
from support.command import Command, failed_command, server_command
from support.engines import image_of
from support.guarded import Tokens, bearer
from support.models import place
from support.open_inference import Asking
from support.scrape import scraped, unused_address
from support.talk import BLANK, frame, reason_of
from support.workers import Connection, connected, over, replaced, workers_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def serving_workers(*arguments: str) -> Any:
    """Two workers, without a lame duck."""
    return server_command("--workers", "2", "--lame-duck", "0", *arguments)


@contextmanager
def watching_workers(folder: Path, *arguments: str) -> Iterator[Command]:
    """Two workers that serve this folder, whose versions callers may change."""
    with serving_workers("--models", str(folder), "--model-control", *arguments) as command:
        yield command


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    """Two versions."""
    place(tmp_path / "models", 1, 2)
    return tmp_path / "models"


def refusal(call: Any, request: Any, **how: Any) -> str:
    """Why a call is refused; nothing if it is not."""
    try:
        call(request, **how)
    except grpc.RpcError as error:
        return reason_of(rpc_status.from_call(error))
    return ""


def meddle(monkeypatch: pytest.MonkeyPatch, folder: Path, code: str) -> None:
    """Has the processes that are started from now on run this first."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))


# --- a port -------------------------------------------------------------------------------------


def test_one_worker_is_no_other_server() -> None:
    """As without the flag: nobody is started."""
    with server_command("--workers", "1") as command:
        assert workers_of(command) == []


def test_workers_share_a_port() -> None:
    """Both are connected to, both answer, and each signal ends them all cleanly."""
    for number in (signal.SIGTERM, signal.SIGINT):
        with serving_workers() as command:
            workers = workers_of(command)
            with connected(command, *workers) as connections:
                assert [each.answering() for each in connections] == [3, 3]
            command.signal(number)
            assert command.wait() == 0
            assert all(map(over, workers))


@pytest.mark.parametrize("more", [(), ("--workers", "2")])
def test_a_second_server_is_refused(more: tuple[str, ...]) -> None:
    """With workers or without, as if there were one process at the port."""
    with serving_workers() as command:
        code, said = failed_command("--address", command.address, *more)
    assert code == 3
    assert said.startswith(f"digitserve-server: {command.address} is taken")
    assert said.count("\n") == 1


def test_the_port_is_kept_while_nobody_listens() -> None:
    """The supervisor holds it, without being given connections."""
    with serving_workers() as command:
        workers = workers_of(command)
        os.kill(command.process.pid, signal.SIGSTOP)  # it is not to replace them
        for each in workers:
            os.kill(each, signal.SIGKILL)
        while not all(map(over, workers)):
            pass
        host, port = command.address.split(":")
        with socket.socket() as caller:
            assert caller.connect_ex((host, int(port))) != 0
        code, _ = failed_command("--address", command.address)
        assert code == 3


def test_a_port_is_taken_again_at_once() -> None:
    """What one server leaves behind does not keep the next one out, with workers or without."""
    with server_command() as command, DigitClient(command.address) as client:
        client.predict(BLANK)
        address = command.address
        command.signal(signal.SIGINT)
        command.wait()
    for workers in ("2", "2", "1", "2"):
        with (
            server_command("--workers", workers, "--address", address) as command,
            DigitClient(address) as client,
        ):
            client.predict(BLANK)
            command.signal(signal.SIGINT)
            assert command.wait() == 0


def test_a_unix_socket_is_refused() -> None:
    """It belongs to one process; one line says so."""
    code, said = failed_command("--workers", "2", "--address", "unix:/tmp/digits.sock")
    assert (code, said.count("\n")) == (2, 1)
    assert "expected host:port alone for 2 workers" in said


def test_a_model_that_cannot_be_served_is_refused(tmp_path: Path) -> None:
    """As by one process: exit code 4, one line, nobody left."""
    code, said = failed_command(
        "--workers", "2", "--address", "127.0.0.1:0", "--models", str(tmp_path)
    )
    assert code == 4
    assert said.splitlines()[-1].startswith(f"digitserve-server: {tmp_path}: expected")


def test_auto_is_a_worker_on_each_core(tmp_path: Path) -> None:
    """That this process may use."""
    from support.configuration import command  # noqa: PLC0415 - its name is taken here

    done = command("config", "--workers", "auto")
    (row,) = [line.split() for line in done.output.splitlines() if line.startswith("workers")]
    assert row == ["workers", str(len(os.sched_getaffinity(0))), "--workers"]
    (tmp_path / "server.toml").write_text("workers = 'auto'", encoding="utf-8")
    said = read_config({}, str(tmp_path / "server.toml"), {})
    assert said.config.workers == len(os.sched_getaffinity(0))
    assert Config().workers == 1


# --- signals and deaths -------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_the_start_ends_all(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anybody serves, while a worker begins: exit code 0, and nobody is left."""
    mark = tmp_path / "begun"
    meddle(
        monkeypatch,
        tmp_path / "code",
        "import pathlib, sys, time\n"
        "if 'digitserve.server.workers' in sys.orig_argv:\n"
        f"    pathlib.Path({str(mark)!r}).touch()\n"
        "    time.sleep(600)\n",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "digitserve.server", "--workers", "2", "--address", "127.0.0.1:0"],
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    while not mark.exists():
        assert process.poll() is None
    workers = workers_of(Command(process, ""))
    process.send_signal(number)
    assert process.wait(timeout=60) == 0
    assert all(map(over, workers))


def test_a_second_signal_stops_at_once() -> None:
    """All of them; the exit code says that something may have been cut."""
    with server_command("--workers", "2", "--lame-duck", "600") as command:
        workers = workers_of(command)
        with DigitClient(command.address) as client:
            command.signal(signal.SIGTERM)
            while client.health().name != "NOT_SERVING":
                pass
        command.signal(signal.SIGTERM)
        assert command.wait() == 1
        assert all(map(over, workers))


def test_a_drain_finishes_what_every_worker_accepted() -> None:
    """Streams at both are told, refuse in band what is sent after that, and end; exit code 0."""
    with serving_workers() as command:
        workers = workers_of(command)
        with connected(command, *workers) as connections:
            more = threading.Event()

            def frames() -> Iterator[Any]:
                yield frame(image_of(1))
                more.wait(timeout=60)
                yield frame(image_of(2))

            calls = [each.digits.StreamPredict(frames(), timeout=60) for each in connections]
            for call in calls:
                assert next(call).HasField("predicted")
            command.signal(signal.SIGTERM)
            for call in calls:
                assert next(call).HasField("notice")
            more.set()
            for call in calls:
                (reply,) = call
                assert reason_of(reply.failed) == "DRAINING"
                assert call.code() is grpc.StatusCode.OK
        assert command.wait() == 0


def test_workers_end_without_their_supervisor() -> None:
    """`kill -9` of it: they see the channel close, finish, and go."""
    with serving_workers() as command:
        workers = workers_of(command)
        command.signal(signal.SIGKILL)
        command.wait()
        while not all(map(over, workers)):
            pass


class Load:
    """A caller on a connection of its own, one call after the other, and what it saw.

    Attributes:
        round: a number that the test sets.
        seen: the versions that answered, each with the round in which it was asked.
        failures: of the calls that failed.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.seen: list[tuple[int, int]] = []
        self.failures: list[grpc.RpcError] = []
        self.round = 0
        self._more, self._over = threading.Condition(), threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            asked = self.round
            try:
                self.seen.append((asked, self.connection.answering()))
            except grpc.RpcError as error:
                self.failures.append(error)
                self.connection.again()
            with self._more:
                self._more.notify_all()

    def grown(self) -> None:
        """Waits until it saw more."""
        before = len(self.seen)
        with self._more:
            assert self._more.wait_for(lambda: len(self.seen) > before + 3, timeout=60)

    def stop(self) -> None:
        """Waits for the last call."""
        self._over.set()
        self._thread.join()


@contextmanager
def loaded(command: Command, connections: int) -> Iterator[list[Load]]:
    """So many callers while the block runs."""
    with ExitStack() as stack:
        made = [Connection(command) for _ in range(connections)]
        for each in made:
            stack.callback(each.close)
        loads = [Load(each) for each in made]
        for load in loads:
            stack.callback(load.stop)
        for load in loads:
            load.grown()
        yield loads


def test_a_killed_worker_fails_its_own_calls_alone() -> None:
    """`kill -9` under load: at most those in flight on it; another takes its place."""
    with serving_workers() as command:
        before = workers_of(command)
        with loaded(command, 8) as loads:
            victim = next(load.connection.worker for load in loads if load.connection.worker)
            os.kill(victim, signal.SIGKILL)
            replaced(command, before)
            for load in loads:
                load.grown()
        assert victim not in workers_of(command)
        for load in loads:
            assert len(load.failures) <= (load.connection.worker == victim), load.failures
        command.signal(signal.SIGTERM)
        assert command.wait() == 0


def test_a_worker_that_cannot_be_replaced_ends_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """After a few tries: the others drain, exit code 5, one line."""
    mark = tmp_path / "broken"
    meddle(
        monkeypatch,
        tmp_path / "code",
        "import os, sys\n"
        "if 'digitserve.server.workers' in sys.orig_argv:\n"
        f"    os.path.exists({str(mark)!r}) and os._exit(7)\n",
    )
    with serving_workers() as command:
        workers = workers_of(command)
        mark.touch()
        os.kill(workers[0], signal.SIGKILL)
        assert command.wait() == 5
        assert over(workers[1])
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("digitserve-server: worker ")
    assert last.endswith("cannot be kept alive: gone 5 times before it served: exit code 7")


def test_what_was_taken_away_ends_the_service_with_a_line(
    bundles: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Those who have read it serve on; who is to take a dead one's place says what is missing."""
    with watching_workers(bundles) as command:
        workers = workers_of(command)
        shutil.rmtree(bundles)
        with connected(command, workers[1]) as (one,):
            assert one.answering() == 2
            os.kill(workers[0], signal.SIGKILL)
            assert command.wait() == 5
    last = capfd.readouterr().err.splitlines()[-1]
    assert "cannot be kept alive: gone 5 times before it served: " in last
    assert last.endswith("/manifest.json: No such file or directory")


# --- versions -----------------------------------------------------------------------------------


def test_an_operator_speaks_to_all_through_any(bundles: Path) -> None:
    """Promote, label, roll back, unload, load: through either worker, and both follow."""
    place(bundles, 3)
    with watching_workers(bundles) as command, connected(command, *workers_of(command)) as both:
        one, other = (each.models for each in both)

        def answers(**model: Any) -> set[int]:
            return {each.answering(**model) for each in both}

        assert answers() == {3}
        one.PromoteVersion(models_pb2.PromoteVersionRequest(version=2))
        assert answers() == {2}
        other.SetLabel(models_pb2.SetLabelRequest(label="next", version=3))
        assert answers(label="next") == {3}
        one.RollBackVersion(models_pb2.RollBackVersionRequest())
        assert answers() == {3}
        other.LoadVersion(models_pb2.LoadVersionRequest(version=1))
        assert answers(version=1) == {1}
        one.UnloadVersion(models_pb2.UnloadVersionRequest(version=1))
        for each in both:
            request = digits_pb2.PredictRequest(pixels=BLANK, version=1)
            assert refusal(each.digits.Predict, request) == "VERSION_UNKNOWN"
        told = [each.ListVersions(models_pb2.ListVersionsRequest()) for each in (one, other)]
        assert told[0] == told[1]
        # 3 was asked six times, 2 twice: by both together.
        assert {each.version: each.images for each in told[0].versions} == {2: 2, 3: 6}


def test_the_open_inference_protocol_changes_the_versions_of_all(bundles: Path) -> None:
    """What is loaded or unloaded by it, through either worker, is so at both."""
    place(bundles, 3)
    with watching_workers(bundles) as command, connected(command, *workers_of(command)) as both:
        one, other = (Asking(each.channel) for each in both)
        one.ask("RepositoryModelLoad", model_name="digits/1")
        assert [each.answering(version=1) for each in both] == [1, 1]
        assert one.ask("RepositoryIndex") == other.ask("RepositoryIndex")
        other.ask("RepositoryModelUnload", model_name="digits/1")
        told = [list(each.ask("ModelMetadata", name="digits").versions) for each in (one, other)]
        assert told == [["2", "3"], ["2", "3"]]


@pytest.mark.parametrize(
    ("name", "request_", "reason"),
    [
        ("LoadVersion", {"version": 9}, "VERSION_UNKNOWN"),
        ("LoadVersion", {}, "VERSION_MISSING"),
        ("PromoteVersion", {"version": 9}, "VERSION_UNKNOWN"),
        ("PromoteVersion", {"version": 1, "expected_stable": 1}, "PROMOTION_LOST"),
        ("RollBackVersion", {}, "NOTHING_BEFORE"),
        ("UnloadVersion", {"version": 2}, "VERSION_IN_USE"),
        ("SetLabel", {"label": "stable", "version": 2}, "LABEL_INVALID"),
    ],
)
def test_what_cannot_be_is_refused_as_by_one_server(
    two: Command, name: str, request_: dict[str, Any], reason: str
) -> None:
    """With the reason that one process would give."""
    with connected(two, *workers_of(two)) as both:
        for each in both:
            request = getattr(models_pb2, f"{name}Request")(**request_)
            assert refusal(getattr(each.models, name), request) == reason


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """Two workers that nobody changes."""
    folder = tmp_path_factory.mktemp("models")
    place(folder, 2)
    (folder / "models.toml").write_text("", encoding="utf-8")
    with watching_workers(folder) as command:
        yield command


def test_without_leave_nothing_is_changed() -> None:
    """As by one server."""
    with serving_workers() as command, connected(command, workers_of(command)[0]) as (one,):
        request = models_pb2.PromoteVersionRequest(version=1)
        assert refusal(one.models.PromoteVersion, request) == "MODEL_CONTROL_OFF"


def test_nobody_sees_the_old_version_after_a_promotion(bundles: Path) -> None:
    """Under load: every call that begins when it is answered is the new one's."""
    with watching_workers(bundles) as command, loaded(command, 6) as loads:
        with connected(command, workers_of(command)[0]) as (operator,):
            for number, version in enumerate((1, 2, 1, 2, 1), 1):
                operator.models.PromoteVersion(models_pb2.PromoteVersionRequest(version=version))
                for load in loads:
                    load.round = number
                for load in loads:
                    load.grown()
                    assert {seen for asked, seen in load.seen if asked == number} == {version}
        for load in loads:
            load.stop()
        assert [load.failures for load in loads] == [[]] * 6


def test_a_new_version_arrives_at_all(bundles: Path) -> None:
    """It is put into the folder; a bad one after it is refused everywhere."""
    with watching_workers(bundles) as command, connected(command, *workers_of(command)) as both:
        place(bundles, 3)
        while {each.answering() for each in both} != {3}:
            pass
        bad = bundles / ".4"
        place(bundles.parent / "other", 4)
        (bundles.parent / "other" / "4").rename(bad)
        (bad / "model.tflite").write_bytes(b"")
        bad.rename(bundles / "4")
        for each in both:
            request = digits_pb2.PredictRequest(pixels=BLANK, version=4)
            while (why := refusal(each.digits.Predict, request)) != "VERSION_REFUSED":
                assert why in {"VERSION_UNKNOWN", "VERSION_LOADING"}
        assert {each.answering() for each in both} == {3}


def test_what_one_worker_refuses_is_refused_everywhere(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the other had loaded it."""
    meddle(
        monkeypatch,
        tmp_path / "code",
        "from digitserve.server.versions import bundle, gates\n"
        "usual = gates.check_accuracy\n"
        "def check(read, engine, required):\n"
        "    if read.folder.name == '3':\n"
        "        try:\n"
        f"            open({str(tmp_path / 'first')!r}, 'x').close()\n"
        "        except FileExistsError:\n"
        "            raise bundle.BundleError(read.folder, 'not by me') from None\n"
        "    return usual(read, engine, required)\n"
        "gates.check_accuracy = check\n",
    )
    with watching_workers(bundles) as command, connected(command, *workers_of(command)) as both:
        place(bundles, 3)
        for each in both:
            request = digits_pb2.PredictRequest(pixels=BLANK, version=3)
            while refusal(each.digits.Predict, request) != "VERSION_REFUSED":
                pass
            told = each.models.ListVersions(models_pb2.ListVersionsRequest())
            assert [it.reason for it in told.versions if it.version == 3] == ["not by me"]
        assert {each.answering() for each in both} == {2}


def test_a_version_that_ends_its_readers_is_refused(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker at a time dies of it; the service goes on."""
    meddle(
        monkeypatch,
        tmp_path / "code",
        "import os\n"
        "from digitserve.server.versions import gates\n"
        "usual = gates.check_accuracy\n"
        "gates.check_accuracy = lambda read, *more: (\n"
        "    os._exit(9) if read.folder.name == '3' else usual(read, *more))\n",
    )
    with watching_workers(bundles) as command:
        place(bundles, 3)
        with DigitClient(command.address) as client:
            why = ""
            while not why:
                with suppress(Unavailable):  # the worker that we are connected to died of it
                    assert client.predict(BLANK).version == 2
                    why = "".join(it.reason for it in client.models.list())
            assert why == "ended the workers that read it"
        command.signal(signal.SIGINT)
        assert command.wait() == 0


def test_a_network_that_breaks_is_rolled_back_everywhere(
    bundles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three turns in a row in one worker, and the other answers with what was stable before."""
    meddle(
        monkeypatch,
        tmp_path / "code",
        "from digitserve.server.engines import litert\n"
        "usual = litert.LiteRTEngine.predict\n"
        "def predict(self, images):\n"
        "    if (images[:, 0, 0] == 255).any():\n"
        "        raise RuntimeError('not for callers')\n"
        "    return usual(self, images)\n"
        "litert.LiteRTEngine.predict = predict\n",
    )
    (bundles / "models.toml").write_text("", encoding="utf-8")
    with watching_workers(bundles) as command, connected(command, *workers_of(command)) as both:
        one, other = both
        for _ in range(3):
            request = digits_pb2.PredictRequest(pixels=bytes([255]) + bytes(783))
            assert refusal(one.digits.Predict, request) == "INTERNAL"
        while {each.answering() for each in both} != {1}:
            pass
        told = other.models.ListVersions(models_pb2.ListVersionsRequest())
        (reason,) = [each.reason for each in told.versions if each.version == 2]
        assert reason == "rolled back: 3 turns broken in a row (RuntimeError)"


def test_who_comes_late_serves_what_all_serve(bundles: Path) -> None:
    """What was decided by hand holds for the worker that takes a dead one's place."""
    place(bundles, 3)
    with watching_workers(bundles) as command:
        before = workers_of(command)
        with connected(command, before[0]) as (operator,):
            operator.models.PromoteVersion(models_pb2.PromoteVersionRequest(version=2))
            operator.models.SetLabel(models_pb2.SetLabelRequest(label="next", version=3))
        os.kill(before[0], signal.SIGKILL)
        late = replaced(command, before)
        with connected(command, late, before[1]) as both:
            assert [each.answering() for each in both] == [2, 2]
            assert [each.answering(label="next") for each in both] == [3, 3]
            told = [each.models.ListVersions(models_pb2.ListVersionsRequest()) for each in both]
            assert told[0] == told[1]


# --- limits -------------------------------------------------------------------------------------


def test_images_are_counted_over_all_workers(tmp_path: Path) -> None:
    """To the last one, whichever worker a caller is connected to."""
    tokens = Tokens(tmp_path)
    token = tokens.add("slow", images_per_second=0.001, burst=10)
    with (
        serving_workers("--tokens", str(tokens.path)) as command,
        guests(command, token, 8) as connections,
    ):
        said: list[str] = []

        def ask(connection: Guest) -> None:
            said.extend(connection.predicted() for _ in range(10))

        threads = [threading.Thread(target=ask, args=(each,)) for each in connections]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({each.worker for each in connections}) == 2
        assert (said.count(""), said.count("RATE_EXCEEDED")) == (10, 70)


def test_streams_are_counted_over_all_workers(tmp_path: Path) -> None:
    """One at each is two; those of a worker that is killed are given back."""
    tokens = Tokens(tmp_path)
    token = tokens.add("camera", streams=2)
    with serving_workers("--tokens", str(tokens.path)) as command:
        before = workers_of(command)
        with guests(command, token, 2) as (one, other):
            assert one.opened() == other.opened() == ""
            assert one.opened() == other.opened() == "STREAMS_EXCEEDED"
            os.kill(one.worker, signal.SIGKILL)
            while not set(workers_of(command)) - set(before):
                pass
            while (why := other.opened()) == "STREAMS_EXCEEDED":
                pass
            assert why == ""
            assert other.opened() == "STREAMS_EXCEEDED"


class Guest(Connection):
    """A connection of somebody with a token."""

    def __init__(self, command: Command, token: str) -> None:
        self._bearer = bearer(token)
        self._streams: list[Any] = []
        super().__init__(command, metadata=self._bearer)

    def predicted(self) -> str:
        """Why a call is refused; nothing if it is not."""
        request = digits_pb2.PredictRequest(pixels=BLANK)
        return refusal(self.digits.Predict, request, metadata=self._bearer)

    def opened(self) -> str:
        """Opens a stream, and keeps it; why it is refused, if it is."""
        over_ = threading.Event()

        def frames() -> Iterator[Any]:
            yield frame(image_of(1))
            over_.wait()

        call = self.digits.StreamPredict(frames(), metadata=self._bearer)
        try:
            next(call)
        except grpc.RpcError as error:
            over_.set()
            return reason_of(rpc_status.from_call(error))
        self._streams.append((call, over_))
        return ""

    def close(self) -> None:
        """Ends its streams too."""
        for call, over_ in self._streams:
            call.cancel()
            over_.set()
        super().close()


@contextmanager
def guests(command: Command, token: str, number: int) -> Iterator[list[Guest]]:
    """So many connections, to both workers."""
    with ExitStack() as stack:
        made: list[Guest] = []
        while len(made) < number or len({each.worker for each in made[-number:]}) < 2:
            made.append(Guest(command, token))
            stack.callback(made[-1].close)
        yield made[-number:]


# --- figures ------------------------------------------------------------------------------------


def test_metrics_tell_each_worker(bundles: Path) -> None:
    """With a label `worker`; refusals and rollbacks are the supervisor's."""
    metrics = unused_address()
    with (
        watching_workers(bundles, "--metrics", metrics) as command,
        connected(command, *workers_of(command)) as both,
    ):
        for each, times in zip(both, (1, 2), strict=True):
            for _ in range(times):
                each.answering()
        told = scraped(metrics)
        images = {
            told[f'digitserve_version_images_total{{version="2",worker="{place}"}}']
            for place in (0, 1)
        }
        assert images == {1.0, 2.0}
        assert told['digitserve_versions_refused_total{worker="supervisor"}'] == 0.0
        assert told['digitserve_stable_version{worker="0"}'] == 2.0
