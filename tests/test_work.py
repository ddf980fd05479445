"""Which work a submission is: the same pixels for the same account are the same work, everything else is not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from cartoonize_pack.utils.images import Picture
from cartoonize_pack.utils.work import (
    LONGEST_TASK,
    Order,
    Work,
    candidate_keys,
    content_of,
    say_places,
    split_work,
    work_key,
)

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
    assert work_key(["a", "b"], ORDER) == "0a3533121e270b10f1c9313e9dd0f3a6393778ae702549ef1e3a1695501dbfc7"


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
    works = split_work(links, range(1, images + 1), candidate_keys(contents, ORDER, most), most)
    assert [len(work.links) for work in works] == sizes
    assert [link for work in works for link in work.links] == links
    assert [place for work in works for place in work.places] == list(range(1, images + 1))
    assert [work.key for work in works] == [
        work_key([contents[place - 1] for place in work.places], ORDER) for work in works
    ]


def cut(contents: Sequence[str], most: int, known: Sequence[Sequence[str]] = ()) -> list[Work]:
    """The tasks of these images, given the images of the tasks that are known."""
    links = [f"https://pictures.example/{i}.png" for i in range(len(contents))]
    keys = {work_key(run, ORDER) for run in known}
    return split_work(links, range(1, len(contents) + 1), candidate_keys(contents, ORDER, most), most, keys)


def runs(works: Sequence[Work]) -> list[tuple[int, int]]:
    """The first and the last image of each task, counted from 1."""
    return [(work.places[0], work.places[-1]) for work in works]


LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize(
    ("images", "most", "known", "expected"),
    [
        ("abcde", 3, [], [(1, 3), (4, 5)]),
        ("abcdef", 3, ["abc", "de"], [(1, 3), (4, 5), (6, 6)]),
        ("abcdefgh", 3, ["abc", "de"], [(1, 3), (4, 5), (6, 8)]),
        ("xyabcde", 3, ["abc", "de"], [(1, 2), (3, 5), (6, 7)]),
        ("vwxyabcde", 3, ["abc", "de"], [(1, 3), (4, 4), (5, 7), (8, 9)]),
        ("abcxyde", 3, ["abc", "de"], [(1, 3), (4, 5), (6, 7)]),
        ("abxcde", 3, ["abc", "de"], [(1, 3), (4, 4), (5, 6)]),
        ("de", 3, ["abc", "de"], [(1, 2)]),
        ("abcde", 2, ["abcde"], [(1, 5)]),
        ("xabcde", 2, ["abcde"], [(1, 1), (2, 6)]),
        ("abcde", 20, ["ab", "cd"], [(1, 2), (3, 4), (5, 5)]),
        ("abcde", 20, ["a", "abc", "ab"], [(1, 3), (4, 5)]),
        ("abcde", 20, ["bcd", "c", "cde"], [(1, 1), (2, 4), (5, 5)]),
        ("edcba", 20, ["abc", "de"], [(1, 5)]),
        ("aaaa", 20, ["aa"], [(1, 2), (3, 4)]),
        (LETTERS, 5, [LETTERS[:20]], [(1, 20), (21, 25), (26, 26)]),
        (LETTERS, 5, [LETTERS[:21]], [(1, 5), (6, 10), (11, 15), (16, 20), (21, 25), (26, 26)]),
        (LETTERS, 22, [LETTERS[1:23]], [(1, 1), (2, 23), (24, 26)]),
        ("", 20, ["a"], []),
    ],
    ids=[
        "nothing known",
        "one more",
        "three more",
        "two in front",
        "more than a task in front",
        "two between",
        "one inside",
        "the first ones left out",
        "a smaller limit",
        "a smaller limit, one in front",
        "a larger limit",
        "the longest counts",
        "the first counts",
        "another order",
        "the same image again",
        "the documented limit of before",
        "longer than any task was",
        "longer than the document has it",
        "no images",
    ],
)
def test_images_of_a_known_task_stay_together(
    images: str, most: int, known: list[str], expected: list[tuple[int, int]]
) -> None:
    """A batch that grew, or another limit, makes no new work of what was paid for; only the rest is sent."""
    assert runs(cut(images, most, known)) == expected


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_known_no_image_is_lost_doubled_or_moved(seed: int) -> None:
    """Batches, limits and earlier tasks by chance: every property that paying once, for the right faces, rests on."""
    chance = random.Random(seed)
    contents = [f"content {chance.randrange(30)}" for _ in range(chance.randrange(60))]
    most = chance.choice([1, 2, 3, 7, 20, 25])
    known = []
    for _ in range(chance.randrange(12)):
        first = chance.randrange(60)
        known.append(contents[first : first + chance.randint(1, 25)])
    works = cut(contents, most, known)
    assert [link for work in works for link in work.links] == [
        f"https://pictures.example/{i}.png" for i in range(len(contents))
    ]
    assert [place for work in works for place in work.places] == list(range(1, len(contents) + 1))
    longest = max(LONGEST_TASK, most)
    paid = {tuple(run) for run in known if 0 < len(run) <= longest}
    for work in works:
        images = tuple(contents[place - 1] for place in work.places)
        assert 1 <= len(work.links) == len(images) <= longest
        assert work.key == work_key(images, ORDER)
        first = work.places[0] - 1
        starts = [n for n in range(longest, 0, -1) if tuple(contents[first : first + n]) in paid]
        if starts and first + starts[0] <= len(contents):
            assert images == tuple(contents[first : first + starts[0]])
        if images not in paid:
            assert len(images) <= most
            for begin in range(first, first + len(images)):
                assert not any(tuple(contents[begin : begin + len(run)]) == run for run in paid)


@pytest.mark.parametrize("most", [1, 7, 20, 25])
def test_what_is_not_known_changes_nothing(most: int) -> None:
    """Keys of other images, and of the same images under another variation: it is cut as if the journal were empty."""
    contents = [f"content {i}" for i in range(45)]
    other = {work_key(contents[:most], replace(ORDER, variation=1)), work_key(["x"], ORDER)}
    places = range(1, 46)
    plain = split_work(contents, places, candidate_keys(contents, ORDER, most), most)
    assert split_work(contents, places, candidate_keys(contents, ORDER, most), most, other) == plain
    assert [len(work.links) for work in plain][:-1] == [most] * (len(plain) - 1)


def test_what_was_cut_before_is_cut_the_same_when_it_is_known() -> None:
    """A second run finds every task of the first."""
    contents = [f"content {i}" for i in range(45)]
    first = cut(contents, 20)
    assert cut(contents, 20, [contents[:20], contents[20:40], contents[40:]]) == first


@pytest.mark.parametrize(
    ("images", "most", "longest"), [(45, 20, 20), (45, 5, 20), (45, 30, 30), (3, 20, 3), (0, 20, 0)]
)
def test_every_run_of_images_that_may_have_been_a_task_has_its_key(images: int, most: int, longest: int) -> None:
    """By its start and its length, up to the longest that any version may have sent."""
    contents = [f"content {i}" for i in range(images)]
    keys = candidate_keys(contents, ORDER, most)
    assert set(keys) == {
        (start, length) for start in range(images) for length in range(1, longest + 1) if start + length <= images
    }
    assert all(key == work_key(contents[start : start + n], ORDER) for (start, n), key in keys.items())


def test_new_links_to_the_same_pictures_are_the_same_work() -> None:
    """A key follows the contents, not the links, nor the numbers of the images."""
    contents = ["a", "b", "c"]
    old = split_work(["x1", "x2", "x3"], [1, 2, 3], candidate_keys(contents, ORDER, 2), 2)
    new = split_work(["y1", "y2", "y3"], [4, 7, 9], candidate_keys(contents, ORDER, 2), 2)
    assert [work.key for work in old] == [work.key for work in new]
    assert old[0].key != old[1].key


def test_work_says_its_images() -> None:
    """As errors and progress name it."""
    (work,) = split_work(["x", "y"], [3, 7], candidate_keys(["a", "b"], ORDER, 20), 20)
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
