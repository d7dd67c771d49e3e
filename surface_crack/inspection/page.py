"""report.html: one page that needs no network, worst photos first.

The first EMBEDDED photos are inside the page, so that it may be handed on by itself. The pictures
of the others are beside it, and a browser loads them when they come into view: thousands of
pictures inside the page would be too much for any browser. Photos behind the first CARDS are in
the table only.
"""

import base64
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

from surface_crack.inspection.folder import ORIGINALS, OVERLAYS, Record, picture_paths
from surface_crack.inspection.model_facts import Facts
from surface_crack.inspection.photo import VERDICTS, Settings
from surface_crack.inspection.quality import REASONS
from surface_crack.inspection.records import UNREADABLE, jpeg
from surface_crack.inspection.regions import doubt
from surface_crack.inspection.tables import ORDER, worst_first

EMBEDDED = 30  # photos whose pictures are in the page: some 200 KB each
EMBEDDED_SIDE = 1000  # longest side of those, pixels
EMBEDDED_QUALITY = 72
CARDS = 300  # photos that are shown with their pictures
LAZY = ' loading="lazy"'  # of a picture beside the page
LISTED = 8  # regions of a photo that are listed with it
MEANING = {
    "crack": "a region's peak is {high:.4g} or more, half-way from the threshold to 1",
    "unsure": "a region's peak is {low:.4g} or more, half the threshold, or a single patch reaches "
    "the threshold: look at it",
    "cannot tell": "the photo is not good enough to be called anything, or scales contradict each "
    "other: its remarks say why",
    UNREADABLE: "the file could not be read",
    "clean": "nothing was found, which is no proof that there is nothing",
}
COLUMNS = (
    *(("photo", "text"), ("verdict", "number"), ("surface flagged", "number"), ("peak", "number")),
    *(("regions", "number"), ("width", "number"), ("height", "number"), ("remarks", "text")),
)
STYLE, SCRIPT = (
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
)


