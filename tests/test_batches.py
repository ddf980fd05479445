"""Pictures of any size -> one batch of floats: exact values, masks as ComfyUI has them."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from cartoonize_pack.utils.batches import Sizes, cropped_to, make_batch, padded_to, to_float
from cartoonize_pack.utils.images import Picture


def filled(width: int, height: int, value: int, alpha: int | None = None) -> Picture:
    """A picture of one colour, and of one opacity if it has any."""
    opacity = None if alpha is None else np.full((height, width), alpha, np.uint8)
    return Picture(np.full((height, width, 3), value, np.uint8), opacity)


def stripes(width: int, height: int, *, along: str) -> Picture:
    """A picture of three equal bands 10, 100, 200: side by side along x, one above the other along y."""
    band = np.repeat(np.uint8([10, 100, 200]), (width if along == "x" else height) // 3)
    grid = np.broadcast_to(band if along == "x" else band[:, None], (height, width))
    return Picture(np.repeat(grid[..., None], 3, axis=2))


def test_floats_are_the_pixel_values_divided_by_255() -> None:
    """32-bit floats, 0 and 1 exactly at the ends, every step where from_float would find it."""
    picture = Picture(np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3))
    floats = to_float(picture)
    assert floats.dtype == np.float32
    assert floats.shape == (16, 16, 3)
    assert floats.min() == 0
    assert floats.max() == 1
    assert np.array_equal(np.rint(floats * 255).astype(np.uint8), picture.rgb)


@pytest.mark.parametrize("sizes", list(Sizes))
@pytest.mark.parametrize("count", [1, 3])
def test_pictures_of_one_size_become_a_batch_in_every_mode(sizes: Sizes, count: int) -> None:
    """The mode is about different sizes only; order and values are exact, and nothing is masked."""
    batch = make_batch([filled(5, 4, 51 * i) for i in range(count)], sizes)
    assert batch is not None
    assert batch.images.shape == (count, 4, 5, 3)
    assert batch.masks.shape == (count, 4, 5)
    assert batch.images.dtype == batch.masks.dtype == np.float32
    for i in range(count):
        assert set(batch.images[i].ravel()) == {np.float32(51 * i) / np.float32(255)}
    assert not batch.masks.any()


@pytest.mark.parametrize("sizes", list(Sizes))
def test_transparency_becomes_the_mask_of_its_own_picture(sizes: Sizes) -> None:
    """1 is transparent, as in ComfyUI; the colour under it is left as it is."""
    batch = make_batch([filled(5, 4, 255, alpha=0), filled(5, 4, 255), filled(5, 4, 255, alpha=51)], sizes)
    assert batch is not None
    assert set(batch.masks[0].ravel()) == {1.0}
    assert set(batch.masks[1].ravel()) == {0.0}
    assert np.allclose(batch.masks[2], 0.8, atol=1e-6)
    assert batch.images.min() == 1.0


def test_a_partly_transparent_picture_is_masked_where_it_is_transparent() -> None:
    """Pixel by pixel."""
    alpha = np.array([[255, 0], [0, 255]], np.uint8)
    batch = make_batch([Picture(np.zeros((2, 2, 3), np.uint8), alpha)], Sizes.PAD)
    assert batch is not None
    assert batch.masks.tolist() == [[[0, 1], [1, 0]]]


def test_different_sizes_as_a_list_only_make_no_batch() -> None:
    """The list beside it holds them at their own sizes."""
    assert make_batch([filled(5, 4, 0), filled(4, 5, 0)], Sizes.LIST_ONLY) is None


@pytest.mark.parametrize("other", [(5, 8), (10, 4), (10, 8), (2, 2), (20, 3)])
def test_match_first_gives_every_picture_the_size_of_the_first(other: tuple[int, int]) -> None:
    """Colours of plain pictures stay exact through scaling, and nothing is masked."""
    batch = make_batch([filled(5, 4, 0), filled(*other, 255)], Sizes.MATCH_FIRST)
    assert batch is not None
    assert batch.images.shape == (2, 4, 5, 3)
    assert set(batch.images[0].ravel()) == {0.0}
    assert set(batch.images[1].ravel()) == {1.0}
    assert not batch.masks.any()


def test_match_first_leaves_the_first_picture_untouched() -> None:
    """Also where a later one is larger."""
    first = Picture(np.random.default_rng(3).integers(0, 256, (4, 5, 3), dtype=np.uint8))
    batch = make_batch([first, filled(50, 40, 9)], Sizes.MATCH_FIRST)
    assert batch is not None
    assert np.array_equal(batch.images[0], to_float(first))


@pytest.mark.parametrize(
    ("picture", "size", "expected"),
    [
        (stripes(9, 3, along="x"), (3, 3), [[100, 100, 100]] * 3),
        (stripes(3, 9, along="y"), (3, 3), [[100, 100, 100]] * 3),
        (stripes(6, 2, along="x"), (4, 2), [[10, 100, 100, 200]] * 2),
        (stripes(9, 2, along="x"), (6, 2), [[10, 10, 100, 100, 100, 200]] * 2),
        (stripes(3, 3, along="x"), (3, 3), [[10, 100, 200]] * 3),
    ],
    ids=["wide to square", "high to square", "even overhang", "odd overhang", "same size"],
)
def test_cropping_cuts_the_overhang_on_both_sides(
    picture: Picture, size: tuple[int, int], expected: list[list[int]]
) -> None:
    """The middle stays; where the overhang is odd, the left or upper side loses the smaller half."""
    found = cropped_to(picture, *size)
    assert found.rgb[..., 0].tolist() == expected


def test_cropping_scales_evenly_before_it_cuts() -> None:
    """A face twice as wide as the frame is not squeezed: bands keep their proportion."""
    found = cropped_to(stripes(360, 60, along="x"), 60, 30)  # scaled to 180x30, 60 of 180 columns are left
    assert (found.width, found.height) == (60, 30)
    assert np.abs(found.rgb[:, 5:-5, 0].astype(int) - 100).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (7, 3), (3, 7), (640, 1), (333, 500)])
@pytest.mark.parametrize("source", [(1, 1), (10, 7), (7, 10), (60, 2)])
def test_cropping_gives_exactly_the_size_asked_for(source: tuple[int, int], size: tuple[int, int]) -> None:
    """Rounding never leaves a column too few."""
    found = cropped_to(filled(*source, 77, alpha=200), *size)
    assert found.rgb.shape == (size[1], size[0], 3)
    assert found.alpha is not None
    assert found.alpha.shape == (size[1], size[0])
    assert set(found.rgb.ravel()) == {77}
    assert set(found.alpha.ravel()) == {200}


def test_padding_makes_room_for_the_largest_width_and_the_largest_height() -> None:
    """No picture is scaled; each lies in the middle, black and masked around it."""
    batch = make_batch([filled(4, 2, 255), filled(2, 6, 51)], Sizes.PAD)
    assert batch is not None
    assert batch.images.shape == (2, 6, 4, 3)
    wide, high = np.zeros((6, 4), bool), np.zeros((6, 4), bool)
    wide[2:4, :] = True
    high[:, 1:3] = True
    for i, (window, value) in enumerate([(wide, 1.0), (high, 0.2)]):
        assert np.allclose(batch.images[i][window], value, atol=1e-7)
        assert not batch.images[i][~window].any()
        assert np.array_equal(batch.masks[i], np.where(window, 0.0, 1.0))


def test_padding_keeps_the_transparency_that_was_there() -> None:
    """Inside the picture its own opacity counts, outside everything is masked."""
    batch = make_batch([filled(4, 4, 0), filled(2, 2, 255, alpha=204)], Sizes.PAD)
    assert batch is not None
    assert np.allclose(batch.masks[1, 1:3, 1:3], 0.2, atol=1e-6)
    outside = batch.masks[1].copy()
    outside[1:3, 1:3] = 1
    assert set(outside.ravel()) == {1.0}
    assert set(batch.images[1, 1:3, 1:3].ravel()) == {1.0}


def test_padding_to_its_own_size_is_the_picture_itself() -> None:
    """Nothing is copied without need, and no transparency is added."""
    picture = filled(4, 3, 9)
    assert padded_to(picture, 4, 3) is picture


@pytest.mark.parametrize(
    ("size", "left", "top"), [((5, 3), 1, 0), ((4, 4), 1, 1), ((3, 6), 0, 2)], ids=["odd width", "even", "odd height"]
)
def test_an_odd_border_is_smaller_on_the_left_and_on_top(size: tuple[int, int], left: int, top: int) -> None:
    """Where the middle falls between two pixels, the same side is taken every time."""
    found = padded_to(filled(2, 2, 255), *size)
    rows, columns = np.nonzero(found.rgb[..., 0])
    assert (columns.min(), rows.min()) == (left, top)
    assert found.alpha is not None
    assert np.array_equal(found.alpha, found.rgb[..., 0])


def test_a_long_thin_picture_beside_a_large_one_does_not_fill_the_memory() -> None:
    """The window is cut before it is scaled: 10000x30 scaled to a height of 1000 would take 1 GB."""
    thin = Picture(np.zeros((30, 10_000, 3), np.uint8))
    tracemalloc.start()
    try:
        assert cropped_to(thin, 1000, 1000).rgb.shape == (1000, 1000, 3)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
