"use strict";
// What the page knows: points of all slumps, and outlines and histories of the cells and ground that were asked for.
const index = JSON.parse(document.getElementById("data").textContent);
const store = (function () {
  const MOST_CELLS = 60, MOST_LOOKS = 6, ID_LETTERS = 8, SECONDS = 30;
  const Y = index.years.length;
  const waiting = new Map(), cells = new Map(), looks = new Map();
  const listeners = [];

  // Scripts are the only files that a page may read from disk: each hands over its values by this call.
  window.dartsData = (name, values) => { const given = waiting.get(name); if (given) given.values = values; };

  function load(name) {
    const known = waiting.get(name);
    if (known) return known.promise;
    const entry = {};
    entry.promise = new Promise((done, failed) => {
      const script = document.createElement("script");
      const end = (problem) => {
        waiting.delete(name);
        script.remove();
        if (problem || entry.values === undefined) failed(new Error(`data/${name}.js cannot be read`));
        else done(entry.values);
      };
      script.onload = () => end(false);
      script.onerror = () => end(true);
      script.src = `data/${encodeURIComponent(name)}.js`;
      document.head.append(script);
    });
    waiting.set(name, entry);
    return entry.promise;
  }

  // ---- points ------------------------------------------------------------------------------------------------------
  const points = {
    n: 0, x: new Float64Array(0), y: new Float64Array(0), tiers: new Int8Array(0), areas: new Int32Array(0),
    status: new Uint8Array(0), merged: new Uint8Array(0), verdict: new Uint8Array(0), last: new Uint8Array(0), ids: "",
    starts: new Map(),
  };
  let byId = null;

  function grown(kind, old, length) {
    const made = new kind(length);
    made.set(old);
    return made;
  }

  function addPoints(chunk) {
    const from = points.n, n = from + chunk.n;
    points.x = grown(Float64Array, points.x, n);
    points.y = grown(Float64Array, points.y, n);
    points.tiers = grown(Int8Array, points.tiers, n * Y);
    points.areas = grown(Int32Array, points.areas, n * Y);
    for (const name of ["status", "merged", "verdict", "last"]) points[name] = grown(Uint8Array, points[name], n);
    let x = 0, y = 0, at = 0;
    for (let one = 0; one < chunk.n; one += 1) {
      const i = from + one;
      points.x[i] = x += chunk.x[one];
      points.y[i] = y += chunk.y[one];
      const status = chunk.status.charCodeAt(one) - 48;
      points.status[i] = status & 3;
      points.merged[i] = status >> 2;
      points.verdict[i] = chunk.verdict.charCodeAt(one) - 48;
      let area = 0;
      for (let year = 0; year < Y; year += 1) {
        const code = chunk.tiers.charCodeAt(one * Y + year);
        points.tiers[i * Y + year] = code === 46 ? -1 : code - 48;
        if (code === 46) continue;
        points.areas[i * Y + year] = area += chunk.areas[at++];
        points.last[i] = year;
      }
      const cell = cellOf(x, y);
      if (!points.starts.has(cell)) points.starts.set(cell, i);
    }
    points.ids += chunk.ids;
    points.n = n;
    byId = null;
  }

  function cellOf(x, y) {
    const part = (value) => {
      const number = Math.floor(value / index.cell);
      return (number < 0 ? "-" : "+") + String(Math.abs(number)).padStart(3, "0");
    };
    return `x${part(x)}y${part(y)}`;
  }

  async function loadPoints(drawn) {
    for (const name of index.points) {
      addPoints(await load(name));
      drawn();
    }
  }

  const shortId = (i) => points.ids.slice(i * ID_LETTERS, (i + 1) * ID_LETTERS).trim();

  function withBeginning(words) {
    const found = [], head = words.slice(0, ID_LETTERS).toLowerCase();
    for (let i = 0; i < points.n; i += 1) {
      if (points.ids.startsWith(head, i * ID_LETTERS)) found.push(i);
    }
    return found;
  }

  // A beginning of ids may be that of several slumps: the cells tell which one is meant.
  async function withId(words) {
    const found = withBeginning(words);
    if (words.length <= ID_LETTERS) return found;
    const whole = await Promise.all(found.map(async (i) => (await history(i)).slump_id.toLowerCase().startsWith(words.toLowerCase())));
    return found.filter((_, place) => whole[place]);
  }

  function ofFeature(slumpId, x, y) {
    if (byId === null) {
      byId = new Map();
      for (let i = 0; i < points.n; i += 1) {
        const key = shortId(i);
        if (byId.has(key)) byId.get(key).push(i); else byId.set(key, [i]);
      }
    }
    const found = byId.get(slumpId.slice(0, ID_LETTERS)) || [];
    const far = (i) => Math.hypot(points.x[i] - x, points.y[i] - y);
    return found.length ? found.reduce((a, b) => (far(b) < far(a) ? b : a)) : null;
  }

  // ---- cells -------------------------------------------------------------------------------------------------------
  function kept(map, name, most, make) {
    let entry = map.get(name);
    if (entry) map.delete(name);
    else {
      entry = { value: null, failed: false };
      entry.promise = make().then((value) => {
        entry.value = value;
        for (const listener of listeners) listener();
        return value;
      });
      entry.promise.catch(() => {
        entry.failed = true;
        setTimeout(() => { if (map.get(name) === entry) map.delete(name); }, SECONDS * 1000);
      });
    }
    map.set(name, entry); // the last one is the one that was asked for last
    while (map.size > most) map.delete(map.keys().next().value);
    return entry;
  }

  function ring(steps) {
    const made = new Float64Array(steps.length);
    let x = 0, y = 0;
    for (let at = 0; at < steps.length; at += 2) {
      made[at] = x += steps[at];
      made[at + 1] = y += steps[at + 1];
    }
    return made;
  }

  function boxOf(rings) {
    const box = [Infinity, Infinity, -Infinity, -Infinity];
    for (const one of rings) {
      for (let at = 0; at < one.length; at += 2) {
        box[0] = Math.min(box[0], one[at]);
        box[1] = Math.min(box[1], one[at + 1]);
        box[2] = Math.max(box[2], one[at]);
        box[3] = Math.max(box[3], one[at + 1]);
      }
    }
    return box;
  }

  const cell = (name) => kept(cells, name, MOST_CELLS, async () => {
    const { slumps } = await load(name);
    const start = points.starts.get(name), shapes = [];
    slumps.forEach((slump, place) => slump.years.forEach((row, number) => {
      const rings = slump.outlines[number].map(ring);
      if (rings.length) shapes.push({ i: start + place, year: index.years.indexOf(row[0]), rings, box: boxOf(rings) });
    }));
    return { slumps, shapes };
  });

  async function history(i) {
    const name = cellOf(points.x[i], points.y[i]);
    const { slumps } = await cell(name).promise;
    return slumps[i - points.starts.get(name)];
  }

  const ground = (year) => kept(looks, year, MOST_LOOKS, async () => {
    const shapes = await load(`looks-${index.years[year]}`);
    const path = new Path2D();
    for (const rings of shapes) {
      for (const one of rings.map(ring)) {
        path.moveTo(one[0], one[1]);
        for (let at = 2; at < one.length; at += 2) path.lineTo(one[at], one[at + 1]);
        path.closePath();
      }
    }
    return path;
  });

  return {
    points, loadPoints, shortId, withId, ofFeature, cell, cellOf, history, ground, kept, boxOf,
    onNews: (listener) => listeners.push(listener),
    hasLooks: (year) => index.looks.includes(`looks-${index.years[year]}`),
    nKept: () => cells.size,
  };
})();
