"""The stylization engine: contract, stages, and the portraits that are easy to get wrong."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import quality_measures as quality
from cartoonize_pack.utils.service.engine import Style, draw, drawing, faces, lines, stylize
from cartoonize_pack.utils.service.engine.colour import lab_from_rgb, lightness_from_rgb, rgb_from_lab
from cartoonize_pack.utils.service.engine.components import clean_components
from cartoonize_pack.utils.service.engine.curves import soft_staircase, table_index
from cartoonize_pack.utils.service.engine.faces import find_faces
from cartoonize_pack.utils.service.engine.figure import Face
from cartoonize_pack.utils.service.engine.flow import Flow, smooth_along, tangent_flow
from cartoonize_pack.utils.service.engine.focus import defocus
from cartoonize_pack.utils.service.engine.hair import pale_hair
from cartoonize_pack.utils.service.engine.l0 import l0_smooth
from cartoonize_pack.utils.service.engine.noise import noise_deviation, remove_noise
from cartoonize_pack.utils.service.engine.resampling import Enlarger, resize_plane
from cartoonize_pack.utils.service.engine.screentone import screentone
from cartoonize_pack.utils.service.engine.skin import skin_mask
from cartoonize_pack.utils.service.engine.skin_model import learn_skin
from cartoonize_pack.utils.service.engine.tones import masked_tones, quantise_tones
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Picture = NDArray[np.uint8]

PORTRAIT = Path(__file__).parents[1] / "examples" / "portrait.jpg"
LEFT_EYE, RIGHT_EYE = (122, 92, 151, 111), (167, 93, 197, 112)
CHEEK, CHIN = (119, 113, 135, 123), (148, 158, 168, 168)
SMALL = (160, 200)  # half the portrait
RNG_SEED = 7


def load_portrait() -> Image.Image:
    with Image.open(PORTRAIT) as image:
        return image.convert("RGB")


def portrait(size: tuple[int, int] | None = None) -> Picture:
    """The bundled portrait [H,W,3], resized to (width, height) if given."""
    image = load_portrait()
    return np.array(image if size is None else image.resize(size, Image.Resampling.LANCZOS))


def noise(height: int, width: int) -> Picture:
    return np.random.default_rng(RNG_SEED).integers(0, 256, (height, width, 3), np.uint8)


def median_colour(rgb: Picture, box: tuple[int, int, int, int]) -> tuple[float, float, float]:
    left, top, right, bottom = box
    red, green, blue = np.median(rgb[top:bottom, left:right].reshape(-1, 3), 0)
    return float(red), float(green), float(blue)


def half(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """A box of the portrait in the small portrait."""
    left, top, right, bottom = (round(edge / 2) for edge in box)
    return left, top, right, bottom


def with_gamma(rgb: Picture, gamma: float) -> Picture:
    return (255 * (rgb / 255.0) ** gamma + 0.5).astype(np.uint8)


# --- Contract ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 2), (1, 40), (40, 3), (40, 300), (33, 51), (64, 64)])
def test_any_size_comes_back_unchanged_in_size(height: int, width: int, style: Style) -> None:
    assert stylize(noise(height, width), style).shape == (height, width, 3)


@pytest.mark.parametrize(
    ("height", "width", "style"),
    [(257, 257, Style.ANIME), (333, 517, Style.MANGA), (1249, 4999, Style.MANGA), (517, 333, Style.ANIME)],
)
def test_sizes_at_the_limits_of_the_service(height: int, width: int, style: Style) -> None:
    ramp = np.linspace(0, 255, width, dtype=np.uint8)[None, :, None]
    rgb = np.ascontiguousarray(np.broadcast_to(ramp, (height, width, 3)))
    result = stylize(rgb, style)
    assert result.shape == rgb.shape
    assert result.dtype == np.uint8


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
        np.zeros((1, 5000, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused_by_shape_and_type(rgb: Picture) -> None:
    with pytest.raises(ValueError, match=r"expected .*\[\d+(, \d+)*\]"):
        stylize(rgb, Style.ANIME)


@pytest.mark.parametrize("style", Style)
@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (200, 40, 90), (222, 178, 150)])
def test_one_colour_stays_one_colour_without_ink(colour: tuple[int, int, int], style: Style) -> None:
    result = draw(np.full((60, 80, 3), colour, np.uint8), style)
    assert not result.ink.any()
    if style is Style.ANIME:
        assert np.ptp(result.rgb.reshape(-1, 3), axis=0).max() <= 1


@pytest.mark.parametrize("style", Style)
def test_source_is_left_untouched(style: Style) -> None:
    rgb = portrait((60, 75))
    before = rgb.copy()
    stylize(rgb, style)
    assert np.array_equal(rgb, before)


@pytest.mark.parametrize("style", Style)
def test_grey_pictures_stay_grey(style: Style) -> None:
    grey = np.repeat(portrait((80, 100)).mean(2).astype(np.uint8)[..., None], 3, 2)
    result = stylize(grey, style).astype(int)
    # The anime ink is a warm black, which tints the lines by a few steps.
    assert np.ptp(result, axis=2).max() <= (8 if style is Style.ANIME else 0)


@pytest.mark.parametrize("style", Style)
def test_repeated_and_concurrent_drawings_are_bit_equal(style: Style) -> None:
    rgb = portrait((60, 75))
    alone = stylize(rgb, style)
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda _: stylize(rgb, style), range(2)))
    assert all(np.array_equal(alone, other) for other in together)


def test_stylize_returns_the_picture_of_draw() -> None:
    rgb = portrait((60, 75))
    drawn = draw(rgb, Style.MANGA)
    assert np.array_equal(drawn.rgb, stylize(rgb, Style.MANGA))
    assert drawn.ink.shape == rgb.shape[:2]


# --- Stages -----------------------------------------------------------------------------------------------------------


def test_lab_round_trip() -> None:
    rgb = noise(32, 32)
    assert np.abs(rgb_from_lab(lab_from_rgb(rgb)).astype(int) - rgb).max() <= 2


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [((255, 255, 255), (100, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((255, 0, 0), (53.24, 80.09, 67.20))],
)
def test_lab_of_known_colours(rgb: tuple[int, int, int], lab: tuple[float, float, float]) -> None:
    assert lab_from_rgb(np.array([[rgb]], np.uint8)).ravel() == pytest.approx(lab, abs=0.1)


def test_lightness_alone_agrees_with_lab() -> None:
    rgb = noise(32, 32)
    assert np.abs(lightness_from_rgb(rgb) - lab_from_rgb(rgb)[0]).max() < 0.7


def test_l0_flattens_noise_and_keeps_the_step() -> None:
    step = np.zeros((1, 40, 60), np.float32)
    step[..., 30:] = 0.6
    noisy = step + np.random.default_rng(RNG_SEED).normal(0, 0.02, step.shape).astype(np.float32)
    flat = l0_smooth(noisy, np.full((40, 60), 0.014, np.float32))[0]
    assert np.abs(np.diff(flat[:, :29])).max() < 0.005
    assert np.abs(np.diff(flat[:, 31:])).max() < 0.005
    assert float(np.median(flat[:, 30] - flat[:, 29])) == pytest.approx(0.6, abs=0.03)


@pytest.mark.parametrize("angle_deg", [0, 30, 45, 90, 135])
def test_flow_runs_along_a_line(angle_deg: int) -> None:
    y, x = np.mgrid[-20:21, -20:21].astype(np.float32)
    along = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    across = x * along[1] - y * along[0]
    flow = tangent_flow(np.exp(-(across**2) / 8).astype(np.float32), 2.0)
    cosine = np.abs(flow.x * along[0] + flow.y * along[1])[np.abs(across) < 4]
    assert float(cosine.min()) > 0.97


def test_resized_flow_keeps_the_axis_across_sign_flips() -> None:
    sign = np.where(np.arange(16) % 2, 1, -1).astype(np.float32)[None].repeat(16, 0)
    resized = Flow(sign, np.zeros_like(sign)).resized((33, 33))
    assert np.abs(resized.x).min() == pytest.approx(1, abs=1e-3)


def test_smoothing_along_the_flow_closes_gaps_and_keeps_width() -> None:
    dashed = np.zeros((21, 60), np.float32)
    dashed[10, np.arange(60) % 6 < 4] = 1
    flow = tangent_flow(np.repeat(dashed.max(1, keepdims=True), 60, 1), 1.5)
    smooth = smooth_along(dashed, flow, (1, 2, 4))
    assert np.ptp(smooth[10, 12:48]) < 0.25
    assert float(np.abs(smooth[[7, 13]]).max()) == 0


def test_components_are_kept_by_area_and_strength() -> None:
    ink = np.zeros((20, 40), np.float32)
    ink[2:6, 2:20] = 0.9  # large and strong
    ink[10:14, 2:20] = 0.3  # large and faint
    ink[10, 30:33] = 0.9  # strong and small
    cleaned = clean_components(ink, 0.2, 0.8, 10, 0.1)
    assert np.array_equal(cleaned > 0, ink * (np.arange(20) < 8)[:, None] > 0)


@pytest.mark.parametrize("coverage", [0.13, 0.25, 0.34, 0.5])
@pytest.mark.parametrize("cell_px", [7.0, 10.0, 24.5])
def test_dots_cover_what_was_asked(coverage: float, cell_px: float) -> None:
    dots = screentone(np.full((490, 490), coverage, np.float32), cell_px, 0, 0)
    assert float(dots.mean()) == pytest.approx(coverage, rel=0.12)


def test_dots_of_strips_fit_together() -> None:
    coverage = np.full((60, 50), 0.2, np.float32)
    whole = screentone(coverage, 7.5, 0, 0)
    assert np.array_equal(whole[23:, 11:], screentone(coverage[23:, 11:], 7.5, 23, 11))


def test_strips_of_an_enlarged_plane_equal_the_whole() -> None:
    plane = np.random.default_rng(RNG_SEED).random((37, 23), np.float32)
    enlarger = Enlarger.of(plane, (150, 90))
    strips = np.concatenate([enlarger.strip(top, min(top + 48, 150)) for top in range(0, 150, 48)])
    assert np.abs(strips - enlarger.strip(0, 150)).max() < 1e-4


def test_tones_settle_on_the_populated_levels() -> None:
    lightness = np.repeat(np.array([20.0, 55.0, 90.0], np.float32), 100)
    assert quantise_tones(lightness, 3, 0.35) == pytest.approx([20, 55, 90], abs=1)


def test_tones_of_a_mask_ignore_the_rest_and_merge() -> None:
    lightness = np.repeat(np.array([10.0, 60.0, 63.0], np.float32), 100)
    weight = np.repeat(np.array([0.0, 1.0, 1.0], np.float32), 100)
    assert masked_tones(lightness, weight, 3, 8.0) == pytest.approx([61.5], abs=1.5)


def test_staircase_maps_levels_to_their_targets() -> None:
    sources, targets = np.array([20, 60, 90], np.float32), np.array([10, 70, 95], np.float32)
    table = soft_staircase(sources, targets, 2.0)
    assert table.take(table_index(sources)) == pytest.approx(targets, abs=0.01)
    assert (np.diff(table) >= 0).all()


def test_noise_is_measured_and_removed_without_blurring_edges() -> None:
    step = np.full((80, 80, 3), 60, np.int64)
    step[:, 40:] = 200
    grain = np.random.default_rng(RNG_SEED).normal(0, 10, (80, 80, 1))
    noisy = np.clip(step + grain, 0, 255).astype(np.uint8)
    assert noise_deviation(noisy) == pytest.approx(10, rel=0.25)
    clean = remove_noise(noisy).astype(int)
    assert clean[:, :36].std() < 4
    assert (clean[:, 42] - clean[:, 37]).min() > 100


def test_clean_pictures_are_not_smoothed() -> None:
    rgb = portrait()
    assert remove_noise(rgb) is rgb


# --- Faces and skin ---------------------------------------------------------------------------------------------------


def survey(rgb: Picture) -> tuple[NDArray[np.float32], list[Face]]:
    """Lab of a thumbnail of the survey's size, and the faces in it."""
    scale = 256 / max(rgb.shape[:2])
    thumbnail = Image.fromarray(rgb).resize((round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)))
    lab = lab_from_rgb(np.array(thumbnail))
    return lab, find_faces(lab)


