"""From data to a model bundle, step by step, each step told and each figure real.

data ──▶ train ──▶ evaluate, try ──▶ save, load, prove ──▶ compile, compare ──▶ report ──▶ bundle
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer import bundle, compiled, told, training
from digitserve.trainer.dataset import Dataset
from digitserve.trainer.drawn import Images, drawn_digits
from digitserve.trainer.evaluation import Evaluation, evaluate
from digitserve.trainer.golden import golden_answers
from digitserve.trainer.networks import Recipe
from digitserve.trainer.report import write_report
from digitserve.trainer.trials import Results, changed_digits, rejected_pictures
from digitserve.v1 import manifest_pb2

Say = Callable[[str], object]

_DRAWN = 50  # of each digit
_SHOWN = 3


def fit(
    recipe: Recipe,
    data: Dataset,
    *,
    seed: int,
    epochs: int | None,
    target: Path,
    report: Path | None,
    say: Say = print,
    verbose: int = 1,
) -> manifest_pb2.ModelManifest:
    """Train `recipe` on `data` and leave a bundle at `target`, a report at `report`."""
    bundle.check_free(target)
    trained = training.train(recipe, data, seed=seed, epochs=epochs, verbose=verbose)
    took = f"{trained.epochs} epochs in {trained.seconds:.1f} s"
    say(f"Trained    {recipe.name}, seed {seed}, {took}")
    return finish(trained, data, target=target, report=report, say=say)


def finish(
    trained: training.Trained, data: Dataset, *, target: Path, report: Path | None, say: Say
) -> manifest_pb2.ModelManifest:
    """Evaluate what was trained, and leave a bundle at `target`, a report at `report`."""
    results = _evaluated(trained, data, say)
    with bundle.new_bundle(target) as folder:
        manifest = _fill(folder, trained, data, results, say)
        if report is not None:
            say(f"Report     {write_report(report, trained, data, results)}")
    say(f"Bundle     {target}")
    return manifest


def _evaluated(trained: training.Trained, data: Dataset, say: Say) -> Results:
    def ask(images: Images) -> NDArray[np.float32]:
        return training.predict(trained.model, images)

    answers = ask(data.test_images)
    found = evaluate(answers, data.test_labels)
    say(
        f"Evaluated  {found.accuracy:.2%} of {len(found.labels):,} test images right, "
        f"loss {found.loss:.4f}, calibration error {found.calibration_error:.2%}"
    )
    _tell_samples(found, say)
    changed = changed_digits(ask, data.test_images, data.test_labels)
    mean = np.mean([share.share for share in changed.values()])
    least = min(changed, key=lambda name: changed[name].share)
    say(
        f"Changed    {mean:.2%} of changed test images right, fewest {least}: "
        f"{changed[least].share:.2%}"
    )
    rejected = {}
    if (fitted := trained.calibration) is not None:
        rejected = rejected_pictures(ask, data.test_images, fitted.threshold)
        least = min(rejected, key=lambda name: rejected[name].share)
        say(
            f"Rejected   {found.rejected(fitted.threshold):.2%} of the test images at "
            f"{fitted.threshold:.3f}; no digits: fewest {least}, {rejected[least].share:.1%}"
        )
    return Results(answers, found, changed, rejected)


def _tell_samples(found: Evaluation, say: Say) -> None:
    for index in range(min(_SHOWN, len(found.labels))):
        said, true = found.digits[index], found.labels[index]
        row = " ".join(f"{share:.3f}" for share in found.probabilities[index])
        say(f"           image {index}: {said} (is {true})   {row}")


def _fill(
    folder: Path, trained: training.Trained, data: Dataset, results: Results, say: Say
) -> manifest_pb2.ModelManifest:
    model, images, found = trained.model, data.test_images, results.found
    training.save(model, folder / bundle.KERAS)
    proof = training.prove_saved(folder / bundle.KERAS, images, results.answers)
    say(f"Saved      {bundle.KERAS}; loaded again it answers alike, greatest difference {proof:g}")
    compiled.compile_network(model, folder / bundle.COMPILED)
    difference = compiled.compare(folder / bundle.COMPILED, images, results.answers)
    say(
        f"Compiled   {bundle.COMPILED}; the same digit for all {len(images):,} test images, "
        f"greatest difference {difference:.1e}"
    )
    drawn, labels = drawn_digits(_DRAWN, seed=0)
    read = np.mean(training.predict(model, drawn)[:, :10].argmax(axis=1) == labels)
    say(f"Drawn      reads {read:.1%} of {len(drawn)} drawn digits")
    return bundle.write_manifest(
        folder,
        description=(
            f"{trained.recipe.description} Trained on {data.name}, it reads "
            f"{found.accuracy:.2%} of the test images."
        ),
        golden_answers=golden_answers(lambda digits: training.predict(model, digits)),
        training=told.training(trained, data),
        evaluation=told.evaluation(data, results, trained.calibration),
        calibration=told.calibration(trained.calibration) if trained.calibration else None,
    )
