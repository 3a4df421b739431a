"""Files that lie, break off or were never images: one error that names them, and nothing else."""

import fcntl
import gzip
import io
import os
import struct
import sys
import termios
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digitserve.client.images import ImageFileError, detect, read_images
from digitserve.client.load.labels import labels_of

BATCH = np.arange(3 * 784, dtype=np.uint32).astype(np.uint8).reshape(3, 28, 28)


def saved(save: Callable[[io.BytesIO], object]) -> bytes:
    """What is written to a file."""
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def npy_header(text: str, version: int = 1) -> bytes:
    """A `.npy` with this header and no data."""
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text.encode()


def png(width: int, height: int) -> bytes:
    """A tiny file that unpacks to many points."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


SOUND = [
    saved(lambda file: np.save(file, BATCH)),
    saved(lambda file: np.save(file, np.asfortranarray(BATCH / 255))),
    saved(lambda file: np.savez(file, x_test=BATCH)),
    saved(lambda file: np.savez_compressed(file, x_test=BATCH)),
    struct.pack(">IIII", 0x803, 3, 28, 28) + BATCH.tobytes(),
    gzip.compress(struct.pack(">IIII", 0x803, 3, 28, 28) + BATCH.tobytes()),
    b"P5 28 28 255\n" + BATCH[0].tobytes(),
    b"P2 28 28 255\n" + b" ".join(b"%d" % level for level in BATCH[0].ravel()),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to write to."""
    return tmp_path_factory.mktemp("hostile") / "file"


@settings(deadline=None)
@given(content=st.sampled_from(SOUND), data=st.data())
def test_a_damaged_file_gives_images_or_one_error(
    file: Path, content: bytes, data: st.DataObject
) -> None:
    """Whatever is changed or cut off: 784 bytes an image, or `ImageFileError`."""
    damaged = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for _ in range(data.draw(st.integers(0, 3))):
        if damaged:
            at = data.draw(st.integers(0, min(len(damaged), 200) - 1))
            damaged[at] = data.draw(st.integers(0, 255))
    file.write_bytes(damaged)
    with suppress(ImageFileError):
        assert all(len(image.pixels) == 784 for image in read_images(file))


@settings(deadline=None)
@given(content=st.binary(max_size=400))
def test_noise_gives_one_error(file: Path, content: bytes) -> None:
    """A file that was never an image."""
    file.write_bytes(content)
    with pytest.raises(ImageFileError):
        list(read_images(file))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (npy_header("{'descr': '|u1'}"), r"a broken \.npy header"),
        (npy_header("__import__('os')"), r"a broken \.npy header"),
        (npy_header("(" * 5000), r"a broken \.npy header"),
        (npy_header("{}", version=9), r"unknown version of the \.npy format"),
        (npy_header("{'descr': '|O', 'fortran_order': False, 'shape': (1, 784)}"), "dtype '|O'"),
        (
            npy_header("{'descr': '|u1', 'fortran_order': False, 'shape': (0, 28, 28)}"),
            "no images in it",
        ),
        (
            npy_header("{'descr': '<f8', 'fortran_order': True, 'shape': (99999999, 784)}"),
            "in Fortran order",
        ),
        (struct.pack(">IIII", 0xD03, 1, 28, 28), "IDX of type float"),
        (struct.pack(">IIII", 0x803, 1, 32, 32), "images of 32x32"),
        (struct.pack(">II", 0x803, 1), "cut off in its IDX header"),
        (b"P5 28 28 65535\n" + bytes(1568), "a highest value of 65535"),
        (b"P5 28 28 9\n" + bytes([10]) * 784, "a pixel of 10"),
        (b"P5 28 28 255\n" + bytes(785), "more pixels than 28x28"),
        (b"P2 28 28 255\n1 2 -3", "among the pixels"),
        (b"P2 28\n", "a broken PGM header"),
        (gzip.compress(b"hello, world"), "nothing known"),
    ],
)
def test_what_came_is_said(file: Path, content: bytes, said: str) -> None:
    """In words that help to find the fault."""
    file.write_bytes(content)
    with pytest.raises(ImageFileError, match=said):
        list(read_images(file))


def test_what_comes_before_the_end_of_a_cut_off_file_is_read(file: Path) -> None:
    """Images are read one at a time, not the file at once."""
    file.write_bytes(SOUND[0][:-1])
    images = read_images(file)
    assert [next(images).pixels for _ in range(2)] == [image.tobytes() for image in BATCH[:2]]
    with pytest.raises(ImageFileError, match="cut off after 2 of 3 images"):
        next(images)


def test_a_member_of_an_archive_that_is_damaged_is_said(file: Path) -> None:
    """By its checksum."""
    content = bytearray(SOUND[2])
    content[600] ^= 1
    file.write_bytes(content)
    with pytest.raises(ImageFileError, match="Bad CRC-32"):
        list(read_images(file))