@pytest.mark.parametrize("variant", ["plain", "mirrored", "dark", "light", "warm", "small", "noisy"])
def test_face_is_found(variant: str) -> None:
    rgb = portrait()
    centre = np.array([0.5, 0.30])
    if variant == "mirrored":
        rgb = np.ascontiguousarray(rgb[:, ::-1])
    elif variant in ("dark", "light"):
        rgb = with_gamma(rgb, 1.8 if variant == "dark" else 0.6)
    elif variant == "warm":
        rgb = np.clip(rgb * np.array([1.08, 1.0, 0.82]), 0, 255).astype(np.uint8)
    elif variant == "noisy":
        grain = np.random.default_rng(RNG_SEED).normal(0, 12, rgb.shape)
        rgb = np.clip(rgb + grain, 0, 255).astype(np.uint8)
    elif variant == "small":
        canvas = np.full((800, 400, 3), (120, 140, 150), np.uint8)
        canvas[300:700, 40:360] = rgb
        rgb, centre = canvas, np.array([0.5, 0.525])
    face = survey(rgb)[1][0]
    assert np.abs(np.array([face.x, face.y]) - centre).max() < 0.09


@pytest.mark.parametrize("rgb", [np.full((90, 60, 3), 128, np.uint8), np.full((1, 1, 3), 9, np.uint8), noise(90, 60)])
def test_no_face_in_nothing(rgb: Picture) -> None:
    assert find_faces(lab_from_rgb(rgb)) == []


