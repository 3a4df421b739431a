"""How hard the synthetic camera makes it: three fixed settings, so that figures stay comparable."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """The limits within which a seed decides.

    Attributes:
        count: digits on a picture, least and most.
        height: of a digit's ink, in pixels of 480.
        slant: how far its upright strokes may lean to either side, in degrees.
        turn: how far all of it may be rotated to either side, in degrees.
        gap: free pixels between two digits' boxes.
        blur: standard deviation of the camera's blur, in pixels.
        noise: standard deviation of the camera's noise, of 255.
        gradient: the share of light that is lost from one side to the other.
        inverted: how many of the pictures are light ink on dark paper.
    """

    count: tuple[int, int] = (3, 8)
    height: tuple[float, float] = (24, 60)
    slant: float = 12
    turn: float = 0
    gap: int = 10
    blur: tuple[float, float] = (0.5, 1.5)
    noise: float = 8
    gradient: float = 0.4
    inverted: float = 0


SETTINGS = {
    "gentle": Setting(height=(40, 60), slant=5, gap=16, blur=(0.3, 0.7), noise=3, gradient=0.15),
    "normal": Setting(),
    "hard": Setting(
        height=(18, 72),
        slant=20,
        turn=12,
        gap=5,
        blur=(1, 2.5),
        noise=16,
        gradient=0.65,
        inverted=0.25,
    ),
}
