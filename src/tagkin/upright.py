"""How an image is set upright, as its EXIF says."""

from contextlib import suppress

from PIL import Image

Box = tuple[float, float, float, float]

_ORIENTATION = 0x0112
#: What sets an image upright, by its orientation.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def covered(size: tuple[int, int], beyond: tuple[float, float], orientation: int) -> Box:
    """Returns the part of an upright image that the picture covers.

    Args:
        size: Of the upright image.
        beyond: Pixels at the right and the bottom, before it was set upright, that lie beyond the
            picture.
        orientation: As EXIF counts.
    """
    horizontal, vertical = beyond if orientation < 5 else beyond[::-1]
    left = horizontal if orientation in (2, 3, 6, 7) else 0.0
    top = vertical if orientation in (3, 4, 7, 8) else 0.0
    return left, top, size[0] - horizontal + left, size[1] - vertical + top


def orientation_of(image: Image.Image) -> int:
    """Returns the orientation of an image as EXIF counts; 1, upright, if it says nothing."""
    # An image whose EXIF is damaged is still an image.
    with suppress(Exception):
        return int(image.getexif().get(_ORIENTATION, 1))
    return 1
