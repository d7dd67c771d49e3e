"""Words that several reports have in common."""

from surface_crack.wording import shortened


def test_a_long_name_keeps_its_end() -> None:
    assert shortened("Positive/00001.jpg", 18) == "Positive/00001.jpg"
    assert shortened("Positive/00001.jpg", 17) == "...tive/00001.jpg"
