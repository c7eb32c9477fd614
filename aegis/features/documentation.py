"""The table of features in ``docs/features.md``, made from their definitions.

Belongs here: its form. ``python -m aegis.features.documentation`` prints it; a test compares it with the page.
"""

from __future__ import annotations

import sys

from aegis.lake.tables.features import FEATURES, FeatureDefinition


def feature_tables() -> str:
    """Return a Markdown table for each family, in the order of the table's columns."""
    families = dict.fromkeys(feature.family for feature in FEATURES)
    return "\n\n".join(_family_table(family) for family in families)


def _family_table(family: str) -> str:
    lines = [
        f"### {family.capitalize()}",
        "",
        "| column | unit | closes | what it is | formula | source |",
        "|---|---|---|---|---|---|",
        *(_line(feature) for feature in FEATURES if feature.family == family),
    ]
    return "\n".join(lines)


def _line(feature: FeatureDefinition) -> str:
    cells = (
        f"`{feature.name}`",
        feature.unit,
        str(feature.closes),
        feature.description,
        f"`{feature.formula}`",
        feature.reference,
    )
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(feature_tables() + "\n")
