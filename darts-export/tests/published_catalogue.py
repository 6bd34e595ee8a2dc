"""A small catalogue with all that one can hold: mosaics of two years, one across the antimeridian, models, layers."""

import gzip
import json
import struct
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer
from rasterio import Affine

from darts_export.publish import datacite, provenance
from darts_export.publish.changed import json_bytes, write_changed
from darts_export.publish.checking import documents, geoparquet, schemas, stac_objects
from darts_export.publish.checksums import write_checksums
from darts_export.publish.datacite import Creator, DataciteFacts, Related, Right, datacite_document
from darts_export.publish.provenance import Activity, Agent, Entity, ProvenanceFacts, provenance_document
from darts_export.publish.stac.facts import (
    Band,
    CatalogueFacts,
    Image,
    Layer,
    MapTile,
    ModelFile,
    Provider,
    Raster,
)
from darts_export.publish.stac.names import GEOPARQUET, PMTILES
from darts_export.publish.stac.write import write_stac

PUBLISHED = datetime(2026, 11, 28, 12, tzinfo=UTC)
PLACES = {"x-21y-02": (-2_100_000, -200_000), "x-12y+11": (-1_275_000, 1_275_000)}
"""Upper left corners in EPSG:3413; the antimeridian goes through the second one."""
CARD = {
    "format": "darts-model",
    "format_version": 1,
    "model_id": "ab" * 32,
    "name": "tiny",
    "version": "1",
    "created": "2026-10-01T08:00:00+00:00",
    "licence": "CC-BY-4.0",
    "citation": "The DARTS developers: tiny",
    "contact": None,
    "architecture": {
        "arch": "Unet",
        "encoder_name": "resnet18",
        "encoder_weights": None,
        "in_channels": 3,
        "classes": 1,
    },
    "bands": [
        {"name": "red", "low": 0.0, "high": 0.5},
        {"name": "nir", "low": 0.0, "high": 0.5},
        {"name": "slope", "low": 0.0, "high": 90.0},
    ],
    "input": {"sensor": ["sentinel2"], "pixel_size_m": 10, "patch_size": 64},
    "calibration": {"temperature": 1.25, "ece_before": 0.05, "ece_after": 0.01},
    "thresholds": {"low": 0.4, "medium": 0.6, "high": None, "best_f1": 0.45},
    "training": {
        "patch_set": "cd" * 32,
        "epochs": 3,
        "hyperparameters": {"learning_rate": 0.001, "augment": ["flip"], "model_encoder_weights": None},
        "versions": {"torch": "2.9.0+cpu"},
        "metrics": {"val": {"JaccardIndex": 0.71}},
    },
    "domain": {
        "type": "MultiPolygon",
        "coordinates": [
            [[[-139.0, 69.0], [-139.0, 69.6], [-138.0, 69.6], [-138.0, 69.0], [-139.0, 69.0]]],
            [[[100.0, 70.0], [101.5, 70.0], [101.5, 71.25], [100.0, 70.0]]],
        ],
    },
    "input_statistics": {"red": {"mean": 0.2, "std": 0.1}},
}
FACTS = CatalogueFacts(
    catalogue_id="slumps-test",
    title="Thaw slumps of a test",
    description="Made up, to see whether a catalogue holds together.",
    licence="CC-BY-4.0",
    licence_href="https://creativecommons.org/licenses/by/4.0/",
    published=PUBLISHED,
    version="1.0",
    software={"DARTS": "0.2.0"},
    providers=(Provider(name="The DARTS developers", roles=("producer", "processor"), url="https://example.org"),),
    keywords=("permafrost", "thaw slumps"),
    layers=(
        Layer(key="slumps", path="inventory/slumps", title="Slumps by year", media_type=GEOPARQUET),
        Layer(key="tiles", path="layers/slumps.pmtiles", title="Slumps for maps", media_type=PMTILES),
        Layer(key="thumbnail", path="preview.png", title="Preview", media_type="image/png", roles=("thumbnail",)),
    ),
    doi="10.5281/zenodo.1",
    box=(179.4, 70.6, -128.6, 73.9),
)