def white_haired() -> tuple[Picture, NDArray[np.bool_]]:
    """The portrait with light grey hair, and where that hair is."""
    rgb = portrait()
    lab = lab_from_rgb(rgb)
    hue_deg = np.rad2deg(np.arctan2(lab[2], lab[1]))
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    head = ((x - 160) / 78.0) ** 2 + ((y - 75) / 75.0) ** 2 < 1
    hair = head & (hue_deg > 66) & (np.hypot(lab[1], lab[2]) > 9) & ((y < 90) | (x < 112) | (x > 206))
    hair |= head & (lab[0] < 50) & ((y < 78) | (x < 114) | (x > 204))
    hair = np.array(Image.fromarray(hair.astype(np.uint8) * 255).filter(ImageFilter.MedianFilter(5))) > 128
    lab[0][hair] = 62 + 0.4 * lab[0][hair]
    lab[1:][:, hair] *= 0.15
    return rgb_from_lab(lab), hair


def test_light_grey_hair_is_not_skin() -> None:
    rgb, hair = white_haired()
    lab, found = survey(rgb)
    full = lab_from_rgb(rgb)
    mask = skin_mask(full, found[:1], [learn_skin(lab, found[0])])
    assert float(mask[hair].mean()) < 0.08
    left, top, right, bottom = CHIN
    assert float(mask[top:bottom, left:right].mean()) > 0.9


