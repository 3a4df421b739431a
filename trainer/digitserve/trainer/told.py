"""What the manifest tells of a training run: its messages, made of figures.

Shares are rounded to a millionth: what they were taken from is not finer.
"""

from collections.abc import Mapping

from digitserve.trainer.calibration import Calibration
from digitserve.trainer.dataset import Dataset
from digitserve.trainer.training import Trained
from digitserve.trainer.trials import Results, Share
from digitserve.v1 import manifest_pb2


def training(trained: Trained, data: Dataset) -> manifest_pb2.Training:
    """How a network was trained."""
    held_out = trained.calibration.images if trained.calibration else 0
    message = manifest_pb2.Training(
        recipe=trained.recipe.name,
        seed=trained.seed,
        epochs=trained.epochs,
        images=len(data.train_images) - held_out,
        held_out=held_out,
        dataset=data.name,
        seconds=round(trained.seconds, 1),
        packages=trained.packages,
    )
    message.finished.FromDatetime(trained.finished)
    return message


def evaluation(
    data: Dataset, results: Results, fitted: Calibration | None
) -> manifest_pb2.Evaluation:
    """How a network did."""
    found = results.found
    return manifest_pb2.Evaluation(
        dataset=f"{data.name} test",
        images=len(found.labels),
        accuracy=found.accuracy,
        loss=found.loss,
        calibration_error=round(found.calibration_error, 6),
        false_rejection=found.rejected(fitted.threshold) if fitted else None,
        changed=_shares(results.changed),
        rejected=_shares(results.rejected),
    )


def calibration(fitted: Calibration) -> manifest_pb2.Calibration:
    """What its certainty is worth."""
    return manifest_pb2.Calibration(
        temperature=fitted.temperature,
        rejection_temperature=fitted.rejection_temperature,
        rejection_threshold=fitted.threshold,
        false_rejection=fitted.false_rejection,
        images=fitted.images,
    )


def _shares(shares: Mapping[str, Share]) -> list[manifest_pb2.Share]:
    return [
        manifest_pb2.Share(name=name, share=round(each.share, 6), images=each.images)
        for name, each in shares.items()
    ]
