"""A bare `.keras` file of unknown making becomes a model bundle, or is refused.

    load safely ─▶ its input range ─▶ wrap if need be ─▶ probabilities? reads digits? ─▶ compile,
    compare ─▶ bundle, with golden answers, without training and evaluation

Nothing is believed that can be looked at: a network that answers nonsense is refused here
and not found out by a caller.
"""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from digitserve.trainer import bundle, compiled, foreign, training
from digitserve.trainer.drawn import Images, drawn_digits
from digitserve.trainer.errors import ModelError
from digitserve.trainer.golden import golden_answers, golden_digits
from digitserve.trainer.input_range import InputRange, Predict, check, read_from
from digitserve.trainer.networks import Model

_DRAWN = 50  # of each digit, to compare the compiled network with Keras
_SEED = 500


def convert(source: Path, target: Path, input_range: str | None = None) -> None:
    """Compile the network of a `.keras` file and leave a bundle at `target`.

    Args:
        source: the `.keras` file.
        target: the bundle's folder, a new one.
        input_range: `0..255` or `0..1`; by default a Rescaling layer tells.

    Raises:
        ModelError: if the network is refused.
        TrainerError: if the bundle cannot be written.
    """
    bundle.check_free(target)
    given = foreign.load(source)
    wanted = InputRange(input_range) if input_range else read_from(given)
    if wanted is None:
        raise ModelError(
            f"{source}: expected a Rescaling layer that tells the input range, came none: "
            "say --input-range 0..255 or --input-range 0..1"
        )
    networks = {each: foreign.taking_raw_pixels(given, each) for each in InputRange}
    asked = {each: _asking(network) for each, network in networks.items()}
    foreign.check_probabilities(source, asked[wanted](golden_digits()[0]))
    check(source, asked, wanted)
    with bundle.new_bundle(target) as folder:
        _fill(folder, source, networks[wanted], unchanged=networks[wanted] is given)


def _asking(network: Model) -> Predict:
    def ask(images: Images) -> NDArray[np.float32]:
        return training.predict(network, images)

    return ask


def _fill(folder: Path, source: Path, network: Model, *, unchanged: bool) -> None:
    drawn, _ = drawn_digits(_DRAWN, _SEED)
    answers = training.predict(network, drawn)
    if unchanged:
        shutil.copyfile(source, folder / bundle.KERAS)
    else:
        training.save(network, folder / bundle.KERAS)
        training.prove_saved(folder / bundle.KERAS, drawn, answers)
    compiled.compile_network(network, folder / bundle.COMPILED)
    compiled.compare(folder / bundle.COMPILED, drawn, answers)
    bundle.write_manifest(
        folder,
        description=f"A network that was trained elsewhere, from {source.name}.",
        golden_answers=golden_answers(_asking(network)),
    )
