"""`make prove-models`: the promises about the bundled models, each measured anew, with its figure.

The compiled networks are asked, as a server asks them, about MNIST's 10,000 test images, about
those images changed, and about pictures of no digit.  `--short` tries fewer killed publishers and
hard scenes, and does not train the recipes anew, which takes an hour and TensorFlow.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from functools import cache, partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import numpy as np  # noqa: E402

from digitserve.server.versions.loading import BUNDLED  # noqa: E402
from digitserve.trainer import bundle, lite  # noqa: E402
from digitserve.trainer.errors import ModelError  # noqa: E402
from digitserve.trainer.evaluation import Evaluation, evaluate  # noqa: E402
from digitserve.trainer.trials import changed_digits, rejected_pictures  # noqa: E402
from digitserve.v1 import manifest_pb2  # noqa: E402
from found_digits import scored  # noqa: E402
from killed_publishers import killed_publishers, publishers_at_once  # noqa: E402
from mnist_here import mnist, test_set  # noqa: E402
from model_swaps import refusals, swaps_under_load  # noqa: E402
from proving import Shortfall, expect, prove  # noqa: E402

MLP, MLP_PLUS, CNN = "mlp", "mlp-plus", "cnn"
VERSIONS = {MLP: BUNDLED / "1", MLP_PLUS: BUNDLED / "2", CNN: BUNDLED / "3"}
LEAST_ACCURACY = {MLP: 0.964, MLP_PLUS: 0.988, CNN: 0.995}
# Half digits are only reported: some are whole, as the upper half of an 8, which is a 0.
NO_DIGITS = (
    *("blank", "uniform noise", "Gaussian noise", "scribbles", "crosses and grids"),
    *("two digits", "letters"),
)


def manifest(folder: Path) -> manifest_pb2.ModelManifest:
    """A bundle's manifest, if its files are what it says."""
    try:
        return bundle.read(folder)
    except ModelError as error:
        raise Shortfall(str(error)) from error


@cache
def found(folder: Path) -> Evaluation:
    """What a bundle's compiled network says about the test images."""
    manifest(folder)
    images, labels = test_set()
    return evaluate(lite.predict(folder / bundle.COMPILED, images), labels)


def bundled(name: str) -> Path:
    """The folder of a bundle that is whole."""
    manifest(VERSIONS[name])
    return VERSIONS[name]


def network(name: str) -> Path:
    """The compiled network of such a bundle."""
    return bundled(name) / bundle.COMPILED


# --- as they are bundled -------------------------------------------------------------------------


def accuracy(name: str, folder: Path) -> str:
    """As many test images read right as promised, and exactly as many as the manifest says."""
    said = manifest(folder)
    right, least = found(folder).accuracy, LEAST_ACCURACY[name]
    told = said.evaluation.accuracy
    return expect(
        said.training.recipe == name and right >= least and right == told,
        f"{right:.2%} of {len(found(folder).labels):,} test images right, bound {least:.1%}, "
        f"manifest {told:.2%}; {said.training.recipe} trained in {said.training.seconds:,.0f} s",
    )


def compiled_cost() -> str:
    """One image on one thread takes microseconds; the file is small."""
    images, _ = test_set()
    path = network(CNN)
    # What a shared machine takes away now and then is not the network's.
    median = min(lite.microseconds(path, images[:2000]) for _ in range(3))
    megabytes = path.stat().st_size / 1e6
    return expect(
        megabytes < 1.5,
        f"{median:.0f} µs an image, median of 2,000 one by one on one thread, the best of three, "
        f"bound 150 µs; "
        f"{megabytes:.2f} MB, bound 1.5 MB",
        bounds=median < 150,
    )


def rejection(name: str, *, held: bool) -> str:
    """Pictures of no digit are rejected, kind by kind, and digits are not."""
    images, _ = test_set()
    ask = partial(lite.predict, network(name))
    threshold = manifest(VERSIONS[name]).calibration.rejection_threshold
    digits = found(VERSIONS[name]).rejected(threshold)
    assert digits is not None
    rejected = rejected_pictures(ask, images, threshold)
    each = ", ".join(f"{kind} {of.share:.1%}" for kind, of in rejected.items())
    least = min(NO_DIGITS, key=lambda kind: rejected[kind].share)
    return expect(
        not held or (digits <= 0.01 and rejected[least].share >= 0.95),
        f"at {threshold:.3f} {digits:.2%} of the test digits, bound 1%; fewest {least} "
        f"{rejected[least].share:.1%}, bound 95%{'' if held else ', both only reported'}; {each}",
    )


def calibration() -> str:
    """A network that is nine tenths sure is right nine times in ten."""
    error = found(VERSIONS[CNN]).calibration_error
    return expect(error <= 0.005, f"expected calibration error {error:.2%}, bound 0.5%")


def changed() -> str:
    """Digits that are moved, turned, scaled, blurred, noisy, thick or thin."""
    shares = changed_digits(partial(lite.predict, network(CNN)), *test_set())
    mean = float(np.mean([share.share for share in shares.values()]))
    each = ", ".join(f"{way} {share.share:.2%}" for way, share in shares.items())
    return expect(mean >= 0.97, f"{mean:.2%} in the mean, bound 97%; {each}")


def camera(short: bool) -> str:
    """What the finder finds on the synthetic camera; a digit not found is not read right."""
    normal = scored(network(CNN), "normal", 200)
    hard = scored(network(CNN), "hard", 50 if short else 200)
    return expect(
        normal.right_share >= 0.97,
        f"normal, bound 97%: {normal}; hard, no bound: {hard}",
    )


# --- made anew -----------------------------------------------------------------------------------


def trained_anew(name: str) -> str:
    """The documented command, in an empty folder; its bundle is held to the same bounds."""
    with tempfile.TemporaryDirectory() as place:
        command = [sys.executable, "-m", "digitserve.trainer", "fit"]
        done = subprocess.run(
            [*command, "--recipe", name, "--data", mnist()],
            check=False,
            cwd=place,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
            raise Shortfall(f"`digitserve-train fit --recipe {name}` ended with {done.returncode}")
        return accuracy(name, Path(place) / "models" / "1")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    # The long form with one recipe trained anew instead of all.
    parser.add_argument("--recipe", choices=VERSIONS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    short, again = options.short, [options.recipe] if options.recipe else VERSIONS
    prove(
        *((f"accuracy, {name}", partial(accuracy, name, VERSIONS[name])) for name in VERSIONS),
        ("cnn compiled: time and size", compiled_cost),
        ("cnn, no digits rejected", lambda: rejection(CNN, held=True)),
        ("mlp-plus, no digits rejected", lambda: rejection(MLP_PLUS, held=False)),
        ("cnn, calibration", calibration),
        ("cnn, changed digits", changed),
        ("cnn, digits found on the synthetic camera", lambda: camera(short)),
        ("kill -9 of a publisher", lambda: killed_publishers(bundled(CNN), short)),
        ("versions swapped under load", partial(swaps_under_load, short)),
        ("bad versions refused", refusals),
        ("publishers at once", lambda: publishers_at_once(bundled(CNN), short)),
        *(
            (f"`digitserve-train fit --recipe {name}`", partial(trained_anew, name))
            for name in ([] if short else again)
        ),
    )
