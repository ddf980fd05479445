"""Which work a submission is: the same pixels for the same account are the same work, everything else is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from cartoonize_pack.utils.images import Picture
from cartoonize_pack.utils.work import Order, content_of, say_places, split_work, work_key

ORDER = Order("https://api.example/batch", "account-hunter2", 0)


def noise(height: int = 4, width: int = 6) -> np.ndarray:
    """Pixels that are all different."""
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


def changed(pixels: np.ndarray) -> np.ndarray:
    """The same pixels, the last value one step brighter."""
    other = pixels.copy()
    other[-1, -1, -1] += 1
    return other


# The content of a picture


def test_the_same_pixels_have_the_same_content() -> None:
    """However they lie in memory."""
    pixels = noise()
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, ::2] = pixels
    expected = content_of(Picture(pixels))
    assert content_of(Picture(pixels.copy())) == expected
    assert content_of(Picture(wide[:, ::2])) == expected
    assert content_of(Picture(np.asfortranarray(pixels))) == expected


@pytest.mark.parametrize(
    "other",
    [
        Picture(changed(noise())),
        Picture(noise().reshape(6, 4, 3)),
        Picture(noise()[::-1]),
        Picture(noise(), np.full((4, 6), 255, np.uint8)),
    ],
    ids=["one value", "same bytes, other shape", "upside down", "with transparency"],
)
def test_other_pictures_have_other_contents(other: Picture) -> None:
    """One step of one value is enough."""
    assert content_of(other) != content_of(Picture(noise()))


def test_transparency_is_part_of_the_content() -> None:
    """Two cut-outs of one photo are two pictures."""
    alpha = np.full((4, 6), 255, np.uint8)
    holes = alpha.copy()
    holes[0, 0] = 254
    assert content_of(Picture(noise(), alpha)) == content_of(Picture(noise(), alpha.copy()))
    assert content_of(Picture(noise(), alpha)) != content_of(Picture(noise(), holes))


# The key of work


def test_the_same_work_has_the_same_key_for_ever() -> None:
    """Journals hold these keys: with another way to make them, everything known would be paid again."""
    picture = Picture(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))
    assert content_of(picture) == "2e7b89d12a129f4b5e52305e0e46fd1323782378630c8c9fb020f194adbdf380"
    assert work_key(["a", "b"], ORDER) == "f6847f4e2bf9a595949bf577acf82bd720a16968e5d1739b0d18f9ffc907ce6e"


@pytest.mark.parametrize(
    ("contents", "order"),
    [
        (["a", "b"], replace(ORDER, service="https://api.example/other")),
        (["a", "b"], replace(ORDER, account="somebody")),
        (["a", "b"], replace(ORDER, variation=1)),
        (["a", "b"], replace(ORDER, after=("t1",))),
        (["a", "b"], replace(ORDER, after=("t1", "t2@1"))),
        (["b", "a"], ORDER),
        (["a"], ORDER),
        (["a", "b", "b"], ORDER),
        (["ab"], ORDER),
        (["a, b"], ORDER),
        (['a", "b'], ORDER),
    ],
    ids=[
        "service",
        "account",
        "variation",
        "retry",
        "second retry",
        "order",
        "fewer",
        "more",
        "joined",
        "comma",
        "quote",
    ],
)
def test_other_work_has_another_key(contents: list[str], order: Order) -> None:
    """Each part counts, and none can pass for its neighbour."""
    keys = {
        work_key(["a", "b"], ORDER),
        work_key(["a", "b"], replace(ORDER, after=("t1", "t2"))),
        work_key(contents, order),
    }
    assert len(keys) == 3


def test_nothing_can_be_read_from_a_key() -> None:
    """It is stored in the clear, and in file names."""
    key = work_key(["link https://pictures.example/1.png?signature=hunter2"], ORDER)
    assert len(key) == 64
    assert set(key) <= set("0123456789abcdef")


# Cutting work into tasks


@pytest.mark.parametrize(
    ("images", "most", "sizes"),
    [
        (0, 20, []),
        (1, 20, [1]),
        (20, 20, [20]),
        (21, 20, [20, 1]),
        (45, 20, [20, 20, 5]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_work_is_cut_in_order_into_tasks_that_are_full_but_for_the_last(
    images: int, most: int, sizes: list[int]
) -> None:
    """No image is lost, doubled or moved; links, places and contents stay together."""
    links = [f"https://pictures.example/{i}.png" for i in range(images)]
    contents = [f"content {i}" for i in range(images)]
    works = split_work(links, contents, range(1, images + 1), most, ORDER)
    assert [len(work.links) for work in works] == sizes
    assert [link for work in works for link in work.links] == links
    assert [place for work in works for place in work.places] == list(range(1, images + 1))
    assert [work.key for work in works] == [
        work_key([contents[place - 1] for place in work.places], ORDER) for work in works
    ]


def test_new_links_to_the_same_pictures_are_the_same_work() -> None:
    """A key follows the contents, not the links, nor the numbers of the images."""
    contents = ["a", "b", "c"]
    old = split_work(["x1", "x2", "x3"], contents, [1, 2, 3], 2, ORDER)
    new = split_work(["y1", "y2", "y3"], contents, [4, 7, 9], 2, ORDER)
    assert [work.key for work in old] == [work.key for work in new]
    assert old[0].key != old[1].key


def test_work_says_its_images() -> None:
    """As errors and progress name it."""
    (work,) = split_work(["x", "y"], ["a", "b"], [3, 7], 20, ORDER)
    assert work.words == "images 3 and 7"


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ([3], "image 3"),
        ([1, 2], "images 1 to 2"),
        (range(1, 21), "images 1 to 20"),
        (range(21, 26), "images 21 to 25"),
        ([3, 7], "images 3 and 7"),
        ([3, 7, 9], "images 3, 7 and 9"),
        ([1, 2, 4], "images 1, 2 and 4"),
        ([1, 3, 4], "images 1, 3 and 4"),
    ],
)
def test_places_are_said_as_a_person_says_them(places: Sequence[int], words: str) -> None:
    """A range only where no image is missing from it."""
    assert say_places(places) == words
