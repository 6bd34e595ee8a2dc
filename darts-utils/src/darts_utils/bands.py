"""How each band is represented in memory, on disk and in front of a network.

Three representations: *memory* (physical units, NaN = no data), *disk* (compact integers) and *model* (0..1 float32).
``decoded = encoded * scale + offset`` and ``model = (memory - lo) / (hi - lo)``. The model ranges are part of every
trained checkpoint.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from darts_utils.errors import ConfigError, DataError
from darts_utils.files import atomic_file
from darts_utils.rasters.arrays import Array

if TYPE_CHECKING:
    import xarray as xr

os.environ.setdefault("HDF5_USE_FILE_LOCKING", "FALSE")
"""Some file systems know no locks. None are needed: a file is written under a name of its own, and never changed."""


@dataclass(frozen=True, kw_only=True)
class BandCodec:
    """The three representations of one band."""

    memory_dtype: str
    """dtype of a tile variable in memory."""
    disk_dtype: str
    """dtype of the compact form."""
    valid_range: tuple[float, float]
    """Lowest and highest value in memory; the model sees this range as 0..1."""
    scale: float | None = None
    """Size of one step on disk, None where memory and disk hold the same numbers."""
    offset: float = 0.0
    """Memory value of the code 0."""
    fill_value: int | None = None
    """Code for no data on disk, None where the band has none."""

    @classmethod
    def optical(cls) -> "BandCodec":
        """Return the codec of surface reflectance: float32 from -0.1 to 0.5, uint16 on disk, 0 = no data."""
        return cls(
            memory_dtype="float32",
            disk_dtype="uint16",
            valid_range=(-0.1, 0.5),
            scale=1 / 10_000,
            offset=-0.1,
            fill_value=0,
        )

    @classmethod
    def signed(cls, low: float, high: float, scale: float) -> "BandCodec":
        """Return the codec of a continuous feature: float32, int16 on disk from 0 on, -1 = no data."""
        return cls(
            memory_dtype="float32",
            disk_dtype="int16",
            valid_range=(low, high),
            scale=scale,
            offset=low,
            fill_value=-1,
        )

    @classmethod
    def ndi(cls) -> "BandCodec":
        """Return the codec of a normalised difference: float32 from -1 to 1, int16 on disk, -1 = no data."""
        return cls.signed(-1, 1, 1 / 10_000)

    @classmethod
    def percentage(cls) -> "BandCodec":
        """Return the codec of a probability: float32 from 0 to 1, uint8 percent on disk, 255 = no data."""
        return cls(memory_dtype="float32", disk_dtype="uint8", valid_range=(0, 1), scale=0.01, offset=0, fill_value=255)

    @classmethod
    def tc(cls) -> "BandCodec":
        """Return the codec of a tasseled-cap trend: uint8 from 0 to 255, in memory as on disk."""
        return cls.mask(255)

    @classmethod
    def mask(cls, high: float = 1) -> "BandCodec":
        """Return the codec of classes from 0 on: uint8 in memory as on disk.

        Args:
            high: The largest class.
        """
        return cls(memory_dtype="uint8", disk_dtype="uint8", valid_range=(0, high))

    @classmethod
    def bool(cls) -> "BandCodec":
        """Return the codec of truth values, in memory as on disk."""
        return cls(memory_dtype="bool", disk_dtype="bool", valid_range=(0, 1))

    def encode(self, memory: Array) -> Array:
        """Return the disk form: clipped to the valid range and rounded to nearest, NaN as the fill value.

        Where the fill value is itself the code of the lowest valid value, that value is stored one step higher, so
        that valid ground never turns into no data.
        """
        if self.scale is None:
            return memory.astype(self.disk_dtype)
        codes = np.rint((self.clip(memory).astype(np.float64) - self.offset) / self.scale)
        if self.fill_value is not None:
            lowest = round((self.valid_range[0] - self.offset) / self.scale)
            if lowest == self.fill_value:
                codes = np.maximum(codes, lowest + 1)
            codes = np.where(np.isnan(codes), self.fill_value, codes)
        return codes.astype(self.disk_dtype)

    def decode(self, encoded: Array) -> Array:
        """Return the memory form of values that `encode` made, the fill value as NaN."""
        if self.scale is None:
            return encoded.astype(self.memory_dtype)
        memory = (encoded.astype(np.float64) * self.scale + self.offset).astype(self.memory_dtype)
        if self.fill_value is not None:
            memory[encoded == self.fill_value] = np.nan
        return memory

    def clip(self, memory: Array) -> Array:
        """Return the values clipped to the valid range, NaN kept, dtype unchanged."""
        low, high = self.valid_range
        return memory if memory.dtype == bool else np.clip(memory, low, high).astype(memory.dtype, copy=False)

    def normalize(self, memory: Array, out: Array | None = None) -> Array:
        """Return what a network sees: float32 from 0 to 1 over the valid range, NaN as 0.

        Written to `out` if that is given, of the same shape and contiguous.
        """
        from darts_utils.rasters.normalize import write_normalized  # compiles, which not all who know the bands need

        model = np.empty(memory.shape, dtype=np.float32) if out is None else out
        low, high = (np.float32(limit) for limit in self.valid_range)
        lines = (-1, memory.shape[-1]) if memory.size else (0, 0)
        write_normalized(memory.reshape(lines), low, high, model.reshape(lines))
        return model

    @property
    def cf_attributes(self) -> dict[str, float | int]:
        """CF conventions attributes with which any reader can decode the disk form."""
        if self.scale is None:
            return {}
        attributes: dict[str, float | int] = {"scale_factor": self.scale, "add_offset": self.offset}
        if self.fill_value is not None:
            attributes["_FillValue"] = np.dtype(self.disk_dtype).type(self.fill_value)
        return attributes


class BandManager(Mapping[str, BandCodec]):
    """The codecs of all bands by name; a name may hold a wildcard, as in ``probabilities-*``."""

    def __init__(self, codecs: Mapping[str, BandCodec]) -> None:
        self._codecs = dict(codecs)

    def __getitem__(self, name: str) -> BandCodec:
        """Return the codec of a band, or raise KeyError with the known names."""
        if name in self._codecs:
            return self._codecs[name]
        for pattern, codec in self._codecs.items():
            if "*" in pattern and fnmatchcase(name, pattern):
                return codec
        raise KeyError(f"no band is called {name!r}; known bands: {', '.join(self._codecs)}")

    def __contains__(self, name: object) -> bool:
        """Tell whether a band of this name, or a wildcard for it, is known."""
        return isinstance(name, str) and any(name == p or fnmatchcase(name, p) for p in self._codecs)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names and wildcards."""
        return iter(self._codecs)

    def __len__(self) -> int:
        """Return the number of codecs."""
        return len(self._codecs)

    @overload
    def normalize(self, tile: "xr.DataArray") -> "xr.DataArray": ...
    @overload
    def normalize(self, tile: "xr.Dataset") -> "xr.Dataset": ...
    def normalize(self, tile: "xr.Dataset | xr.DataArray") -> "xr.Dataset | xr.DataArray":
        """Return the model representation (float32, 0..1, NaN as 0) of a band or of every known band of a tile."""
        return self._map(tile, lambda codec, values: codec.normalize(values))

    @overload
    def crop(self, tile: "xr.DataArray") -> "xr.DataArray": ...
    @overload
    def crop(self, tile: "xr.Dataset") -> "xr.Dataset": ...
    def crop(self, tile: "xr.Dataset | xr.DataArray") -> "xr.Dataset | xr.DataArray":
        """Return a band, or every known band of a tile, clipped to its valid range."""
        return self._map(tile, lambda codec, values: codec.clip(values))

    def _map(
        self, tile: "xr.Dataset | xr.DataArray", function: Callable[[BandCodec, Array], Array]
    ) -> "xr.Dataset | xr.DataArray":
        import xarray as xr  # here, because names of bands are looked at at every start

        if isinstance(tile, xr.DataArray):
            return self._map_band(tile, function)
        return tile.assign({name: self._map_band(tile[name], function) for name in self._known(tile)})

    def _map_band(self, band: "xr.DataArray", function: Callable[[BandCodec, Array], Array]) -> "xr.DataArray":
        if band.name not in self:
            raise ConfigError(f"no band is called {band.name!r}; known bands: {', '.join(self)}.")
        return band.copy(data=function(self[str(band.name)], band.values))

    def encode(self, tile: "xr.Dataset") -> "xr.Dataset":
        """Return the tile in disk representation, with CF attributes on each band that has a codec."""
        known = self._known(tile)
        return tile.assign(
            {
                name: tile[name].copy(data=self[name].encode(tile[name].values)).assign_attrs(self[name].cf_attributes)
                for name in known
            }
        )

    def decode(self, encoded: "xr.Dataset") -> "xr.Dataset":
        """Return the memory representation of a tile that `encode` made."""
        decoded = {}
        for name in self._known(encoded):
            band = encoded[name].copy(data=self[name].decode(encoded[name].values))
            band.attrs = {k: v for k, v in band.attrs.items() if k not in self[name].cf_attributes}
            decoded[name] = band
        return encoded.assign(decoded)

    def validate(self, tile: "xr.Dataset") -> "xr.Dataset":
        """Return the tile unchanged if each band has the dims, and each known one the dtype, of the contract.

        `darts_utils.tile.validate` also looks at the georeference.

        Raises:
            DataError: If a band has other dims or another dtype.
        """
        for name, band in tile.data_vars.items():
            if band.dims[-2:] != ("y", "x"):
                raise DataError(f"band {name} has the dims {band.dims} but must end with ('y', 'x'). Transpose it.")
            if name in self and str(band.dtype) != self[str(name)].memory_dtype:
                expected = self[str(name)].memory_dtype
                raise DataError(f"band {name} is {band.dtype} but must be {expected} in memory. Convert it.")
        return tile

    def _known(self, tile: "xr.Dataset") -> Iterable[str]:
        return [str(name) for name in tile.data_vars if name in self]

    def to_netcdf(self, tile: "xr.Dataset", path: Path) -> None:
        """Write a tile as compressed netCDF in disk representation; the file appears whole or not at all."""
        with atomic_file(path) as part:
            self.write_netcdf(tile, part)

    def write_netcdf(self, tile: "xr.Dataset", path: Path) -> None:
        """Write a tile as compressed netCDF in disk representation, for callers that rename the file themselves."""
        encoded = self.encode(tile)
        for name in encoded.data_vars:
            if encoded[name].dtype == bool:
                encoded[name] = encoded[name].astype("uint8")
            encoded[name].encoding = {"zlib": True, "complevel": 4}
        encoded.to_netcdf(path, engine="netcdf4")

    def open(self, path: Path) -> "xr.Dataset":
        """Return a tile that `to_netcdf` wrote, loaded and in memory representation."""
        import xarray as xr

        with xr.open_dataset(path, engine="netcdf4", mask_and_scale=False, decode_coords="all") as encoded:
            return self.decode(encoded.load())


