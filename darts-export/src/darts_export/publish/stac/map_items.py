"""The STAC item of a mosaic tile in a year."""

from pathlib import Path
from typing import Any

import pystac
import shapely

from darts_export.publish.stac import names
from darts_export.publish.stac.extent import box_of
from darts_export.publish.stac.facts import CatalogueFacts, MapTile, Raster
from darts_export.publish.stac.files import file_fields, file_of, href_from
from darts_export.publish.stac.links import family
from darts_export.publish.stac.model_items import mlm_name_of
from darts_export.publish.stac.rasters import Described, describe_raster
from darts_utils.errors import DataError

EXTENSIONS = [names.PROJECTION, names.RASTER, names.FILE_INFO, names.PROCESSING]


def map_item(folder: Path, tile: MapTile, facts: CatalogueFacts, collection_id: str) -> pystac.Item:
    """Return the item of a mosaic tile; its rasters are read for it.

    Args:
        folder: Of the catalogue.
        tile: The tile.
        facts: Of the catalogue.
        collection_id: Of the collection of maps.

    Raises:
        DataError: If the tile has no rasters or no images, or a raster cannot be read or is not as described.
        MissingDataError: If a raster is not there.
    """
    item_id = item_id_of(tile)
    if not tile.rasters or not tile.images:
        raise DataError(f"the tile {item_id} has no rasters or no images. Publish tiles that were mapped.")
    path = names.map_item_path(item_id)
    described = {raster.key: _described(folder, raster) for raster in tile.rasters}
    outline = next(iter(described.values())).outline
    times = [image.acquired for image in tile.images]
    item = pystac.Item(
        id=item_id,
        geometry=shapely.geometry.mapping(outline),
        bbox=box_of(outline),
        datetime=None,
        start_datetime=min(times),
        end_datetime=max(times),
        properties=_properties(tile, facts),
        stac_extensions=list(EXTENSIONS),
        collection=collection_id,
    )
    item.add_links([*family(path, names.MAP, is_item=True), *_models(tile, path), *_images(tile)])
    for raster in tile.rasters:
        item.add_asset(raster.key, _asset(folder, raster, described[raster.key], path))
    return item


def item_id_of(tile: MapTile) -> str:
    """Return the id of the item of a tile."""
    return f"{tile.year}-{tile.cell}"


def _properties(tile: MapTile, facts: CatalogueFacts) -> dict[str, Any]:
    return {
        "title": f"{tile.cell} in {tile.year}",
        "processing:level": names.LEVEL,
        "processing:lineage": tile.lineage,
        "processing:software": dict(facts.software),
        "darts:year": tile.year,
        "darts:cell": tile.cell,
        "darts:models": list(tile.models),
        "darts:images": sorted({image.image_id for image in tile.images}),
    }


def _described(folder: Path, raster: Raster) -> Described:
    return describe_raster(file_of(folder, raster.path), raster.bands)


def _asset(folder: Path, raster: Raster, described: Described, path: str) -> pystac.Asset:
    return pystac.Asset(
        href=href_from(path, raster.path),
        title=raster.title,
        media_type=names.GEOTIFF,
        roles=["data"],
        extra_fields={**described.fields, **file_fields(file_of(folder, raster.path))},
    )


def _models(tile: MapTile, path: str) -> list[pystac.Link]:
    """Return links to the models, with the relation that the extension for models asks for."""
    return [
        pystac.Link(
            rel=pystac.RelType.DERIVED_FROM,
            target=href_from(path, names.model_item_path(name)),
            media_type=names.GEOJSON,
            title=f"model {name}",
            extra_fields={**mlm_name_of(name), "processing:level": names.LEVEL},
        )
        for name in tile.models
    ]


def _images(tile: MapTile) -> list[pystac.Link]:
    known = {image.href: image for image in tile.images if image.href is not None}
    return [
        pystac.Link(rel=pystac.RelType.DERIVED_FROM, target=href, media_type=names.GEOJSON, title=known[href].image_id)
        for href in sorted(known)
    ]
