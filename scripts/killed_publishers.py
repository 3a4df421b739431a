"""Publishers that are killed, and publishers at once: what is left is whole versions."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from digitserve.trainer import bundle
from digitserve.trainer.errors import ModelError
from proving import expect

# `digitserve-train publish`, which says when all is imported and waits to be told: most kills
# would only hit Python's start otherwise.
_PUBLISHER = """
import sys
from pathlib import Path
from digitserve.trainer.publish import publish
print("ready", flush=True)
sys.stdin.readline()
print(publish(*map(Path, sys.argv[1:])), flush=True)
"""
_UNDISTURBED = 5
_BEYOND = 1.25  # times as long as an undisturbed one takes: some are slower


def killed_publishers(source: Path, short: bool) -> str:
    """`kill -9` at moments spread evenly over a publisher's whole time."""
    repetitions = 40 if short else 200
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "models"
        took = undisturbed(source, folder)
        last = _BEYOND * took
        ends = Counter(
            killed(source, folder, last * at / (repetitions - 1)) for at in range(repetitions)
        )
        faults = half_there(folder)
        before = numbers(folder)
        later = published(source, folder)
        works = later == str(folder / str(before[-1] + 1)) and not half_there(folder)
        left = len(leftovers(folder))
    return expect(
        not faults and works and not left,
        f"{repetitions} killed within {last * 1e3:.0f} ms (undisturbed it takes "
        f"{took * 1e3:.0f}): {ends['too early']} before anything was copied, "
        f"{ends['midway']} midway, {ends['too late']} once the version was there; "
        f"{len(faults)} of {len(before)} versions half there"
        + (f", first: {faults[0]}" if faults else "")
        + f"; the next publisher {'came' if works else 'did NOT come'} to version "
        f"{before[-1] + 1}, {left} leftovers",
        bounds=ends["midway"] > 0,
    )


def publishers_at_once(source: Path, short: bool) -> str:
    """Two at once, and a third that is killed beside them: each of the two gets a number."""
    rounds = 15 if short else 60
    got: list[str] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "models"
        took = undisturbed(source, folder)
        for at in range(rounds):
            doomed, *others = (ready(source, folder) for _ in range(3))
            for publisher in (doomed, *others):
                told(publisher)
            time.sleep(took * at / rounds)
            end(doomed)
            got += [Path(publisher.communicate()[0].strip()).name for publisher in others]
        faults = half_there(folder)
        there = numbers(folder)
    own = {int(number) for number in got if number.isdecimal()}
    return expect(
        len(own) == 2 * rounds and own <= set(there) and not faults,
        f"{2 * rounds} publishers, two at once, beside {rounds} killed: {len(own)} numbers; "
        f"{len(faults)} of {len(there)} versions half there",
    )


def published(source: Path, folder: Path) -> str:
    """What `digitserve-train publish` prints."""
    command = [sys.executable, "-m", "digitserve.trainer", "publish", str(source), str(folder)]
    done = subprocess.run(command, check=False, env=_environment(), capture_output=True, text=True)
    return done.stdout.strip()


def undisturbed(source: Path, folder: Path) -> float:
    """How long a publisher takes that nobody kills, in seconds."""
    took = []
    for _ in range(_UNDISTURBED):
        publisher = ready(source, folder)
        assert publisher.stdout is not None
        begun = time.monotonic()
        told(publisher)
        publisher.stdout.readline()
        took.append(time.monotonic() - begun)
        publisher.communicate()
    return statistics.median(took)


def killed(source: Path, folder: Path, after: float) -> str:
    """Kills a publisher some seconds after it was told to begin; returns how far it had come."""
    versions, partial = numbers(folder), leftovers(folder)
    publisher = ready(source, folder)
    told(publisher)
    time.sleep(after)
    end(publisher)
    if numbers(folder) != versions:
        return "too late"
    return "midway" if leftovers(folder) != partial else "too early"


def ready(source: Path, folder: Path) -> subprocess.Popen[str]:
    """A publisher that waits to be told."""
    publisher = subprocess.Popen(
        [sys.executable, "-c", _PUBLISHER, source, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=_environment(),
        text=True,
    )
    assert publisher.stdout is not None
    assert publisher.stdout.readline() == "ready\n"
    return publisher


def told(publisher: subprocess.Popen[str]) -> None:
    """Lets it begin."""
    assert publisher.stdin is not None
    publisher.stdin.write("now\n")
    publisher.stdin.flush()


def end(publisher: subprocess.Popen[str]) -> None:
    """`kill -9`; waits until it is gone."""
    publisher.kill()
    publisher.communicate()


def half_there(folder: Path) -> list[str]:
    """What is wrong with the versions in a folder; nothing if each is whole."""
    faults = []
    for number in numbers(folder):
        try:
            bundle.read(folder / str(number))
        except ModelError as fault:
            faults.append(str(fault))
    return faults


def numbers(folder: Path) -> list[int]:
    """Every folder with the name of a version, whatever is in it."""
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal())


def leftovers(folder: Path) -> set[str]:
    """All else that lies there."""
    return {path.name for path in folder.iterdir() if not path.name.isdecimal()}


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