def test_light_grey_hair_is_drawn_pale_beside_coloured_skin() -> None:
    rgb, hair = (np.array(Image.fromarray(plane).resize(SMALL)) for plane in white_haired())
    drawn = draw(rgb, Style.ANIME)
    paint = hair & (drawn.ink < 8)
    red, green, blue = np.median(drawn.rgb[paint], 0)
    assert quality.hue_chroma((red, green, blue))[1] < 8
    assert quality.hue_chroma(median_colour(drawn.rgb, half(CHIN)))[1] > 14


def pale_hair_of(rgb: Picture) -> NDArray[np.float32]:
    """Mask of the white hair in a picture, at its own size."""
    lab, found = survey(rgb)
    full, models = lab_from_rgb(rgb), [learn_skin(lab, found[0])]
    return pale_hair(full, skin_mask(full, found[:1], models), found[:1], models, 0.4)


def test_white_hair_is_found_and_blond_hair_before_a_white_wall_is_not() -> None:
    rgb, hair = white_haired()
    found = pale_hair_of(rgb)
    left, top, right, bottom = CHIN
    assert float(found[hair].mean()) > 0.5
    assert float(found[top:bottom, left:right].max()) == 0
    assert float(pale_hair_of(portrait()).max()) == 0


@pytest.mark.usefixtures("flattened_once")
def test_white_hair_has_strands_in_manga_and_no_dots_on_the_face(monkeypatch: pytest.MonkeyPatch) -> None:
    rgb, hair = white_haired()
    drawn = draw(rgb, Style.MANGA)
    for left, top, right, bottom in (CHEEK, CHIN):
        assert int(drawn.rgb[top:bottom, left:right].min()) > 250
    monkeypatch.setattr(lines, "strands", lambda lightness, *_: np.zeros_like(lightness))
    bare = float((draw(rgb, Style.MANGA).ink[hair] > 128).mean())
    assert float((drawn.ink[hair] > 128).mean()) > bare + 0.015


