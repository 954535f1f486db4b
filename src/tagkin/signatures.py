"""What a file is that isn't an image we understand, by its first bytes."""

_SIGNATURES = {
    b"<!doctype html": "HTML",
    b"<html": "HTML",
    b"<svg": "SVG",
    b"\xff\x0a": "JPEG XL",
    b"\0\0\0\x0cjxl ": "JPEG XL",
    b"8bps": "a Photoshop file",
    b"%pdf": "PDF",
    b"%!ps": "PostScript",
    b"\x1a\x45\xdf\xa3": "a video",
    b"pk\x03\x04": "a ZIP archive",
    b"\x1f\x8b": "a gzip file",
    b"\0" * 16: "nothing but zero bytes",
}


def begins_like(data: bytes) -> str:
    """Returns in a few words what the first bytes of a file look like that is no image for us."""
    head = data.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if data[4:8] == b"ftyp":
        heif = data[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
        advice = "a HEIC image; convert it to JPEG or PNG, or pip install 'tagkin[heif]'"
        return advice if heif else "begins like a video"
    for start, kind in _SIGNATURES.items():
        if head.startswith(start):
            return f"begins like {kind}"
    if b"<svg" in head:
        return "begins like SVG"
    if b"\0" not in head and head.isascii():
        return "begins like text"
    return "its first bytes are unknown"
