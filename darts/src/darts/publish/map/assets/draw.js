"use strict";
// The map: one canvas that moves with the map and is drawn anew when it has moved.
const COUNTS_BELOW = -9, OUTLINES_FROM = -4.5; // zoom levels: powers of two of pixels a metre
const EDGES = ["#4d4d4d", "#a4532f", "#a8441c", "#7a1020"];
const TIER_ORDER = [0, 1, 2, 3];

// From old to new: dark blue over green to orange, of rising lightness, so that also who sees no colours sees an order.
function yearColour(year) {
  const stops = [[59, 28, 110], [33, 110, 142], [60, 160, 100], [214, 130, 20]];
  const at = index.years.length < 2 ? 0 : (year / (index.years.length - 1)) * (stops.length - 1);
  const low = Math.min(Math.floor(at), stops.length - 2), part = at - low;
  return `rgb(${stops[low].map((value, k) => Math.round(value + part * (stops[low + 1][k] - value))).join(",")})`;
}

const SlumpLayer = L.Layer.extend({
  PAD: 0.35, CIRCLES_PX: 76, LARGEST_PX: 36, MANY: 15000,

  initialize(state) {
    this.state = state;
    this.drawn = { mode: "points", spots: [], shapes: [], largest: 0 };
    this.counts = { key: "", circles: [] };
    this.land = new Path2D();
    this.lines = new Path2D();
    for (const rings of index.land) for (const ring of rings) this.trace(this.land, ring, true);
    for (const line of index.graticule) this.trace(this.lines, line, false);
  },

  trace(path, steps, closes) {
    let x = 0, y = 0;
    for (let at = 0; at < steps.length; at += 2) {
      x += steps[at];
      y += steps[at + 1];
      if (at === 0) path.moveTo(x, y); else path.lineTo(x, y);
    }
    if (closes) path.closePath();
  },

  onAdd(map) {
    this.canvas = L.DomUtil.create("canvas", "slumps", map.getPane("overlayPane"));
    map.on("moveend resize zoomend viewreset", this.draw, this);
    map.on("move", this.whileMoving, this);
    this.draw();
  },

  whileMoving() {
    const from = L.DomUtil.getPosition(this._map.getPane("mapPane")), size = this._map.getSize();
    const moved = from.subtract(this.at);
    if (Math.abs(moved.x) > this.PAD * size.x || Math.abs(moved.y) > this.PAD * size.y) this.draw();
  },

  later() {
    if (this.asked) return;
    this.asked = requestAnimationFrame(() => { this.asked = null; this.draw(); });
  },

  // Left, bottom, right and top of what the window shows, in metres, and some more on each side.
  box(more = 0) {
    const bounds = this._map.getBounds(), [left, right] = [bounds.getWest(), bounds.getEast()];
    const [bottom, top] = [bounds.getSouth(), bounds.getNorth()];
    const [x, y] = [(right - left) * more, (top - bottom) * more];
    return [left - x, bottom - y, right + x, top + y];
  },

  draw() {
    if (!this._map) return;
    const map = this._map, size = map.getSize(), zoom = map.getZoom();
    const corner = map.containerPointToLayerPoint(size.multiplyBy(-this.PAD)).round();
    const wide = Math.round(size.x * (1 + 2 * this.PAD)), high = Math.round(size.y * (1 + 2 * this.PAD));
    const dense = Math.min(window.devicePixelRatio || 1, 2);
    this.at = L.DomUtil.getPosition(map.getPane("mapPane")).clone();
    L.DomUtil.setPosition(this.canvas, corner);
    if (this.canvas.width !== wide * dense || this.canvas.height !== high * dense) {
      this.canvas.width = wide * dense;
      this.canvas.height = high * dense;
      this.canvas.style.width = `${wide}px`;
      this.canvas.style.height = `${high}px`;
    }
    const context = this.canvas.getContext("2d"), scale = 2 ** zoom;
    const origin = map.latLngToLayerPoint([0, 0]).subtract(corner);
    const view = { context, scale, dense, wide, high, x: origin.x, y: origin.y, box: this.box(this.PAD), zoom };
    context.setTransform(dense, 0, 0, dense, 0, 0);
    context.clearRect(0, 0, wide, high);
    this.drawLand(view);
    if (this.state.looks && this.state.year >= 0) this.drawLooks(view);
    this.drawn = { mode: "points", spots: [], shapes: [], largest: 0 };
    if (zoom < COUNTS_BELOW) this.drawCounts(view);
    else if (zoom < OUTLINES_FROM) this.drawPoints(view, this.inBox(view.box));
    else this.drawOutlines(view);
    this.drawChosen(view);
    this.fire("drawn");
  },

  plane({ context, scale, dense, x, y }, unit) {
    context.setTransform(dense * scale * unit, 0, 0, -dense * scale * unit, dense * x, dense * y);
  },

  drawLand(view) {
    const { context, scale, dense } = view;
    this.plane(view, 1000);
    context.fillStyle = "#f7f5ee";
    context.strokeStyle = "#aab5ac";
    context.lineWidth = 1 / (scale * 1000);
    context.fill(this.land);
    context.stroke(this.land);
    context.strokeStyle = "#9fb0bd";
    context.lineWidth = 0.6 / (scale * 1000);
    context.stroke(this.lines);
    context.setTransform(dense, 0, 0, dense, 0, 0);
  },

  drawLooks(view) {
    const { context, scale, dense } = view;
    if (!store.hasLooks(this.state.year)) return;
    const path = store.ground(this.state.year).value;
    if (!path) return;
    this.plane(view, 1);
    context.fillStyle = "rgba(31,95,139,.14)";
    context.strokeStyle = "rgba(31,95,139,.75)";
    context.lineWidth = 1.2 / scale;
    context.fill(path, "evenodd");
    context.stroke(path);
    context.setTransform(dense, 0, 0, dense, 0, 0);
  },

  inBox(box) {
    const { x, y } = store.points, found = [];
    for (const i of this.state.shown) {
      if (x[i] >= box[0] && x[i] <= box[2] && y[i] >= box[1] && y[i] <= box[3]) found.push(i);
    }
    return found;
  },

  // ---- low zooms: circles of as much ink as there are slumps -------------------------------------------------------
  circles(zoom) {
    const key = `${zoom} ${this.state.version}`;
    if (this.counts.key === key) return this.counts.circles;
    const grid = this.CIRCLES_PX * 2 ** -zoom, cells = new Map(), { x, y } = store.points;
    for (const i of this.state.shown) {
      const at = Math.floor(x[i] / grid) * 1e5 + Math.floor(y[i] / grid);
      let cell = cells.get(at);
      if (!cell) cells.set(at, (cell = { n: 0, x: 0, y: 0, tiers: [0, 0, 0, 0] }));
      cell.n += 1;
      cell.x += x[i];
      cell.y += y[i];
      cell.tiers[this.state.tierOf(i)] += 1;
    }
    const circles = [...cells.values()].sort((a, b) => b.n - a.n);
    for (const circle of circles) { circle.x /= circle.n; circle.y /= circle.n; }
    this.counts = { key, circles };
    return circles;
  },

  radius(n, largest) {
    return Math.max(3.5, this.LARGEST_PX * Math.sqrt(n / Math.max(largest, 12)));
  },

  drawCounts(view) {
    const { context, scale } = view, circles = this.circles(view.zoom), largest = circles.length ? circles[0].n : 0;
    this.drawn = { mode: "counts", spots: [], shapes: [], largest };
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const circle of circles) {
      const x = view.x + circle.x * scale, y = view.y - circle.y * scale, r = this.radius(circle.n, largest);
      if (x < -r || y < -r || x > view.wide + r || y > view.high + r) continue;
      this.drawn.spots.push({ x: circle.x, y: circle.y, r, circle });
      let angle = -Math.PI / 2;
      for (const tier of [3, 2, 1, 0]) {
        if (!circle.tiers[tier]) continue;
        const to = angle + (2 * Math.PI * circle.tiers[tier]) / circle.n;
        context.beginPath();
        context.moveTo(x, y);
        context.arc(x, y, r, angle, to);
        context.closePath();
        context.fillStyle = index.colours[tier];
        context.fill();
        angle = to;
      }
      context.beginPath();
      context.arc(x, y, r, 0, 2 * Math.PI);
      context.lineWidth = 1;
      context.strokeStyle = "#5b2a18";
      context.stroke();
      if (r < 13) continue;
      const words = circle.n >= 10000 ? `${Math.round(circle.n / 1000)}k` : String(circle.n);
      context.font = `600 ${r < 18 ? 10 : 12}px system-ui, "DejaVu Sans", sans-serif`;
      const wide = context.measureText(words).width / 2 + 3;
      context.beginPath();
      context.roundRect(x - wide, y - 8, 2 * wide, 16, 8);
      context.fillStyle = "rgba(255,255,255,.92)";
      context.fill();
      context.fillStyle = "#1b2631";
      context.fillText(words, x, y + 0.5);
    }
  },

  // ---- middle zooms ------------------------------------------------------------------------------------------------
  drawPoints(view, found) {
    const { context, scale } = view, { x, y } = store.points, byTier = [[], [], [], []];
    for (const i of found) byTier[this.state.tierOf(i)].push(i);
    const r = found.length > this.MANY ? 2 : view.zoom < -7 ? 3.2 : 4.2;
    for (const tier of TIER_ORDER) {
      context.fillStyle = index.colours[tier];
      context.strokeStyle = EDGES[tier];
      context.lineWidth = 1;
      context.beginPath();
      for (const i of byTier[tier]) {
        const [px, py] = [view.x + x[i] * scale, view.y - y[i] * scale];
        if (r === 2) context.rect(px - 1.5, py - 1.5, 3, 3);
        else {
          context.moveTo(px + r, py);
          context.arc(px, py, r, 0, 2 * Math.PI);
        }
      }
      context.fill();
      if (r > 2) context.stroke();
    }
    this.drawn.spots = this.drawn.spots.concat(found.map((i) => ({ x: x[i], y: y[i], r, i })));
  },

  // ---- high zooms --------------------------------------------------------------------------------------------------
  outlines(view) {
    const near = this.box(0.1);
    if (tiles.isOpen()) return tiles.shapesOver(near, 1 / view.scale);
    const names = new Set(), reach = 2000, shapes = [];
    let isWhole = true;
    for (let x = near[0] - reach; ; x = Math.min(x + index.cell, near[2] + reach)) {
      for (let y = near[1] - reach; ; y = Math.min(y + index.cell, near[3] + reach)) {
        names.add(store.cellOf(x, y));
        if (y >= near[3] + reach) break;
      }
      if (x >= near[2] + reach) break;
    }
    for (const name of names) {
      if (!store.points.starts.has(name)) continue;
      const { value, failed } = store.cell(name);
      if (value) shapes.push(...value.shapes); else isWhole = isWhole && failed;
    }
    return { shapes, isWhole };
  },

  drawOutlines(view) {
    const { shapes, isWhole } = this.outlines(view), box = view.box, state = this.state;
    const isNear = ({ box: b }) => b[0] <= box[2] && b[2] >= box[0] && b[1] <= box[3] && b[3] >= box[1];
    const near = shapes.filter((shape) => isNear(shape) && state.isShown(shape.i));
    const current = near.filter((shape) => shape.year === state.yearOf(shape.i) && shape.rings[0].length > 2);
    const drawn = new Set(current.map((shape) => shape.i));
    for (const tier of TIER_ORDER) {
      this.drawRings(view, current.filter((shape) => state.tierOf(shape.i) === tier), {
        fill: index.colours[tier], alpha: tier === 1 || tier === 0 ? 0.75 : 0.5, stroke: state.everyYear ? null : EDGES[tier], width: 1.5,
      });
    }
    if (state.everyYear) {
      index.years.forEach((_, year) => {
        this.drawRings(view, near.filter((shape) => shape.year === year), { stroke: yearColour(year), width: 1.8 });
      });
    }
    this.drawn = { mode: "outlines", spots: [], shapes: current, largest: 0, isWhole };
    this.drawPoints(view, this.inBox(box).filter((i) => !drawn.has(i)));
  },

  drawRings(view, shapes, { fill = null, alpha = 1, stroke, width }) {
    if (!shapes.length) return;
    const { context, scale } = view, path = new Path2D();
    for (const { rings } of shapes) {
      for (const ring of rings) {
        for (let at = 0; at < ring.length; at += 2) {
          const [x, y] = [view.x + ring[at] * scale, view.y - ring[at + 1] * scale];
          if (at === 0) path.moveTo(x, y); else path.lineTo(x, y);
        }
        path.closePath();
      }
    }
    if (fill) {
      context.globalAlpha = alpha;
      context.fillStyle = fill;
      context.fill(path, "evenodd");
      context.globalAlpha = 1;
    }
    if (stroke) {
      context.strokeStyle = stroke;
      context.lineWidth = width;
      context.stroke(path);
    }
  },

  drawChosen(view) {
    const { context, scale } = view, i = this.state.chosen;
    if (i === null) return;
    const shapes = this.drawn.shapes.filter((shape) => shape.i === i);
    for (const [stroke, width] of [["#ffffff", 5], ["#0b3d91", 2.5]]) {
      if (shapes.length) this.drawRings(view, shapes, { stroke, width });
      else {
        context.beginPath();
        context.arc(view.x + store.points.x[i] * scale, view.y - store.points.y[i] * scale, 9, 0, 2 * Math.PI);
        context.strokeStyle = stroke;
        context.lineWidth = width;
        context.stroke();
      }
    }
  },

  // Return what lies under a place of the window: a slump, a circle of several, or nothing.
  under(latlng) {
    const scale = 2 ** this._map.getZoom(), x = latlng.lng, y = latlng.lat;
    const holds = this.drawn.shapes.filter((shape) => inside(shape.rings, x, y));
    if (holds.length) {
      const size = ({ box }) => (box[2] - box[0]) * (box[3] - box[1]);
      return { i: holds.reduce((a, b) => (size(b) < size(a) ? b : a)).i };
    }
    let best = null, least = Infinity;
    for (const spot of this.drawn.spots) {
      const far = Math.hypot(spot.x - x, spot.y - y) * scale;
      if (far <= Math.max(spot.r + 2, spot.circle ? 0 : 10) && far < least) { best = spot; least = far; }
    }
    return best;
  },
});

function inside(rings, x, y) {
  let odd = false;
  for (const ring of rings) {
    for (let at = 0, before = ring.length - 2; at < ring.length; before = at, at += 2) {
      if (ring[at + 1] > y !== ring[before + 1] > y
        && x < ((ring[before] - ring[at]) * (y - ring[at + 1])) / (ring[before + 1] - ring[at + 1]) + ring[at]) odd = !odd;
    }
  }
  return odd;
}
