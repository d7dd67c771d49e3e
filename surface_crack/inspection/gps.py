"""Read the position of a photo from its EXIF data."""

import math
from io import BytesIO

from PIL import ExifTags, Image

from surface_crack.photos.decode import formats_of

LATITUDE, LATITUDE_SIGN = ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef
STATUS, DATUM = ExifTags.GPS.GPSStatus, ExifTags.GPS.GPSMapDatum
WGS_84 = ("", "WGS84", "WGS1984", "WORLDGEODETICSYSTEM1984", "EPSG4326")
LONGITUDE, LONGITUDE_SIGN = ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef


def position(content: bytes) -> tuple[float, float] | None:
    """Return (longitude, latitude) in degrees, WGS 84, rounded to 7 decimals (about 1 cm).

    None if the position is missing, damaged, marked void by the receiver, or in another datum,
    where the same coordinates can be up to a kilometre away.
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
    except Exception:  # damaged EXIF raises almost any exception
        return None
    nowhere = longitude == latitude == 0  # written by cameras without a GPS fix
    if nowhere or not (abs(longitude) <= 180 and abs(latitude) <= 90):  # also rejects NaN
        return None
    return longitude, latitude


def _degrees(parts: tuple[float, float, float], sign: str, negative: str) -> float:
    degrees = sum(float(part) / unit for part, unit in zip(parts, (1, 60, 3600), strict=True))
    return round(math.copysign(degrees, -1 if sign.upper().startswith(negative) else 1), 7)
