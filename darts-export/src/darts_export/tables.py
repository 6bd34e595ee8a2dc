"""Tables with outlines as files: GeoPackage and GeoParquet, with what made them, the same bytes for the same table."""

from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from threading import Lock
from typing import Any

import geopandas as gpd
import pyarrow.parquet as pq
import pyogrio

_clock = Lock()
"""GDAL has one date for the whole process."""


def geopackage_bytes(
    frame: gpd.GeoDataFrame, layer: str, metadata: Mapping[str, Any] | None = None, *, date: datetime
) -> bytes:
    """Return a table as a GeoPackage; made in memory, because GDAL does not reliably report a full disk.

    Args:
        frame: The table.
        layer: Name of its layer.
        metadata: Metadata of the file; values become text.
        date: What the file says of when it changed last, UTC: that of the image, so that equal runs give equal bytes.
    """
    buffer = BytesIO()
    with _clock:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"{date:%Y-%m-%dT%H:%M:%S}.000Z"})
        try:
            # one geometry type for all rows: a layer without rows must have the schema of one with rows
            frame.to_file(
                buffer, driver="GPKG", engine="pyogrio", layer=layer, promote_to_multi=True,
                geometry_type="MultiPolygon", dataset_metadata=_texts(metadata) or None,
            )  # fmt: skip
        finally:
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    return buffer.getvalue()


def geoparquet_bytes(frame: gpd.GeoDataFrame, metadata: Mapping[str, Any] | None = None) -> bytes:
    """Return a table as GeoParquet 1.1, zstd, with a bounding box of each row for readers that look for a place.

    Args:
        frame: The table.
        metadata: Metadata of the file, beside what GeoParquet asks for; values become text.
    """
    buffer = BytesIO()
    frame.to_parquet(buffer, index=False, schema_version="1.1.0", write_covering_bbox=True)
    table = pq.read_table(buffer)
    table = table.replace_schema_metadata({**(table.schema.metadata or {}), **_texts(metadata)})
    buffer = BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _texts(metadata: Mapping[str, Any] | None) -> dict[str, str]:
    return {key: str(value) for key, value in (metadata or {}).items()}
