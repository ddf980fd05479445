"""The colour of skin: of any person, and of one person learned from the face."""

from dataclasses import dataclass

import numpy as np

from .colour import hue_and_chroma
from .curves import smoothstep
from .figure import Face, face_radius
from .planes import Plane

CORE = 0.72  # share of the face ellipse that surely holds no hair
_MIN_SPREAD = 0.035  # tolerance in chroma per lightness: the blush of one face
_MAX_SPREAD = 0.06
_STRICT_SHADE = 12.0  # lightness: far from the face, dark warm things are wood rather than shaded skin
_MIN_SATURATION = 0.05  # below this the face is as good as grey


@dataclass(frozen=True)
class SkinModel:
    """Colour of one face: median lightness, and the median and spread of chroma per lightness.

    Shading scales L + 16, a and b nearly alike, so (a, b) / (L + 16) is one point for lit and
    shaded skin, while white hair, teeth and cloth have a much smaller one.
    """

    lightness: float
    spread_lightness: float
    a_ratio: float
    b_ratio: float
    spread: float

    @property
    def coloured(self) -> bool:
        """Whether the colour separates skin from its surroundings at all."""
        return float(np.hypot(self.a_ratio, self.b_ratio)) > _MIN_SATURATION

    @property
    def typology_deg(self) -> float:
        """Individual typology angle of the lit skin: above 41 light, 28 to 41 tanned, below darker.

        Chardon, Cretois and Hourseau 1991; the measure of skin tone in dermatology.
        """
        lit = self.lightness + self.spread_lightness
        return float(np.rad2deg(np.arctan2(lit - 50, max(self.b_ratio * (lit + 16), 1.0))))


def skin_likeness(lab: Plane) -> Plane:
    """How far the colours [3,H,W] could be skin of any person [H,W], 0..1.

    Skin of all tones lies in one narrow sector of hue and in a wide range of chroma (chroma-plane
    models, e.g. Chai and Ngan 1999). Chroma is taken relative to lightness, because shading scales
    both alike.
    """
    hue, chroma = hue_and_chroma(lab[1], lab[2])
    saturation = chroma / (lab[0] + 16)
    hue_deg = np.rad2deg(hue)
    likely_hue = smoothstep(hue_deg, 8, 30) * (1 - smoothstep(hue_deg, 68, 86))
    likely_saturation = smoothstep(saturation, 0.07, 0.16) * (1 - smoothstep(saturation, 0.5, 0.68))
    return likely_hue * likely_saturation * smoothstep(lab[0], 8, 22)


def learn_skin(lab: Plane, face: Face) -> SkinModel:
    """Learn the colour of the skin of `face` from its own pixels in `lab` [3,H,W]."""
    size = lab.shape[1], lab.shape[2]
    inside = face_radius(face, size) < CORE
    if not inside.any():
        inside[int(face.y * (size[0] - 1)), int(face.x * (size[1] - 1))] = True
    likely = inside & (skin_likeness(lab) > 0.4)
    if likely.sum() < 0.25 * inside.sum():  # a colour cast, or a grey picture
        likely = inside
    lightness, a, b = lab[:, likely]
    middle = float(np.median(lightness))
    lit = lightness > middle - 8  # eyes, brows and nostrils would blur the model
    a_ratio, b_ratio = a[lit] / (lightness[lit] + 16), b[lit] / (lightness[lit] + 16)
    centre = float(np.median(a_ratio)), float(np.median(b_ratio))
    deviation = float(np.median(np.hypot(a_ratio - centre[0], b_ratio - centre[1])))
    spread = min(max(1.2 * deviation, _MIN_SPREAD), _MAX_SPREAD)
    spread_lightness = float(np.median(np.abs(lightness - middle)))
    return SkinModel(middle, spread_lightness, centre[0], centre[1], spread)


def skin_probability(lab: Plane, model: SkinModel, strictness: Plane) -> Plane:
    """How well colours [3,H,W] fit the model [H,W], 0..1, shaded skin included.

    `strictness` [H,W] 0..1 narrows the tolerance where skin is not expected.
    """
    lightness = lab[0]
    along = float(np.hypot(model.a_ratio, model.b_ratio))
    unit = (model.a_ratio / along, model.b_ratio / along) if along > 1e-6 else (1.0, 0.0)
    a_ratio, b_ratio = lab[1] / (lightness + 16), lab[2] / (lightness + 16)
    radial = a_ratio * np.float32(unit[0]) + b_ratio * np.float32(unit[1]) - np.float32(along)
    tangential = b_ratio * np.float32(unit[0]) - a_ratio * np.float32(unit[1])
    # Shade and blush saturate skin. Only gloss makes it paler, in the face; elsewhere pale is white hair.
    paler = np.float32(0.9 * model.spread / _MIN_SPREAD) * np.clip(strictness * 4, 0.35, 1)
    radial = np.where(radial > 0, radial * np.float32(0.5), radial * paler)
    distance = np.sqrt(radial**2 + tangential**2) / np.float32(model.spread) * (1 + np.float32(0.4) * strictness)
    fits = 1 - smoothstep(distance, 1.5, 2.6)
    darker = np.float32(model.lightness) - lightness + np.float32(_STRICT_SHADE) * strictness
    return fits * (1 - smoothstep(darker, 0.48 * model.lightness, 0.7 * model.lightness))