def page(out: Path, records: Sequence[Record], facts: Facts, settings: Settings) -> str:
    """The HTML of all records; pictures are read from `out`."""
    ranked = sorted(records, key=worst_first)
    shown = [record for record in ranked if record["verdict"] != UNREADABLE][:CARDS]
    cards = "\n".join(
        _card(out, record, settings, embed=place < EMBEDDED) for place, record in enumerate(shown)
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Photos inspected for cracks</title>
<style>
{STYLE}</style>
</head>
<body>
<a class="skip" href="#photos">To the table of all photos</a>
<header>
<h1>Photos inspected for cracks</h1>
{_totals(ranked)}
<p>A program looked at these photos and says where it takes something for a crack. Regions are made
of patches that hold a crack: their width is not the crack's. Each verdict is a person's to make.
<a href="#model">What the model can and cannot do</a></p>
</header>
<main>
<h2>Photos, worst first</h2>
<p class="note">Yellow to dark red: the probability of a crack in the patches around. Outlines are
solid where it is clear, dashed where it is unsure.</p>
{_beside(shown, ranked)}
<p><button type="button" id="flip-all" aria-pressed="false" hidden>Show all originals</button></p>
{cards}
<h2>All photos</h2>
{_table(ranked, {record["key"] for record in shown})}
{_how_to_read(settings)}
{_model(facts)}
</main>
<footer>surface-crack inspect</footer>
<script>
{SCRIPT}</script>
</body>
</html>
"""


def _totals(records: Sequence[Record]) -> str:
    count = Counter(record["verdict"] for record in records)
    parts = [f"<li><b>{len(records)}</b> photos</li>"]
    for verdict in ORDER:
        if count[verdict]:
            parts.append(f"<li><b>{count[verdict]}</b> {_badge(verdict)}</li>")
    return f'<ul class="totals">\n{"".join(parts)}\n</ul>'


def _badge(verdict: str) -> str:
    return f'<span class="verdict {verdict.replace(" ", "-")}">{verdict}</span>'


def _beside(shown: Sequence[Record], records: Sequence[Record]) -> str:
    """What is not in the page itself."""
    notes = []
    if len(shown) > EMBEDDED:
        notes.append(
            f"The pictures of the first {EMBEDDED} are in this page; the others are in the folders "
            f"{OVERLAYS} and {ORIGINALS} beside it: hand them on together."
        )
    if len(records) > len(shown):
        notes.append(f"{len(shown)} photos are shown; all {len(records)} are in the table below.")
    return f'<p class="note">{" ".join(notes)}</p>' if notes else ""


def _card(out: Path, record: Record, settings: Settings, *, embed: bool) -> str:
    name, key = escape(record["name"]), record["key"]
    width, height = record["picture"]
    sources = _embedded(out, key) if embed else (f"{OVERLAYS}/{key}.jpg", f"{ORIGINALS}/{key}.jpg")
    size = f'width="{width}" height="{height}"{"" if embed else LAZY}'
    regions = "; ".join(_region(region, settings) for region in record["regions"][:LISTED])
    more = len(record["regions"]) - LISTED
    if more > 0:
        regions += f"; and {more} more in regions.csv"
    found = f"Regions: {regions}." if regions else "No region."
    return f"""<article class="photo" id="{key}" aria-labelledby="name-{key}">
<div class="row"><h3 id="name-{key}"><bdi>{name}</bdi></h3> {_badge(record["verdict"])}
<button type="button" class="flip" aria-pressed="false" hidden>Show original</button>
<a href="{OVERLAYS}/{key}.jpg">Overlay file</a></div>
<img class="overlay" {size} alt="Heat map and regions over {name}: {escape(_summary(record))}" \
src="{sources[0]}">
<img class="original" {size} alt="Original photo {name}" src="{sources[1]}" hidden>
<p class="note">{escape(_summary(record))} {found} {escape(_remarks(record))}</p>
</article>"""


def _embedded(out: Path, key: str) -> tuple[str, ...]:
    """data: URIs of (overlay, original)."""
    uris = []
    for path in picture_paths(out, key):
        with Image.open(path) as picture:
            picture.thumbnail((EMBEDDED_SIDE, EMBEDDED_SIDE))
            content = base64.b64encode(jpeg(picture, EMBEDDED_QUALITY)).decode()
        uris.append(f"data:image/jpeg;base64,{content}")
    return tuple(uris)


def _summary(record: Record) -> str:
    return (
        f"{record['verdict']}, {100 * record['flagged']:.2f} % of the surface flagged, peak "
        f"probability {record['peak']:.3f}, {record['width']} x {record['height']} pixels."
    )


def _region(region: Record, settings: Settings) -> str:
    box = f"x {region['left']} to {region['right']}, y {region['top']} to {region['bottom']}"
    area = f"{region['area']:.0f} px"
    if settings.mm_per_px is not None:
        area = f"{region['area'] * settings.mm_per_px**2:.0f} mm²"
    kind = "" if region["sure"] else "unsure, "
    return f"{region['number']} ({kind}peak {region['peak']:.3f}, {area}, {box})"


def _remarks(record: Record) -> str:
    texts = [record["reason"]] if record["reason"] else []
    return " ".join(f"{text[:1].upper()}{text[1:]}." for text in texts + _reasons(record))


def _reasons(record: Record) -> list[str]:
    return [REASONS[flag] for flag in record["flags"]]


def _table(records: Sequence[Record], shown: set[str]) -> str:
    heads = "".join(
        f'<th scope="col" data-kind="{kind}"><button type="button">{text}</button></th>'
        for text, kind in COLUMNS
    )
    rows = "\n".join(_row(record, record["key"] in shown) for record in records)
    return f"""<div class="scroll" role="region" aria-label="Table of all photos" tabindex="0">
<table id="photos">
<caption>Worst first; a column's button sorts by it. <span id="sorted" aria-live="polite"></span>\
</caption>
<thead><tr>{heads}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _row(record: Record, shown: bool) -> str:
    name, verdict = f"<bdi>{escape(record['name'])}</bdi>", record["verdict"]
    numbers = [(-1, "")] * 5
    if verdict != UNREADABLE:
        target = f"#{record['key']}" if shown else f"{OVERLAYS}/{record['key']}.jpg"
        name = f'<a href="{target}">{name}</a>'
        counts = len(record["regions"]), record["width"], record["height"]
        numbers = [
            (record["flagged"], f"{100 * record['flagged']:.2f} %"),
            (record["peak"], f"{record['peak']:.3f}"),
            *((count, str(count)) for count in counts),
        ]
    cells = "".join(f'<td class="number" data-value="{v}">{text}</td>' for v, text in numbers)
    return (
        f'<tr><td class="name" data-value="{escape(record["name"])}">{name}</td>'
        f'<td data-value="{-ORDER[verdict]}">{_badge(verdict)}</td>{cells}'
        f"<td>{escape(_remarks(record))}</td></tr>"
    )


def _how_to_read(settings: Settings) -> str:
    low, high = doubt(settings.threshold)
    meanings = "\n".join(
        f"<dt>{_badge(verdict)}</dt><dd>{MEANING[verdict].format(low=low, high=high)}</dd>"
        for verdict in ORDER
    )
    assert set(MEANING) == {*VERDICTS, UNREADABLE}
    return f"""<h2>How to read it</h2>
<dl class="facts">
{meanings}
</dl>
<p>The photo is scored in overlapping patches. The heat at a place is the mean probability of the
patches around it, from none (the grey photo) over yellow to dark red. At the photo's edge few
patches lie around a place, so there the heat of a crack reaches out to the edge. Solid lines
surround regions that are surely above the threshold, dashes those near it; their numbers are those
of regions.csv.
Photos that are too dark, too bright, without fine detail or too small are never called clean, and
called a crack only for one in a part that is none of this; photos of other things than the model
learnt from are not called anything. A small photo is scored on several scales, as it may have been
made smaller: a place then has the mean of all.</p>"""


def _model(facts: Facts) -> str:
    rows = "\n".join(
        f"<dt>{escape(what)}</dt><dd>{escape(value)}</dd>" for what, value in facts.rows
    )
    limits = "\n".join(f"<li>{escape(limit)}</li>" for limit in facts.limits)
    return f"""<h2 id="model">What the model can and cannot do</h2>
<ul>
{limits}
</ul>
<dl class="facts">
{rows}
</dl>"""