TRAINING_BANDS = (
    "red", "green", "blue", "nir", "ndvi", "relative_elevation", "slope", "aspect", "hillshade", "curvature",
    "tc_brightness", "tc_greenness", "tc_wetness",
)  # fmt: skip
"""The bands of training data, in the order of its arrays."""


RUGGEDNESS_BANDS = ("dissection_index", "terrain_ruggedness_index", "vector_ruggedness_measure")
"""Bands that are made of elevation only if something asks for them."""


FLAT_GRADIENT = 1e-5
"""Below this gradient (1 cm in 1 km) ground is flat: it has no aspect, which is -1 in memory and 0 for a network.
float32 elevations of a resampled lake differ by as much."""


@dataclass(frozen=True, kw_only=True)
class SpectralIndex:
    """A band that is made of optical bands, pixel by pixel; whoever asks for it by name gets it."""

    inputs: tuple[str, ...]
    """Optical bands that it is made of."""
    function: str
    """Where the function is that makes it, `module:name`: arrays of the inputs go in, an array comes out."""
    long_name: str
    codec: BandCodec
    units: str = "1"
    difference: tuple[str, str] | None = None
    """The bands a and b if it is (a - b) / (a + b), both clipped to 0..1 first: then it can follow changes of light."""


INDICES = {
    "ndvi": SpectralIndex(
        inputs=("red", "nir"),
        function="darts_preprocessing.indices:ndvi",
        long_name="Normalised difference vegetation index",
        codec=BandCodec.ndi(),
        difference=("nir", "red"),
    ),
    "ndwi": SpectralIndex(
        inputs=("green", "nir"),
        function="darts_preprocessing.indices:ndwi",
        long_name="Normalised difference water index",
        codec=BandCodec.ndi(),
        difference=("green", "nir"),
    ),
    "gndvi": SpectralIndex(
        inputs=("green", "nir"),
        function="darts_preprocessing.indices:gndvi",
        long_name="Green normalised difference vegetation index",
        codec=BandCodec.ndi(),
        difference=("nir", "green"),
    ),
    "savi": SpectralIndex(
        inputs=("red", "nir"),
        function="darts_preprocessing.formulas:savi",
        long_name="Soil adjusted vegetation index",
        codec=BandCodec.ndi(),
    ),
    "evi": SpectralIndex(
        inputs=("blue", "red", "nir"),
        function="darts_preprocessing.formulas:evi",
        long_name="Enhanced vegetation index",
        codec=BandCodec.ndi(),
    ),
    "vari": SpectralIndex(
        inputs=("blue", "green", "red"),
        function="darts_preprocessing.formulas:vari",
        long_name="Visible atmospherically resistant index",
        codec=BandCodec.ndi(),
    ),
    "tgi": SpectralIndex(
        inputs=("blue", "green", "red"),
        function="darts_preprocessing.formulas:tgi",
        long_name="Triangular greenness index",
        codec=BandCodec.signed(-30, 30, 60 / 30_000),
        units="nm",
    ),
}
"""The spectral indices: to add one, add it here, and write its function."""


