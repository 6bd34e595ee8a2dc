"use strict";
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const COLUMNS = ["tile", "day", "sensor", "status", "slumps", "slump area ha", "mapped km²", "seen km²", "seconds"];
  const FIRST_NUMBER = 4, PAGE = 200;
  const ID = 0, DAY = 1, SENSOR = 2, STATUS = 3, SLUMPS = 4, ERROR = 9, FOLDER = 10, PICTURE = 11;

  function element(kind, attributes, ...children) {
    const made = document.createElement(kind);
    for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  // ---- the map -----------------------------------------------------------------------------------------------------
  function points(ring, scale) {
    const found = [];
    let x = 0, y = 0;
    for (let at = 0; at < ring.length; at += 2) {
      x += ring[at]; y += ring[at + 1];
      found.push([y * scale, x * scale]);
    }
    return found;
  }

  const map = L.map("map", {
    crs: L.CRS.Simple, minZoom: -15, maxZoom: 1, zoomSnap: 0.5, preferCanvas: true, attributionControl: false,
  });
  L.control.scale({ imperial: false }).addTo(map);
  for (const polygon of data.land) {
    L.polygon(polygon.map((ring) => points(ring, 1000)), {
      stroke: true, weight: 1, color: "#b9c2ba", fillColor: "#f7f5ee", fillOpacity: 1, interactive: false,
    }).addTo(map);
  }
  for (const line of data.graticule) {
    L.polyline(points(line, 1000), { color: "#9fb0bd", weight: 0.6, interactive: false }).addTo(map);
  }
  const OUTLINE = { color: "#1f5f8b", weight: 1.5, fillColor: "#1f5f8b", fillOpacity: 0.08 };
  const outlines = new Map();
  const everything = L.featureGroup();
  data.grounds.forEach((rings, index) => {
    if (!rings.length) return;
    const shape = rings[0].length === 2
      ? L.circleMarker(points(rings[0], 1)[0], { ...OUTLINE, radius: 5 })
      : L.polygon(rings.map((ring) => points(ring, 1)), OUTLINE);
    shape.bindTooltip(data.tiles[index][ID], { sticky: true });
    shape.on("click", () => choose(index, false));
    outlines.set(index, shape);
    everything.addLayer(shape);
  });
  everything.addTo(map);
  const slumps = L.layerGroup();
  for (const rings of data.slumps) {
    if (!rings.length) continue;
    slumps.addLayer(rings[0].length === 2
      ? L.circleMarker(points(rings[0], 1)[0], { radius: 2, stroke: false, fillColor: "#b2182b", fillOpacity: 0.8, interactive: false })
      : L.polygon(rings.map((ring) => points(ring, 1)), { color: "#b2182b", weight: 1.5, fillColor: "#b2182b", fillOpacity: 0.5, interactive: false }));
  }
  slumps.addTo(map);
  function showAll() {
    if (outlines.size) map.fitBounds(everything.getBounds().pad(0.08));
    else map.setView([0, 0], -13.5);
  }
  showAll();
  byId("whole").addEventListener("click", showAll);
  byId("show-slumps").addEventListener("change", (event) => {
    if (event.target.checked) slumps.addTo(map); else slumps.remove();
  });

  // ---- one tile ----------------------------------------------------------------------------------------------------
  let chosen = null;
  function choose(index, moves) {
    const tile = data.tiles[index];
    if (chosen !== null && outlines.has(chosen)) outlines.get(chosen).setStyle(OUTLINE);
    chosen = index;
    const shape = outlines.get(index);
    if (shape) {
      shape.setStyle({ ...OUTLINE, color: "#e08a00", weight: 3 });
      if (moves) map.fitBounds(shape.getBounds ? shape.getBounds().pad(0.3) : L.latLngBounds([shape.getLatLng()]).pad(1), { animate: false });
    }
    const detail = byId("detail");
    detail.replaceChildren(element("h3", {}, tile[ID]));
    if (tile[PICTURE]) {
      const picture = element("img", { src: tile[PICTURE], alt: "True colour with the outlines of slumps" });
      picture.addEventListener("error", () => picture.replaceWith(element("p", { class: "quiet" }, "The picture is not there any more.")));
      detail.append(tile[FOLDER] ? element("a", { href: tile[PICTURE] }, picture) : picture);
    }
    const facts = element("dl", { class: "figures" });
    COLUMNS.forEach((name, column) => {
      if (column > 0 && tile[column] !== null) facts.append(element("div", {}, element("dt", {}, name), element("dd", {}, shown(tile[column], column))));
    });
    detail.append(facts);
    if (tile[ERROR]) detail.append(element("p", { class: tile[STATUS] === "failed" ? "failed" : "quiet" }, tile[ERROR]));
    if (tile[FOLDER]) detail.append(element("p", {}, element("a", { href: tile[FOLDER] + "/" }, "its files")));
    for (const row of document.querySelectorAll("#table tbody tr")) row.classList.toggle("chosen", Number(row.dataset.index) === index);
  }

  // ---- the table ---------------------------------------------------------------------------------------------------
  function shown(value, column) {
    if (value === null || value === undefined) return "";
    return column >= FIRST_NUMBER ? value.toLocaleString("en-GB", { maximumFractionDigits: column === SLUMPS ? 0 : 2 }) : String(value);
  }
  let order = { column: ID, down: false }, limit = PAGE;
  const head = document.querySelector("#table thead tr"), body = document.querySelector("#table tbody");
  COLUMNS.forEach((name, column) => {
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () => {
      order = { column, down: order.column === column ? !order.down : column >= FIRST_NUMBER };
      show();
    });
    head.append(element("th", { scope: "col", class: column >= FIRST_NUMBER ? "number" : "" }, button));
  });
  function compared(a, b) {
    const [left, right] = [data.tiles[a][order.column], data.tiles[b][order.column]];
    if (left === null || right === null) return (left === null) - (right === null);
    const how = order.column >= FIRST_NUMBER ? left - right : left < right ? -1 : left > right ? 1 : 0;
    return order.down ? -how : how;
  }
  function matching() {
    const words = byId("words").value.trim().toLowerCase(), status = byId("status").value;
    const least = byId("least").value === "" ? null : Number(byId("least").value);
    const found = [];
    data.tiles.forEach((tile, index) => {
      const text = `${tile[ID]} ${tile[DAY] || ""} ${tile[SENSOR] || ""} ${tile[ERROR] || ""}`.toLowerCase();
      if (text.includes(words) && (!status || tile[STATUS] === status) && (least === null || (tile[SLUMPS] !== null && tile[SLUMPS] >= least))) found.push(index);
    });
    return found;
  }
  function row(index) {
    const tile = data.tiles[index];
    const cells = COLUMNS.map((name, column) => {
      if (column === ID) {
        const button = element("button", { type: "button" }, tile[ID]);
        button.addEventListener("click", () => choose(index, true));
        return element("td", {}, button);
      }
      const kind = column >= FIRST_NUMBER ? "number" : column === STATUS && tile[STATUS] === "failed" ? "failed" : "";
      return element("td", { class: kind }, shown(tile[column], column));
    });
    return element("tr", { "data-index": index, class: index === chosen ? "chosen" : "" }, ...cells);
  }
  const FEW = 12;
  let pictures = FEW;
  function gallery(found) {
    const seen = found.filter((index) => data.tiles[index][PICTURE]);
    byId("pictures").hidden = seen.length < 2;
    byId("gallery").replaceChildren(...seen.slice(0, pictures).map((index) => {
      const tile = data.tiles[index];
      const words = tile[SLUMPS] === 1 ? "1 slump" : `${tile[SLUMPS] === null ? 0 : tile[SLUMPS]} slumps`;
      const button = element("button", { type: "button" }, element("img", { src: tile[PICTURE], alt: "", loading: "lazy" }), `${tile[ID]}: ${words}`);
      button.addEventListener("click", () => { choose(index, true); byId("map-part").scrollIntoView(); });
      return button;
    }));
    byId("more-pictures").hidden = seen.length <= pictures;
  }
  byId("more-pictures").addEventListener("click", () => { pictures += 4 * FEW; show(); });
  function show() {
    const found = matching().sort(compared);
    body.replaceChildren(...found.slice(0, limit).map(row));
    gallery(found);
    byId("count").textContent = found.length === 1 ? "1 tile" : `${found.length} tiles`;
    byId("more").hidden = found.length <= limit;
    [...head.children].forEach((cell, column) => {
      if (column === order.column) cell.setAttribute("aria-sort", order.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  }
  for (const id of ["words", "status", "least"]) byId(id).addEventListener("input", () => { limit = PAGE; show(); });
  byId("more").addEventListener("click", () => { limit += PAGE; show(); });
  show();
  if (data.tiles.length === 1) choose(0, false);

  // ---- the timeline ------------------------------------------------------------------------------------------------
  const timeline = byId("timeline");
  if (timeline && data.timeline.stages.length) {
    const { stages, spans, seconds } = data.timeline;
    const LEFT = 110, WIDE = 1000, HIGH = 18, bottom = stages.length * HIGH + 8;
    const NS = "http://www.w3.org/2000/svg";
    const draw = (kind, attributes, text) => {
      const made = document.createElementNS(NS, kind);
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
      if (text) made.textContent = text;
      return made;
    };
    const svg = draw("svg", { viewBox: `0 0 ${LEFT + WIDE + 20} ${bottom + 26}`, role: "img", "aria-label": "When each stage worked" });
    const x = (second) => LEFT + (second / Math.max(seconds, 0.001)) * WIDE;
    stages.forEach((name, lane) => {
      svg.append(draw("text", { x: LEFT - 8, y: lane * HIGH + 14, "text-anchor": "end", "font-size": 12, fill: "#1b2631" }, name));
      svg.append(draw("line", { x1: LEFT, x2: LEFT + WIDE, y1: lane * HIGH + HIGH, y2: lane * HIGH + HIGH, stroke: "#d5dbe0" }));
    });
    for (const [lane, start, length] of spans) {
      svg.append(draw("rect", { x: x(start), y: lane * HIGH + 3, width: Math.max((length / Math.max(seconds, 0.001)) * WIDE, 0.7), height: HIGH - 5, fill: "#1f5f8b" }));
    }
    for (let part = 0; part <= 4; part += 1) {
      const second = (seconds * part) / 4;
      const words = seconds >= 7200 ? `${(second / 3600).toFixed(1)} h` : seconds >= 120 ? `${(second / 60).toFixed(1)} min` : `${second.toFixed(1)} s`;
      svg.append(draw("text", { x: x(second), y: bottom + 16, "text-anchor": "middle", "font-size": 12, fill: "#56626d" }, words));
    }
    timeline.append(svg);
  }
})();