def write_mosaic(file: Path, corner: tuple[float, float], seed: int, *, driver: str = "COG") -> None:
    """Write a raster of 300 rows and 260 columns of 100 m in EPSG:3413, whole percents, 255 without data."""
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 101, (300, 260), dtype=np.uint8)
    values[:40] = 255
    file.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(
        file, "w", driver=driver, width=260, height=300, count=1, dtype="uint8", nodata=255, crs="EPSG:3413",
        transform=Affine(100, 0, corner[0], 0, -100, corner[1]),
        **({"blocksize": 128, "compress": "deflate"} if driver == "COG" else {}),
    ) as raster:  # fmt: skip
        raster.write(values, 1)


def write_weights(file: Path, card: dict) -> None:
    """Write a file as safetensors are: the length of a header, the header, and the weights."""
    header = {"__metadata__": {"darts": json.dumps(card)}, "w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}
    text = json.dumps(header).encode()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(struct.pack("<Q", len(text)) + text + np.arange(3, dtype="<f4").tobytes())


def slumps(n: int = 40, seed: int = 0) -> gpd.GeoDataFrame:
    """Return circles in the west of Canada."""
    rng = np.random.default_rng(seed)
    outlines = shapely.buffer(shapely.points(rng.uniform(-139, -138, n), rng.uniform(69, 69.6, n)), 0.003)
    return gpd.GeoDataFrame({"slump_id": [f"s{i}" for i in range(n)]}, geometry=outlines, crs="EPSG:4326")


def write_slumps(file: Path, frame: gpd.GeoDataFrame) -> None:
    """Write them as an inventory does, in groups of ten rows."""
    file.parent.mkdir(parents=True, exist_ok=True)
    frame.to_parquet(
        file, index=False, compression="zstd", write_covering_bbox=True, schema_version="1.1.0", row_group_size=10
    )


def write_pmtiles(file: Path, n_tiles: int = 5) -> None:
    """Write an archive of some tiles with no more than a word in each."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as opened:
        writer = Writer(opened)
        for x in range(n_tiles):
            writer.write_tile(zxy_to_tileid(3, x, 2), gzip.compress(f"tile {x}".encode(), mtime=0))
        writer.finalize(
            {
                "tile_type": TileType.MVT,
                "tile_compression": Compression.GZIP,
                "min_lon_e7": -1_390_000_000,
                "min_lat_e7": 690_000_000,
                "max_lon_e7": -1_380_000_000,
                "max_lat_e7": 696_000_000,
            },
            {"vector_layers": [{"id": "slumps", "fields": {}}]},
        )


def map_tiles(years: tuple[int, ...] = (2021, 2022)) -> list[MapTile]:
    """Return the tiles of the catalogue."""
    return [
        MapTile(
            year=year,
            cell=cell,
            rasters=(
                Raster(
                    key="probability",
                    path=f"mosaics/{year}/probability-{year}-{cell}.tif",
                    title="Mean probability",
                    bands=(Band(name="probability", description="Mean over the year's looks", unit="%"),),
                ),
                Raster(
                    key="looks",
                    path=f"mosaics/{year}/looks-{year}-{cell}.tif",
                    title="Looks",
                    bands=(Band(name="looks", description="How many images saw the ground"),),
                ),
            ),
            images=(
                Image(image_id=f"S2B_{year}_b", acquired=datetime(year, 8, 3, 20, tzinfo=UTC)),
                Image(
                    image_id=f"S2A_{year}_a",
                    acquired=datetime(year, 7, 1, 20, 9, 9, tzinfo=UTC),
                    href=f"https://example.org/items/S2A_{year}_a",
                ),
            ),
            models=("tiny",),
            lineage=f"Mean of what tiny found in 2 images of {year}",
        )
        for year in years
        for cell in PLACES
    ]


def write_files(folder: Path, years: tuple[int, ...] = (2021, 2022)) -> None:
    """Write what a catalogue tells of, in a folder."""
    for i, tile in enumerate(map_tiles(years)):
        for j, raster in enumerate(tile.rasters):
            write_mosaic(folder / raster.path, PLACES[tile.cell], 10 * i + j)
    write_weights(folder / "models/tiny.safetensors", CARD)
    for year in years:
        write_slumps(folder / f"inventory/slumps/{year}/x-012y+003.parquet", slumps(seed=year))
    write_pmtiles(folder / "layers/slumps.pmtiles")
    (folder / "preview.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "README.md").write_text("# Thaw slumps of a test\n")


def models() -> list[ModelFile]:
    """Return the models of the catalogue."""
    return [ModelFile(name="tiny", card=CARD, path="models/tiny.safetensors")]


DATACITE = DataciteFacts(
    title="Thaw slumps of a test",
    creators=(
        Creator(
            name="Carberry, Josiah", given_name="Josiah", family_name="Carberry", orcid="0000-0002-1825-0097",
            affiliations=("Brown University",),
        ),
        Creator(name="The DARTS developers", is_organisation=True),
    ),
    publisher="Nobody",
    publication_year=2026,
    version="1.0",
    abstract="Made up.",
    methods="Drawn at random.",
    subjects=("permafrost", "thaw slumps", "permafrost"),
    dates=(("2021-07-01/2022-08-03", "Collected"), ("2026-11-28", "Issued")),
    boxes=((179.4, 70.6, -128.6, 73.9),),
    rights=(Right(name="Creative Commons Attribution 4.0", href=FACTS.licence_href, spdx="CC-BY-4.0"),),
    related=(
        Related(identifier="10.7910/DVN/3VDC4W", relation="IsDerivedFrom", resource_type="Dataset"),
        Related(identifier="https://example.org/tiny", relation="Requires", resource_type="Model"),
    ),
    formats=("image/tiff", GEOPARQUET),
    sizes=("1 MB",),
)  # fmt: skip
PROVENANCE = ProvenanceFacts(
    entities=(
        Entity(key="S2A_2021_a", kind="image", href="https://example.org/items/S2A_2021_a"),
        Entity(key="S2B_2021_b", kind="image"),
        Entity(key="images of run 1", kind="images", members=("S2B_2021_b", "S2A_2021_a")),
        Entity(key="arcticdem-4.1", kind="elevation", label="ArcticDEM 4.1", attributes={"resolution_m": 10}),
        Entity(key="tiny", kind="model", attributes={"model_id": "ab" * 32}, made_by=("developers",)),
        Entity(key="maps/2021", kind="map", derived_from=("images of run 1", "arcticdem-4.1", "tiny")),
        Entity(key="slumps", kind="inventory", derived_from=("maps/2021",), made_by=("developers",)),
    ),
    activities=(
        Activity(
            key="run 1", kind="mapping", label="Mapping of 2021", started=datetime(2026, 10, 2, tzinfo=UTC),
            ended=datetime(2026, 10, 3, tzinfo=UTC), used=("images of run 1", "arcticdem-4.1", "tiny"),
            generated=("maps/2021",), agents=("darts",),
        ),
        Activity(key="inventory", kind="inventory", used=("maps/2021",), generated=("slumps",), agents=("darts",)),
        Activity(key="review", kind="review", used=("slumps",), agents=("josiah",), attributes={"n_looked_at": 40}),
    ),
    agents=(
        Agent(key="darts", name="DARTS", kind="software", version="0.2.0"),
        Agent(key="josiah", name="Josiah Carberry", kind="person", href="https://orcid.org/0000-0002-1825-0097"),
        Agent(key="developers", name="The DARTS developers", kind="organisation"),
    ),
)  # fmt: skip


def write_all(folder: Path, years: tuple[int, ...] = (2021, 2022)) -> Path:
    """Write a catalogue that is whole and sound."""
    write_files(folder, years)
    write_stac(folder, FACTS, map_tiles(years), models())
    write_changed(folder / datacite.FILE, json_bytes(datacite_document(DATACITE)))
    write_changed(folder / provenance.FILE, json_bytes(provenance_document(PROVENANCE)))
    write_checksums(folder)
    return folder


@contextmanager
def known_faults():
    """Let equal documents be validated once: of a catalogue that is checked a hundred times nearly all are."""
    known = {}

    def fault_of(document, uri):
        key = json.dumps(document), uri
        if key not in known:
            known[key] = schemas.fault_of(document, uri)
        return known[key]

    with pytest.MonkeyPatch.context() as changed:
        for module in (stac_objects, documents, geoparquet):
            changed.setattr(module, "fault_of", fault_of)
        yield