manager = BandManager(
    {
        "red": BandCodec.optical(),
        "green": BandCodec.optical(),
        "blue": BandCodec.optical(),
        "nir": BandCodec.optical(),
        **{name: index.codec for name, index in INDICES.items()},
        "relative_elevation": BandCodec.signed(-50, 50, 100 / 30_000),
        "slope": BandCodec.signed(0, 90, 0.01),
        "aspect": BandCodec.signed(0, 360, 0.1),
        "hillshade": BandCodec.signed(0, 1, 1 / 10_000),
        "curvature": BandCodec.ndi(),
        "terrain_ruggedness_index": BandCodec.signed(0, 60, 60 / 30_000),
        "vector_ruggedness_measure": BandCodec.signed(0, 1, 1 / 30_000),
        "dissection_index": BandCodec.signed(0, 1, 1 / 10_000),
        "tc_brightness": BandCodec.tc(),
        "tc_greenness": BandCodec.tc(),
        "tc_wetness": BandCodec.tc(),
        "dem": BandCodec.signed(-100, 3000, 0.1),
        "quality_data_mask": BandCodec.mask(2),
        "s2_scl": BandCodec.mask(11),
        "observations": BandCodec(memory_dtype="uint16", disk_dtype="uint16", valid_range=(0, 65_535)),
        "planet_udm": BandCodec.mask(8),
        "arcticdem_data_mask": BandCodec(memory_dtype="uint8", disk_dtype="bool", valid_range=(0, 1)),
        "probabilities": BandCodec.percentage(),
        "probabilities-*": BandCodec.percentage(),
        "uncertainty": BandCodec.percentage(),
        "binarized_segmentation": BandCodec.bool(),
        "binarized_segmentation-*": BandCodec.bool(),
        "cut_segmentation": BandCodec.bool(),
        "cut_segmentation-*": BandCodec.bool(),
        "extent": BandCodec.bool(),
        "features_missing": BandCodec.bool(),
        "features_missing-*": BandCodec.bool(),
    }
)
"""The codecs of every band of the tile contract."""


def model_suffixes(models: Iterable[str]) -> list[str]:
    """Return what is appended to the names of results: nothing for the mean of an ensemble, then each model's."""
    return ["", *(f"-{name}" for name in models)]
