"""The analysis both styles share: flattened picture, skin, features, focus and ink."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .blur import gaussian, wide_gaussian
from .colour import lab_from_rgb, lightness_from_rgb
from .curves import smoothstep
from .figure import Face, body_map, face_map, head_map
from .focus import defocus
from .hair import pale_hair
from .l0 import l0_smooth
from .lines import LineSource, Pen, ink_lines
from .planes import Picture, Plane
from .resampling import resize_picture, resize_plane
from .skin import plain_skin, skin_mask
from .skin_model import CORE, SkinModel

_LAB_RANGE = (100.0, 128.0, 128.0)  # brings the three channels to comparable steps for L0
_FLATNESS = 0.014  # lambda of L0
_FACE_RELIEF = 0.65  # share of the flattening that faces and hair are spared
_BACKGROUND_FLATNESS = 2.0  # extra flattening of what is out of focus
_BLURRED = (0.7, 1.0)  # defocus from which borders dissolve altogether
_CLEAR = (0.75, 1.0)  # defocus that counts even close to people
_BACKGROUND_SIGMA = 5.0  # pen units: out of focus colours run into each other, without borders
_FACE = 1.2  # face widths that are never out of focus
_RELIEF, _HEAD, _BODY = 1.35, 2.2, 1.9  # face widths with more relief, with doubtful blur of colours, of lines
_HAIR_GLOW = 0.5  # share of the colour that white hair takes over from the face, and that is removed
_FEATURE_CONTRAST = 1.35  # eyes and mouth must outlive the flattening around them
_FEATURE_REACH = 0.09  # of the height of a face: more than an eye, less than a fringe of hair


@dataclass(frozen=True)
class People:
    """The faces of a picture and the colour of the skin of each."""

    faces: Sequence[Face]
    skins: Sequence[SkinModel]


@dataclass(frozen=True)
class Sketch:
    """What is known of a picture at working size [H,W]; the planes of half size are [h,w]."""

    half_flat: Plane  # [3,h,w] flattened Lab
    half_skin: Plane  # [h,w] 0..1
    half_heads: Plane  # [h,w] 0..1: faces with their hair
    half_features: Plane  # [h,w] 0..1: eyes, brows, mouth, read from the photograph
    half_defocus: Plane  # [h,w] 0..1: lines grow faint
    half_pale: Plane  # [h,w] 0..1: white and grey hair
    half_blur: Plane  # [h,w] 0..1: so much out of focus that borders dissolve
    tone: Plane  # [H,W] lightness 0..100 to be quantised: flat, with the features drawn in
    ink: Plane  # [H,W] 0..1
    unit_px: float  # pen unit


def make_sketch(rgb: Picture, people: People, pen: Pen, unit_px: float, blur: Plane | None = None) -> Sketch:
    """Analyse a picture of working size and even sides.

    `blur` replaces the defocus estimate where the picture is a detail of a larger one.
    """
    size = rgb.shape[0], rgb.shape[1]
    half_size = size[0] // 2, size[1] // 2
    lab, lightness = lab_from_rgb(resize_picture(rgb, half_size)), lightness_from_rgb(rgb)
    half_defocus = _behind(defocus(lightness) if blur is None else resize_plane(blur, half_size), people)
    heads = head_map(people.faces, half_size, _RELIEF)
    flat = _flatten(lab, heads, half_defocus)
    skin = skin_mask(flat, people.faces, people.skins)
    pale = pale_hair(lab, skin, people.faces, people.skins, unit_px / 2)
    skin *= 1 - pale
    half_defocus *= 1 - gaussian(skin, 2 * unit_px)  # shading of cheeks is soft as well
    half_blur = smoothstep(half_defocus, *_BLURRED)
    half_defocus = _doubted(half_defocus, body_map(people.faces, half_size, _BODY))
    _run_together(flat, lab, half_blur, unit_px)
    flat[1:] *= 1 - np.float32(_HAIR_GLOW) * pale
    coloured = any(model.coloured for model in people.skins)
    features = _features(skin if coloured else plain_skin(flat, people.faces, people.skins), people)
    full_flat = resize_plane(flat[0], size)
    faces = face_map(people.faces, half_size)
    source = LineSource(lightness, full_flat, flat[0], faces, half_defocus, gaussian(pale, unit_px))
    ink = ink_lines(source, pen, unit_px)
    tone = _tone(lightness, full_flat, flat[0], features, unit_px)
    return Sketch(flat, skin, heads, features, half_defocus, pale, half_blur, tone, ink, unit_px)


def _behind(half_defocus: Plane, people: People) -> Plane:
    """Defocus [h,w] without the faces themselves, and with doubt about their hair."""
    size = half_defocus.shape[0], half_defocus.shape[1]
    outside = half_defocus * (1 - face_map(people.faces, size, _FACE))
    return _doubted(outside, head_map(people.faces, size, _HEAD))


def _doubted(half_defocus: Plane, expected: Plane) -> Plane:
    """Where people are expected, believe only in clear defocus: hair and cloth are soft by nature."""
    return half_defocus + expected * (smoothstep(half_defocus, *_CLEAR) - half_defocus)


def _features(skin: Plane, people: People) -> Plane:
    """Eyes, brows and mouth: what is not skin inside a face, but lies amid skin or in its core."""
    size = skin.shape[0], skin.shape[1]
    height_px = max((face.height * size[0] for face in people.faces), default=0.0)
    if height_px == 0:
        return np.zeros_like(skin)
    amid = smoothstep(wide_gaussian(skin, max(1.0, height_px * _FEATURE_REACH)), 0.3, 0.55)
    amid = np.maximum(amid, face_map(people.faces, size, CORE))  # tinted glasses hide the skin around eyes
    return face_map(people.faces, size, 0.92) * (1 - skin) * amid


def _flatten(lab: Plane, heads: Plane, half_defocus: Plane) -> Plane:
    scale = np.array(_LAB_RANGE, np.float32)[:, None, None]
    weight = np.float32(_FLATNESS) * (1 - np.float32(_FACE_RELIEF) * heads)
    weight *= 1 + np.float32(_BACKGROUND_FLATNESS) * half_defocus
    return l0_smooth(lab / scale, weight) * scale


def _run_together(flat: Plane, lab: Plane, half_blur: Plane, unit_px: float) -> None:
    """Replace flat colours by blurred ones, in place, where the picture is out of focus.

    Flattening would cut soft gradients into hard-edged blotches that catch the eye.
    """
    if half_blur.max() <= 0:
        return
    sigma_px = _BACKGROUND_SIGMA * unit_px
    share = half_blur + np.float32(1e-4)  # what is in focus does not bleed into its background
    total = wide_gaussian(share, sigma_px)
    for channel, source in zip(flat, lab, strict=True):
        channel += half_blur * (wide_gaussian(share * source, sigma_px) / total - channel)


def _tone(lightness: Plane, full_flat: Plane, half_flat: Plane, features: Plane, unit_px: float) -> Plane:
    """Smooth lightness for the tones, with facial features from the photograph at higher contrast."""
    size = lightness.shape[0], lightness.shape[1]
    smooth = gaussian(full_flat, 2.0 * unit_px)
    if features.max() == 0:
        return smooth
    contrast = np.float32(_FEATURE_CONTRAST)
    half_lightness = resize_plane(lightness, (half_flat.shape[0], half_flat.shape[1]))
    offset = resize_plane(wide_gaussian(half_flat - contrast * half_lightness, 10 * unit_px), size)
    detail = contrast * gaussian(lightness, unit_px) + offset - smooth
    return smooth + resize_plane(features, size) * np.float32(0.7) * detail