def test_tinted_glasses_get_no_screentone() -> None:
    rgb = portrait()
    y, x = np.mgrid[: rgb.shape[0], : rgb.shape[1]]
    glasses = np.zeros(rgb.shape[:2], bool)
    for left, top, right, bottom in (LEFT_EYE, RIGHT_EYE):
        glasses |= np.hypot((x - (left + right) / 2) / 19, (y - (top + bottom) / 2 - 3) / 16) < 1
    rgb[glasses] = (rgb[glasses] * np.array([0.85, 0.6, 0.42])).astype(np.uint8)
    drawn = draw(rgb, Style.MANGA)
    paper = glasses & (drawn.ink < 8)
    assert float((drawn.rgb[..., 0] < 128)[paper].mean()) < 0.08


def test_glowing_skin_is_calmed_and_keeps_its_lightness() -> None:
    lab = lab_from_rgb(portrait())
    lab[1:] *= 1.9
    glowing = rgb_from_lab(lab)
    before, after = median_colour(glowing, CHIN), median_colour(stylize(glowing, Style.ANIME), CHIN)
    lightness = [float(quality.lightness(np.array([[colour]], np.uint8))[0, 0]) for colour in (before, after)]
    assert abs(lightness[1] - lightness[0]) < 5
    assert quality.hue_chroma(after)[1] < 0.75 * quality.hue_chroma(before)[1]


def test_both_people_of_a_picture_are_found_in_unequal_light() -> None:
    canvas = np.full((400, 700, 3), (150, 155, 160), np.uint8)
    canvas[:, :320] = portrait()
    canvas[40:, 400:688] = with_gamma(portrait((288, 360)), 1.5)
    found = sorted((face.x, face.y) for face in survey(canvas)[1])
    assert np.array(found) == pytest.approx(np.array([[0.228, 0.30], [0.777, 0.37]]), abs=0.06)


@pytest.mark.parametrize(("second", "count"), [(1.78, 2), (1.42, 1)])
def test_second_face_may_be_less_certain_but_not_doubtful(
    monkeypatch: pytest.MonkeyPatch, second: float, count: int
) -> None:
    """Scores measured on two men in one photograph, and on the folded arms of one."""

    def scores(_evidence: object, size: tuple[int, int], _width_px: float) -> NDArray[np.float32]:
        plane = np.zeros(size, np.float32)
        plane[40, 60], plane[40, 180] = 2.13, second
        return plane

    monkeypatch.setattr(faces, "_window_scores", scores)
    assert len(find_faces(lab_from_rgb(noise(120, 240)))) == count


@pytest.mark.parametrize("gamma", [0.7, 1.0, 2.0])
def test_skin_keeps_its_tone_and_hue(gamma: float) -> None:
    rgb = with_gamma(portrait(SMALL), gamma)
    result = stylize(rgb, Style.ANIME)
    before, after = median_colour(rgb, half(CHIN)), median_colour(result, half(CHIN))
    lightness = [float(quality.lightness(np.array([[colour]], np.uint8))[0, 0]) for colour in (before, after)]
    assert -6 < lightness[1] - lightness[0] < 8
    assert abs(quality.hue_chroma(after)[0] - quality.hue_chroma(before)[0]) < 9


