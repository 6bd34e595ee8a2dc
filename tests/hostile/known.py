"""Trials that are known to fail, with the numbered line of the issue that is to mend them: all are to go."""

KNOWN = {
    **dict.fromkeys(
        ("configs-fraction", "configs-memory-nan", "configs-quality_level-fraction"),
        "line 13: fractions, nan and inf for whole numbers and others",
    ),
    "items-bomb": "line 19: a largest size after decompression",
    "items-next_page-itself": "line 19: a page that repeats never ends",
    "rasters-file_that_leads_elsewhere": "line 17: named drivers everywhere, no network of GDAL when offline",
}
"""Reason by the beginning of `family-mutation`."""
ENDLESS = ("items-next_page-itself",)
"""Those of them that are not even tried."""


def reason(mutation):
    """Return why a mutation's trials may fail, None if they may not."""
    full = f"{mutation.family}-{mutation.name}"
    return next((why for start, why in KNOWN.items() if full.startswith(start)), None)
