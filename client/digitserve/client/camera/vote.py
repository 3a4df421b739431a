"""A temporal vote: a digit that is seen again and again keeps its label through a flicker.

    readings of a picture ─▶ matched with those before by their boxes (IoU) ─▶ tracks
        ─▶ the last few readings of a track vote, each with its confidence ─▶ steady readings

Plain Python, without a clock: its time is counted in pictures.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from digitserve.client.camera.boxes import Box, Reading, matches


@dataclass(slots=True)
class _Track:
    """One digit of the paper, seen in several pictures."""

    number: int
    box: Box
    digit: int
    votes: deque[tuple[int, float]]
    missed: int = 0


@dataclass(slots=True)
class Vote:
    """Steadies the readings of a stream of pictures; one for each stream.

    Attributes:
        memory: how many of a track's last readings vote.
        patience: in how many pictures on end a digit may be missed before it is forgotten.
        least_overlap: how well a box must overlap (IoU) with where its digit was.
    """

    memory: int = 7
    patience: int = 5
    least_overlap: float = 0.3
    _tracks: list[_Track] = field(default_factory=list, init=False)
    _next: int = field(default=0, init=False)

    def update(self, readings: Sequence[Reading]) -> list[Reading]:
        """Takes the readings of the next picture and returns them steadied, in the same order."""
        pairs = dict(
            matches(
                [reading.box for reading in readings],
                [track.box for track in self._tracks],
                self.least_overlap,
            )
        )
        tracks = [
            self._tracks[pairs[index]] if index in pairs else self._begun(reading)
            for index, reading in enumerate(readings)
        ]
        self._forget(seen={track.number for track in tracks}, begun=tracks)
        return [_voted(track, reading) for track, reading in zip(tracks, readings, strict=True)]

    def _begun(self, reading: Reading) -> _Track:
        self._next += 1
        return _Track(self._next - 1, reading.box, reading.digit, deque(maxlen=self.memory))

    def _forget(self, seen: set[int], begun: Sequence[_Track]) -> None:
        """Ends the tracks that were missed too often; takes the new ones in."""
        missed = [track for track in self._tracks if track.number not in seen]
        for track in missed:
            track.missed += 1
        self._tracks = [*begun, *(track for track in missed if track.missed <= self.patience)]


def _voted(track: _Track, reading: Reading) -> Reading:
    """The reading as its track has it.

    The label changes when another has more weight and at least two votes: however sure a single
    reading is, it may be a flicker.  The confidence is the label's share of all the track's votes.
    """
    track.box, track.missed = reading.box, 0
    track.votes.append((reading.digit, reading.confidence))
    weights: dict[int, float] = {}
    counts: dict[int, int] = {}
    for digit, confidence in track.votes:
        weights[digit] = weights.get(digit, 0.0) + confidence
        counts[digit] = counts.get(digit, 0) + 1
    own = weights.get(track.digit, -1.0)
    for digit, weight in weights.items():
        if weight > own and counts[digit] > 1:
            track.digit, own = digit, weight
    confidence = max(own, 0.0) / len(track.votes)
    return Reading(reading.box, track.digit, confidence, track.number)