@pytest.fixture(params=["name", "lzma", "encrypted"])
def unpackable(request: pytest.FixtureRequest) -> bytes:
    """Archives that `zipfile` stumbles over, each in a way of its own."""
    buffer = io.BytesIO()
    packing = zipfile.ZIP_LZMA if request.param == "lzma" else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", packing) as archive:
        for name in ("x_t\u00e9st.npy", "x_test.npy", "y_test.npy"):
            archive.writestr(name, saved(lambda member: np.save(member, BATCH)))
    content = bytearray(buffer.getvalue())
    if request.param == "name":
        return bytes(content).replace("\u00e9".encode(), b"\xff\xfe")
    for member in (b"x_test.npy", b"y_test.npy"):
        if request.param == "lzma":
            content[content.find(member) + len(member) + 4] = 0xFF  # the properties of its coder
        else:
            content[content.rfind(member) - 38] |= 1  # a flag in the archive's directory
    return bytes(content)


def test_what_cannot_be_unpacked_is_one_error(file: Path, unpackable: bytes) -> None:
    """Of its images and, without one, of its labels."""
    broken = file.with_suffix(".npz")
    broken.write_bytes(unpackable)
    with pytest.raises(ImageFileError, match="cannot be unpacked"):
        list(read_images(broken))
    assert labels_of(broken, 3) is None


def _unread(pipe: int) -> int:
    """How many bytes nobody has read yet."""
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))
    return int(count)


@pytest.mark.parametrize("content", SOUND)
def test_a_pipe_is_read_as_a_file_is(file: Path, content: bytes) -> None:
    """However few bytes its first write has."""
    file.write_bytes(content)
    reading, writing = os.pipe()
    os.write(writing, content[:3])
    with ThreadPoolExecutor(1) as threads:
        piped = threads.submit(lambda: list(read_images(f"/dev/fd/{reading}")))
        while _unread(reading):
            pass
        with open(writing, "wb") as pipe:
            pipe.write(content[3:])
        images = piped.result()
    os.close(reading)
    assert [each.pixels for each in images] == [each.pixels for each in read_images(file)]


def test_a_pipe_without_an_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not fill the memory."""
    monkeypatch.setattr(detect, "_PIPE_LIMIT", 1000)
    reading, writing = os.pipe()
    os.write(writing, bytes(1001))
    with pytest.raises(ImageFileError, match="more than 1000 bytes from a pipe"):
        list(read_images(f"/dev/fd/{reading}"))
    for end in (reading, writing):
        os.close(end)


def test_an_array_can_be_named_in_an_archive_alone(file: Path) -> None:
    """`digits.npy:key` is refused; a file that is really called so is read."""
    file.write_bytes(SOUND[0])
    with pytest.raises(ImageFileError, match=r"not a \.npz archive"):
        list(read_images(f"{file}:key"))
    twin = file.with_name("file:key")
    twin.write_bytes(SOUND[0])
    assert len(list(read_images(twin))) == 3


def test_an_archive_of_one_array_needs_no_name(file: Path) -> None:
    """Whatever it is called; among several the usual names come first."""
    file.write_bytes(saved(lambda archive: np.savez(archive, mine=BATCH)))
    assert next(read_images(file)).name == f"{file}:mine[0]"
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("images.npy", saved(lambda member: np.save(member, BATCH[0])))
    assert [image.name for image in read_images(file)] == [f"{file}:images"]


@pytest.mark.parametrize("missing", ["PIL", "numpy"])
def test_without_the_extra_a_picture_says_what_to_install(
    file: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what needs no extra is read."""
    for name in [name for name in sys.modules if name.startswith("digitserve.client.images.")]:
        if name.rpartition(".")[2] in {"picture", "ink", "normalise", "blobs"}:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    file.write_bytes(png(28, 28))
    with pytest.raises(ImageFileError, match=r"pip install 'digitserve\[cli\]'"):
        list(read_images(file))
    file.write_bytes(SOUND[6])
    assert [image.pixels for image in read_images(file)] == [BATCH[0].tobytes()]


class TestPictures:
    """What decoders meet."""

    @pytest.fixture(autouse=True)
    def _pillow(self) -> None:
        pytest.importorskip("PIL", reason="pictures need the extra `cli`")

    @pytest.mark.parametrize("side", [10_000, 30_000])
    def test_a_bomb_is_refused_before_it_is_unpacked(self, file: Path, side: int) -> None:
        """By the size in its header."""
        file.write_bytes(png(side, side))
        with pytest.raises(ImageFileError, match="exceeds limit"):
            list(read_images(file))

    def test_postscript_is_not_run(self, file: Path) -> None:
        """Pillow would start Ghostscript."""
        file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n")
        with pytest.raises(ImageFileError, match="nothing known"):
            list(read_images(file))

    @settings(deadline=None)
    @given(data=st.data())
    def test_a_damaged_picture_gives_an_image_or_one_error(
        self, file: Path, data: st.DataObject
    ) -> None:
        """Pillow raises many things; none of them comes through."""
        from PIL import Image  # noqa: PLC0415

        drawn = Image.fromarray(np.pad(BATCH[0], 4, constant_values=255))
        kind = data.draw(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]))
        content = bytearray(saved(lambda picture: drawn.save(picture, kind)))
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(8, len(content) - 1))] = data.draw(st.integers(0, 255))
        file.write_bytes(content)
        with suppress(ImageFileError):
            assert [len(image.pixels) for image in read_images(file)] == [784]
