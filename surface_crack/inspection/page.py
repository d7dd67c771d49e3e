"""Write report.html: one page that works offline, worst photos first.

The pictures of the first MAX_EMBEDDED photos are embedded, so that the page can be passed on by
itself. Those of the others are files beside the page that the browser loads when they come into
view: it could not handle thousands of embedded pictures. Photos after the first MAX_CARDS appear
only in the table.
"""

import base64
import hashlib
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
from surface_crack.inspection.regions import unsure_range
from surface_crack.inspection.tables import VERDICT_ORDER, worst_first

MAX_EMBEDDED = 30  # photos with embedded pictures, about 200 KB each
EMBEDDED_SIDE = 1000  # longest side of an embedded picture, pixels
EMBEDDED_QUALITY = 72
MAX_CARDS = 300  # photos shown with their pictures
LAZY = ' loading="lazy"'  # attribute of a picture beside the page
MAX_REGIONS = 8  # regions listed per photo
VERDICT_MEANING = {
    "crack": "a region has a peak probability of at least {high:.4g} (half-way from the threshold "
    "to 1)",
    "unsure": "a region has a peak probability of at least {low:.4g} (half the threshold), or a "
    "single patch reaches the threshold: check it yourself",
    "cannot tell": "the photo is unfit for a verdict, or its scales contradict each other: see its "
    "remarks",
    UNREADABLE: "the file could not be read: see its remarks",
    "clean": "no crack was found, which does not prove that there is none",
}
REVIEWS = ("crack", "no crack", "check on site")  # verdicts that a person can choose
COLUMNS = (
    *(("photo", "text"), ("verdict", "number"), ("area flagged", "number"), ("peak", "number")),
    *(("regions", "number"), ("width", "number"), ("height", "number"), ("remarks", "text")),
)
STYLE, SCRIPT = (
    Path(__file__).with_name(name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
)


def page(out: Path, records: Sequence[Record], facts: Facts, settings: Settings, date: str) -> str:
    """Render all records as HTML; pictures are read from `out`."""
    ranked = sorted(records, key=worst_first)
    shown = [record for record in ranked if record["verdict"] != UNREADABLE][:MAX_CARDS]
    cards = "\n".join(
        _card(out, record, settings, embed=place < MAX_EMBEDDED)
        for place, record in enumerate(shown)
    )
    reviews = hashlib.sha256("".join(record["made_from"] for record in ranked).encode()).hexdigest()
    return f"""<!DOCTYPE html>
<html lang="en" data-reviews="surface-crack {reviews[:16]}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Crack inspection report</title>
<style>
{STYLE}</style>
</head>
<body>
<a class="skip" href="#photos">Skip to the table of all photos</a>
<header>
<h1>Crack inspection report</h1>
<p class="note">Inspected on {date}.</p>
{_summary_section(facts)}
{_totals(ranked, shown)}
</header>
<main>
<h2>Photos, worst first</h2>
<p class="scale"><span>0</span><span class="bar" role="img" \
aria-label="Colours from yellow, unlikely, to dark red, certain"></span><span>1</span> \
<span>crack probability</span></p>
<p class="note">Solid outlines: crack. Dashed outlines: unsure. Your verdicts and notes stay in this
browser; save them as a file before you pass the report on.</p>
{_not_embedded(shown, ranked)}
<div class="row tools" hidden>
<button type="button" id="flip-all" aria-pressed="false">Show all originals</button>
<button type="button" id="save">Save your verdicts and notes (CSV)</button>
<fieldset id="filter"><legend>Show</legend>{_filters(ranked)}</fieldset>
</div>
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


def _summary_section(facts: Facts) -> str:
    """What a reader must know before the first photo."""
    warnings = "".join(f'<p class="warning">{escape(text)}</p>\n' for text in facts.warnings)
    sentences = " ".join(map(escape, facts.summary))
    return f"""<section class="first" aria-labelledby="about">
<h2 id="about">What must be known about this model</h2>
{warnings}<p>{sentences}</p>
<p>This report was made by a program. It marks places that may be cracks; a qualified person must
check them. A marked region shows where a crack is, not how wide it is.
<a href="#model">Limits and scores of the model</a></p>
</section>"""


def _totals(records: Sequence[Record], shown: Sequence[Record]) -> str:
    """Number of photos per verdict, as links to the first of each."""
    count = Counter(record["verdict"] for record in records)
    parts = [f'<li><a href="#photos"><b>{len(records)}</b> photos</a></li>']
    for verdict in VERDICT_ORDER:
        if count[verdict]:
            keys = [record["key"] for record in shown if record["verdict"] == verdict]
            target = keys[0] if keys else "photos"
            parts.append(
                f'<li><a href="#{target}"><b>{count[verdict]}</b> {_badge(verdict)}</a></li>'
            )
    return f'<ul class="totals">\n{"".join(parts)}\n</ul>'


def _badge(verdict: str) -> str:
    return f'<span class="verdict {verdict.replace(" ", "-")}">{verdict}</span>'


def _filters(records: Sequence[Record]) -> str:
    """A checkbox for each verdict that occurs."""
    there = {record["verdict"] for record in records}
    return " ".join(
        f'<label><input type="checkbox" value="{verdict}" checked> {_badge(verdict)}</label>'
        for verdict in VERDICT_ORDER
        if verdict in there
    )


def _not_embedded(shown: Sequence[Record], records: Sequence[Record]) -> str:
    """Note on pictures and photos that are not in the page itself."""
    notes = []
    if len(shown) > MAX_EMBEDDED:
        notes.append(
            f"The pictures of the first {MAX_EMBEDDED} photos are in this page, the others "
            f"in the folders {OVERLAYS} and {ORIGINALS} beside it: pass them on together."
        )
    if len(records) > len(shown):
        notes.append(
            f"{len(shown)} photos are shown here; all {len(records)} are in the table below."
        )
    return f'<p class="note">{" ".join(notes)}</p>' if notes else ""


def _card(out: Path, record: Record, settings: Settings, *, embed: bool) -> str:
    name, key = escape(record["name"]), record["key"]
    width, height = record["picture"]
    sources = _embedded(out, key) if embed else (f"{OVERLAYS}/{key}.jpg", f"{ORIGINALS}/{key}.jpg")
    size = f'width="{width}" height="{height}"{"" if embed else LAZY}'
    verdict = record["verdict"]
    return f"""<article class="photo" id="{key}" data-verdict="{verdict}" \
aria-labelledby="name-{key}">
<div class="row"><h3 id="name-{key}"><bdi>{name}</bdi></h3> {_badge(verdict)}
<button type="button" class="flip" aria-pressed="false" hidden>Show original</button>
<a href="{OVERLAYS}/{key}.jpg">Open overlay</a></div>
<img class="overlay" {size} alt="Heat map and regions over {name}: {escape(_summary(record))}" \
src="{sources[0]}">
<img class="original" {size} alt="Original photo {name}" src="{sources[1]}" hidden>
<p class="note">{escape(_summary(record))} {escape(_remarks(record))}</p>
{_regions(record, settings)}
{_review_fields(record)}
</article>"""


def _review_fields(record: Record) -> str:
    """Fields for a person's verdict and note; hidden without the script, which stores them."""
    name = escape(record["name"])
    choices = "".join(f"<option>{choice}</option>" for choice in ("", *REVIEWS))
    return f"""<div class="row review" data-name="{name}" hidden>
<label>Your verdict <select>{choices}</select></label>
<label class="wide">Note <input type="text" maxlength="500"></label>
</div>"""


def _embedded(out: Path, key: str) -> tuple[str, ...]:
    """Data URIs of (overlay, original)."""
    uris = []
    for path in picture_paths(out, key):
        with Image.open(path) as picture:
            picture.thumbnail((EMBEDDED_SIDE, EMBEDDED_SIDE))
            content = base64.b64encode(jpeg(picture, EMBEDDED_QUALITY)).decode()
        uris.append(f"data:image/jpeg;base64,{content}")
    return tuple(uris)


def _summary(record: Record) -> str:
    return (
        f"{record['verdict']}, {100 * record['flagged']:.2f} % of the area flagged, peak "
        f"probability {record['peak']:.3f}, {record['width']} x {record['height']} pixels."
    )


def _regions(record: Record, settings: Settings) -> str:
    """Table of the photo's first MAX_REGIONS regions."""
    regions = record["regions"]
    if not regions:
        return '<p class="note">No regions.</p>'
    unit, size = "px", 1.0
    if settings.mm_per_px is not None:
        unit, size = "mm²", settings.mm_per_px**2
    rows = "\n".join(_region(region, size) for region in regions[:MAX_REGIONS])
    more = len(regions) - MAX_REGIONS
    rest = f'<p class="note">{more} more in regions.csv.</p>' if more > 0 else ""
    return f"""<div class="scroll" role="region" aria-label="Regions of {escape(record["name"])}" \
tabindex="0">
<table class="regions">
<thead><tr><th scope="col">region</th><th scope="col">verdict</th><th scope="col">peak</th>\
<th scope="col">area, {unit}</th><th scope="col">x</th><th scope="col">y</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>{rest}"""


def _region(region: Record, size: float) -> str:
    numbers = (
        f"{region['peak']:.3f}",
        f"{region['area'] * size:.0f}",
        f"{region['left']} to {region['right']}",
        f"{region['top']} to {region['bottom']}",
    )
    cells = "".join(f'<td class="number">{text}</td>' for text in numbers)
    kind = "crack" if region["sure"] else "unsure"
    return f'<tr><td class="number">{region["number"]}</td><td>{_badge(kind)}</td>{cells}</tr>'


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
<caption>Worst first. Click a column title to sort; a wide table scrolls sideways. \
<span id="sorted" aria-live="polite"></span>\
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
        f'<tr data-verdict="{verdict}">'
        f'<td class="name" data-value="{escape(record["name"])}">{name}</td>'
        f'<td data-value="{-VERDICT_ORDER[verdict]}">{_badge(verdict)}</td>{cells}'
        f"<td>{escape(_remarks(record))}</td></tr>"
    )


