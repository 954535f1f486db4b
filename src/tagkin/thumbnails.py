"""Small pictures of images, for pages."""

import io

from PIL import Image

from tagkin.images import ImageLimits, decode

_WIDEST = 4  # times the height; what is longer is cut to its middle
_QUALITY = 80


def make_thumbnail(data: bytes, height: int, limits: ImageLimits) -> bytes:
    """Returns a small WebP of an image, at most so high and four times as wide.

    Raises:
        ImageError: The image can't be decoded or is beyond the limits.
    """

    def least_size(width: int, whole: int) -> tuple[int, int]:
        scale = min(1.0, height / whole)
        return max(1, round(width * scale)), max(1, round(whole * scale))

    decoded = decode(data, limits, least_size=least_size)
    image, box = decoded.image, decoded.box
    width, tall = box[2] - box[0], box[3] - box[1]
    if width > _WIDEST * tall:  # a banner would be a line
        middle = (box[0] + box[2]) / 2
        box = (middle - _WIDEST * tall / 2, box[1], middle + _WIDEST * tall / 2, box[3])
        width = _WIDEST * tall
    target = min(height, decoded.height)
    size = max(1, round(target * width / tall)), target
    small = image.resize(size, Image.Resampling.LANCZOS, box, reducing_gap=3.0)
    file = io.BytesIO()
    small.save(file, "WEBP", quality=_QUALITY, method=3)
    return file.getvalue()
