"""The model bundle: there whole, or not at all."""

import os
from pathlib import Path

import pytest

from digitserve.trainer.bundle import check_free, new_bundle
from digitserve.trainer.errors import TrainerError


def test_a_bundle_appears_at_its_end(tmp_path: Path) -> None:
    """While it is written nothing bears its name, and no server opens what does exist."""
    target = tmp_path / "models" / "1"
    with new_bundle(target) as folder:
        (folder / "file").write_text("content")
        assert not target.exists()
        assert folder.parent == target.parent
        assert not folder.name.isdecimal()
    assert (target / "file").read_text() == "content"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_nothing(tmp_path: Path, failure: BaseException) -> None:
    """Neither the bundle nor what was written so far."""

    def write() -> None:
        with new_bundle(tmp_path / "1") as folder:
            (folder / "file").write_text("half")
            raise failure

    with pytest.raises(type(failure)):
        write()
    assert not list(tmp_path.iterdir())


def test_a_failing_rename_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last step fails: the same."""

    def refuse(*_: object) -> None:
        raise PermissionError

    def write() -> None:
        with new_bundle(tmp_path / "1") as folder:
            (folder / "file").write_text("whole")
            monkeypatch.setattr(Path, "rename", refuse)

    with pytest.raises(PermissionError):
        write()
    assert not list(tmp_path.iterdir())


def test_everything_is_flushed_before_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file and both folders reach the disk; the rename comes between them."""
    steps: list[str] = []
    flush, rename = os.fsync, Path.rename

    def note_flush(descriptor: int) -> None:
        steps.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name)
        flush(descriptor)

    def note_rename(path: Path, target: Path) -> Path:
        steps.append("rename")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", note_flush)
    monkeypatch.setattr(Path, "rename", note_rename)
    with new_bundle(tmp_path / "1") as folder:
        (folder / "file").write_text("content")
    assert steps == ["file", folder.name, "rename", tmp_path.name]


def test_a_bundle_is_never_overwritten(tmp_path: Path) -> None:
    """A target that exists is refused before anything is written, and at the end again."""
    with pytest.raises(TrainerError, match="expected a new folder, came one that exists"):
        check_free(tmp_path)

    def overtaken() -> None:
        with new_bundle(tmp_path / "1"):
            (tmp_path / "1").mkdir()

    with pytest.raises(TrainerError, match="one that exists"):
        overtaken()
    assert list(tmp_path.iterdir()) == [tmp_path / "1"]


def test_others_may_read_a_bundle(tmp_path: Path) -> None:
    """The server runs as somebody else: the folder's mode is what the umask leaves."""
    before = os.umask(0o022)
    try:
        with new_bundle(tmp_path / "1"):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "1").stat().st_mode & 0o777 == 0o755
