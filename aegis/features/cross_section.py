"""Features as ranks and z-scores of the session's members.

Belongs here: which features are compared across members. The operations are :mod:`aegis.signals.cross_section`.
"""

from __future__ import annotations

import pandas as pd

from aegis.features.side_by_side import side_by_side
from aegis.lake.tables.features import RANKED_FEATURES
from aegis.signals.cross_section import CrossSections


def cross_sectional_features(features: pd.DataFrame) -> dict[str, pd.Series]:
    """Return rank and z-score of each of the ranked features, by column.

    Parameters
    ----------
    features : DataFrame
        ``session`` and the ranked features, one row for each member.
    """
    members = CrossSections(features["session"])

    def compare(name: str) -> dict[str, pd.Series]:
        values = features[name]
        return {f"{name}_rank": members.rank(values), f"{name}_z": members.z_score(values)}

    compared: dict[str, pd.Series] = {}
    for found in side_by_side(compare, RANKED_FEATURES):
        compared |= found
    return compared
