"use strict";
// Outlines from vector tiles, where the server answers range requests; else the page takes them from cells.
const tiles = (function () {
  const MOST_TILES = 200, HALF = 20037508.342789244, RADIUS = 6378137, LEAST_ZOOM = 10, MOST_ZOOM = 12;
  const known = new Map();
  let archive = null;

  // A server without ranges sends the whole archive, which may be large: a few bytes tell, and the rest is not read.
  async function open() {
    if (!index.tiles || !/^https?:$/.test(location.protocol)) return false;
    try {
      const stop = new AbortController();
      const answer = await fetch(index.tiles, { headers: { Range: "bytes=0-6" }, signal: stop.signal });
      const isPart = answer.status === 206;
      const start = isPart ? new TextDecoder().decode(await answer.arrayBuffer()) : "";
      if (!isPart) stop.abort();
      if (start !== "PMTiles") return false;
      const made = new pmtiles.PMTiles(index.tiles);
      const header = await made.getHeader();
      if (header.tileType !== pmtiles.TileType.Mvt || header.maxZoom < MOST_ZOOM) return false;
      archive = made;
    } catch (problem) {
      return false;
    }
    return true;
  }

  function place(longitude, latitude, zoom) {
    const n = 2 ** zoom, phi = (latitude * Math.PI) / 180;
    const clip = (value) => Math.max(0, Math.min(n - 1, Math.floor(value)));
    return [clip(((longitude + 180) / 360) * n), clip(((1 - Math.asinh(Math.tan(phi)) / Math.PI) / 2) * n)];
  }

  // The tiles over a rectangle of the map, whose edges are no lines of latitude: points closer than tiles tell.
  function over(box, metres) {
    const zoom = Math.max(LEAST_ZOOM, Math.min(MOST_ZOOM, Math.round(13.4 - Math.log2(metres))));
    const steps = 24, found = new Map();
    for (let row = 0; row <= steps; row += 1) {
      for (let column = 0; column <= steps; column += 1) {
        const [longitude, latitude] = polar.inverse(
          box[0] + ((box[2] - box[0]) * column) / steps, box[1] + ((box[3] - box[1]) * row) / steps);
        if (latitude > 85) continue;
        const [x, y] = place(longitude, latitude, zoom);
        found.set(`${zoom}/${x}/${y}`, [zoom, x, y]);
      }
    }
    return found;
  }

  const tile = (name, [zoom, x, y]) => store.kept(known, name, MOST_TILES, async () => {
    const answer = await archive.getZxy(zoom, x, y);
    return answer ? decoded(answer.data, zoom, x, y) : [];
  });

  function decoded(data, zoom, x, y) {
    const layer = new vectorTile.VectorTile(new vectorTile.Pbf(new Uint8Array(data))).layers.slumps;
    const shapes = [];
    for (let number = 0; layer && number < layer.length; number += 1) {
      const feature = layer.feature(number), size = (2 * HALF) / 2 ** zoom / layer.extent;
      const rings = feature.loadGeometry().map((points) => {
        const ring = new Float64Array(2 * points.length);
        points.forEach((point, at) => {
          const east = (x * layer.extent + point.x) * size - HALF, north = HALF - (y * layer.extent + point.y) * size;
          ring.set(polar.forward((east / RADIUS) * (180 / Math.PI), (Math.atan(Math.sinh(north / RADIUS)) * 180) / Math.PI), 2 * at);
        });
        return ring;
      });
      const box = store.boxOf(rings);
      const i = store.ofFeature(feature.properties.slump_id, (box[0] + box[2]) / 2, (box[1] + box[3]) / 2);
      const year = index.years.indexOf(feature.properties.year);
      if (i !== null && year >= 0) shapes.push({ i, year, rings, box });
    }
    return shapes;
  }

  // Outlines are whole in each tile that they touch, so that some come several times.
  function shapesOver(box, metres) {
    const shapes = [], seen = new Set();
    let isWhole = true;
    for (const [name, at] of over(box, metres)) {
      const { value, failed } = tile(name, at);
      if (value === null) { isWhole = isWhole && failed; continue; }
      for (const shape of value) {
        const rings = shape.rings.filter((ring) => {
          const key = `${shape.i} ${shape.year} ${Math.round(ring[0])} ${Math.round(ring[1])}`;
          return !seen.has(key) && seen.add(key);
        });
        if (rings.length) shapes.push({ ...shape, rings });
      }
    }
    return { shapes, isWhole };
  }

  return { open, shapesOver, isOpen: () => archive !== null };
})();