def _how_to_read(settings: Settings) -> str:
    low, high = unsure_range(settings.threshold)
    meanings = "\n".join(
        f"<dt>{_badge(verdict)}</dt><dd>{VERDICT_MEANING[verdict].format(low=low, high=high)}</dd>"
        for verdict in VERDICT_ORDER
    )
    assert set(VERDICT_MEANING) == {*VERDICTS, UNREADABLE}
    return f"""<h2>How to read this report</h2>
<dl class="facts">
{meanings}
</dl>
<p>Each photo is scored in overlapping patches. The colour at a place shows the mean crack
probability of the patches around it, from none (grey photo) over yellow to dark red. Few patches
lie around a place at the edge of the photo, so there the colour of a crack reaches to the edge.
Solid lines surround regions reported as cracks, dashed lines unsure ones; the numbers are those in
regions.csv.</p>
<p>A photo that is too dark, overexposed, without fine detail or too small is never reported as
clean. It is reported as a crack only if a crack lies in a part of the photo without these faults. A
photo that differs from the training photos, or does not show a surface, gets the verdict "cannot
tell". A small photo is scored at several scales, because it may have been downscaled; each place
then shows the mean of all scales.</p>"""


def _model(facts: Facts) -> str:
    rows = "\n".join(
        f"<dt>{escape(what)}</dt><dd>{escape(value)}</dd>" for what, value in facts.rows
    )
    limits = "\n".join(f"<li>{escape(limit)}</li>" for limit in facts.limits)
    return f"""<h2 id="model">Limits and scores of the model</h2>
<ul>
{limits}
</ul>
<dl class="facts">
{rows}
</dl>"""
