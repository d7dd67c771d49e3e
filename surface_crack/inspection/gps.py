"""Where a photo was taken, if its camera wrote that down."""

import math
from io import BytesIO

from PIL import ExifTags, Image

from surface_crack.photos.decode import formats_of

LATITUDE, LATITUDE_SIGN = ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef
STATUS, DATUM = ExifTags.GPS.GPSStatus, ExifTags.GPS.GPSMapDatum
WGS_84 = ("", "WGS84", "WGS1984", "WORLDGEODETICSYSTEM1984", "EPSG4326")
LONGITUDE, LONGITUDE_SIGN = ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef


def position(content: bytes) -> tuple[float, float] | None:
    """(longitude, latitude) in degrees, WGS 84, from EXIF.

    None if there is none, if it is broken, if the receiver marked it void, or if it is of another
    datum: the same degrees are up to a kilometre apart there.
    Seven decimals, a centimetre: far more than any camera knows.
    """
    try:
        with Image.open(BytesIO(content), formats=formats_of(content)) as image:
            if image.format == "PNG" and "exif" not in image.info:  # Pillow would decode it
                return None
            tags = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        datum = "".join(letter for letter in str(tags.get(DATUM, "")) if letter.isalnum())
        if str(tags.get(STATUS, "A")).upper() == "V" or datum.upper() not in WGS_84:
            return None
        longitude = _degrees(tags[LONGITUDE], tags[LONGITUDE_SIGN], "W")
        latitude = _degrees(tags[LATITUDE], tags[LATITUDE_SIGN], "S")
    except Exception:  # damaged EXIF raises nearly anything; the photo is good without
        return None
    nowhere = longitude == latitude == 0  # what cameras write before they know
    if nowhere or not (abs(longitude) <= 180 and abs(latitude) <= 90):  # NaN is not, either
        return None
    return longitude, latitude


def _degrees(parts: tuple[float, float, float], sign: str, negative: str) -> float:
    degrees = sum(float(part) / unit for part, unit in zip(parts, (1, 60, 3600), strict=True))
    return round(math.copysign(degrees, -1 if sign.upper().startswith(negative) else 1), 7)
