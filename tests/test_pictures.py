"""The picture store: names, expiry, and nothing but pictures."""

from __future__ import annotations

from pathlib import Path

import pytest
from cartoonize_pack.utils.service.pictures import PictureStore


@pytest.fixture
def now() -> list[float]:
    return [1_000_000.0]


@pytest.fixture
def store(tmp_path: Path, now: list[float]) -> PictureStore:
    return PictureStore(tmp_path / "pictures", lambda: now[0])


def test_a_picture_is_there_until_it_expires_and_then_swept(store: PictureStore, now: list[float]) -> None:
    """An expired name answers like one that never was, and its file goes."""
    name = store.put(b"pixels", "image/png", 60)
    path = store.path(name)
    assert path is not None
    assert path.read_bytes() == b"pixels"
    assert store.sweep() == 0
    now[0] += 61
    assert store.path(name) is None
    assert store.sweep() == 1
    assert not path.exists()


def test_names_are_random_and_long(store: PictureStore) -> None:
    """The same bytes twice have different names of 256 random bits."""
    names = {store.put(b"same", "image/jpeg", 60) for _ in range(50)}
    assert len(names) == 50
    assert all(len(name.partition(".")[0]) == 43 for name in names)


@pytest.mark.parametrize(
    "name", ["", "..", "../jobs.sqlite3", "a.png", "/etc/passwd", "a" * 43 + ".svg", "%2e%2e/x.png"]
)
def test_no_name_leads_out_of_the_store(store: PictureStore, name: str, tmp_path: Path) -> None:
    """Whatever is not one of the store's own names is nothing, for reading and for deleting."""
    (tmp_path / "jobs.sqlite3").write_bytes(b"precious")
    assert store.path(name) is None
    store.delete(name)
    assert (tmp_path / "jobs.sqlite3").exists()


def test_deleting_is_final_and_repeatable(store: PictureStore) -> None:
    """Deleting what is gone is no error."""
    name = store.put(b"pixels", "image/png", 60)
    store.delete(name)
    store.delete(name)
    assert store.path(name) is None