@pytest.mark.parametrize(("gamma", "paper"), [(0.8, True), (3.0, False)])
def test_only_light_skin_is_paper_white_in_manga(gamma: float, paper: bool) -> None:
    result = stylize(with_gamma(portrait(SMALL), gamma), Style.MANGA)
    left, top, right, bottom = half(CHIN)
    covered = 1 - float(result[top:bottom, left:right].mean()) / 255
    assert covered < 0.03 if paper else 0.05 < covered < 0.5


@pytest.mark.usefixtures("flattened_once")
def test_small_face_keeps_its_eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = np.full((1000, 500, 3), (120, 140, 150), np.uint8)
    canvas[500:750, 150:350] = portrait((200, 250))
    scale = 200 / 320
    eyes = [
        (
            round(150 + left * scale),
            round(500 + top * scale),
            round(150 + right * scale),
            round(500 + bottom * scale),
        )
        for left, top, right, bottom in (LEFT_EYE, RIGHT_EYE)
    ]

    def eye_correlation() -> float:
        result = stylize(canvas, Style.MANGA)
        return min(quality.correlation(canvas, result, eye) for eye in eyes)

    finer = eye_correlation()
    monkeypatch.setattr(drawing, "plan_detail", lambda *_: None)
    assert finer > 0.6
    assert finer > eye_correlation()


def test_defocus_tells_blurred_from_sharp_edges() -> None:
    y, x = np.mgrid[:200, :400]
    checks = (((x // 25 + y // 25) % 2) * 180 + 30).astype(np.uint8)
    image = Image.fromarray(checks)
    blurred = np.array(image.filter(ImageFilter.GaussianBlur(7)))
    mixed = np.where(x < 200, checks, blurred)
    estimate = defocus(lightness_from_rgb(np.repeat(mixed[..., None], 3, 2)))
    assert estimate.shape == (100, 200)
    assert float(estimate[:, :75].mean()) < 0.05
    assert float(estimate[:, 130:].mean()) > 0.6


def test_small_lights_do_not_pass_for_sharp_when_mildly_blurred() -> None:
    y, x = np.mgrid[:400, :600]
    lights = ((np.hypot(x % 20 - 10, y % 20 - 10) < 6) * 180 + 40).astype(np.uint8)
    soft = np.array(Image.fromarray(lights).filter(ImageFilter.GaussianBlur(2.5)))
    estimate = defocus(lightness_from_rgb(np.repeat(np.where(x < 300, lights, soft)[..., None], 3, 2)))
    assert float(estimate[:, :120].mean()) < 0.05
    assert float(estimate[:, 190:].mean()) > 0.5


def test_uniformly_soft_picture_is_not_all_background() -> None:
    soft = np.array(load_portrait().filter(ImageFilter.GaussianBlur(3)))
    assert float(defocus(lightness_from_rgb(soft)).mean()) < 0.35


@pytest.mark.parametrize("style", Style)
def test_blurred_background_is_calm(style: Style) -> None:
    """The same busy wall behind the portrait: sharp it is drawn, out of focus it is left to the colours."""
    y, x = np.mgrid[:200, :160]
    wall = ((((x // 8 + y // 8) % 2) * 110 + 60)[..., None] * np.array([0.8, 1.0, 0.9])).astype(np.uint8)
    person = (((x - 80) / 42.5) ** 2 + ((y - 47.5) / 47.5) ** 2 < 1) | ((y > 95) & (np.abs(x - 80) < 55))
    background = (y < 95) & ((x < 30) | (x > 130))
    strokes = []
    for sigma_px in (0, 3):
        behind = np.array(Image.fromarray(wall).filter(ImageFilter.GaussianBlur(sigma_px)))
        drawn = draw(np.where(person[..., None], portrait(SMALL), behind), style)
        strokes.append(float((drawn.ink[background] > 128).mean()))
    assert strokes[0] > 0.05
    assert strokes[1] < 0.1 * strokes[0]


def test_resizing_a_plane_to_its_own_size_changes_nothing() -> None:
    plane = np.random.default_rng(RNG_SEED).random((5, 7), np.float32)
    assert np.array_equal(resize_plane(plane, (5, 7)), plane)
