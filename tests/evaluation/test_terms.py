"""Terms and formats shared by several reports."""

from surface_crack.evaluation.terms import duration, shortened


def test_durations_are_in_seconds_then_minutes_then_hours() -> None:
    known = {0.4: "0 s", 119.4: "119 s", 120: "2 min", 3599: "1 h 0 min", 9000: "2 h 30 min"}
    assert {seconds: duration(seconds) for seconds in known} == known


def test_a_long_name_keeps_its_end() -> None:
    assert shortened("Positive/00001.jpg", 18) == "Positive/00001.jpg"
    assert shortened("Positive/00001.jpg", 17) == "...tive/00001.jpg"
