"""Whether the file of an asset is there, and has the size and the checksum that are said of it."""

from darts_export.publish.checking.findings import Findings
from darts_export.publish.checking.hrefs import led
from darts_export.publish.checking.own import fault_of_folder
from darts_export.publish.checking.rasters import Told, check_raster
from darts_export.publish.checking.tree import Tree
from darts_export.publish.stac import names
from darts_export.publish.stac.files import SHA2_256

_COPY = "Copy the file anew; if it was changed on purpose, publish the catalogue again."


def check_asset(tree: Tree, told: Told, findings: Findings) -> list[list[float]]:
    """Find what of an asset is not as its file is; return its box in longitude and latitude if it is a raster."""
    href = told.asset.get("href")
    if not isinstance(href, str):
        return []  # which the schema says already
    where = led(tree, told.path, href)
    if where.fault is not None:
        findings.add(told.path, f"has an {told.name}, {href}, that {where.fault}", where.advice)
    if where.path is not None and tree.is_ours and where.path in tree.folders:
        _check_folder(tree, where.path, told, findings)
    if where.path is None or where.path not in tree.sizes:
        return []
    _check_file(tree, where.path, told, findings)
    return check_raster(tree, where.path, told, findings) if told.is_geotiff else []


def _check_folder(tree: Tree, folder: str, told: Told, findings: Findings) -> None:
    fault = fault_of_folder(tree, folder, told.asset.get(names.N_FILES))
    if fault is not None:
        findings.add(folder, fault, "Copy it again, or publish the catalogue again.")


def _check_file(tree: Tree, file: str, told: Told, findings: Findings) -> None:
    size, checksum = told.asset.get("file:size"), told.asset.get("file:checksum")
    if size is not None and size != tree.sizes[file]:
        findings.add(told.path, f"says that {told.name} has {size} bytes, but it has {tree.sizes[file]}", _COPY)
    if checksum is None:
        return
    if not str(checksum).startswith(SHA2_256) or len(str(checksum)) != len(SHA2_256) + 64:
        what = f"has a checksum of {told.name} that is not checked, since it is no multihash of SHA-256"
        findings.add(told.path, what, "Check it with another program.")
    elif str(checksum) != f"{SHA2_256}{tree.digest(file)}":
        findings.add(told.path, f"says another checksum of {told.name} than {file} has", _COPY)
