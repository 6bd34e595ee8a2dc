"use strict";
(function () {
  const byId = (id) => document.getElementById(id);
  const Y = index.years.length, ALL = Y, ZOOM_OFFSET = 16, MOST_ROWS = 100, STEP_MS = 1400;
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const { points } = store;

  // ---- what is shown -----------------------------------------------------------------------------------------------
  const state = {
    year: ALL, shown: [], isIn: new Uint8Array(0), version: 0, chosen: null, looks: false, everyYear: false,
    yearOf: (i) => (state.year === ALL ? points.last[i] : state.year),
    tierOf: (i) => Math.max(0, points.tiers[i * Y + state.yearOf(i)]),
    areaOf: (i) => points.areas[i * Y + state.yearOf(i)],
    isShown: (i) => state.isIn[i] === 1,
  };
  const checked = (name) => new Set([...document.querySelectorAll(`input[name="${name}"]:checked`)].map((box) => Number(box.value)));

  function filter() {
    const tiers = checked("tier"), statuses = checked("status"), verdict = byId("verdict").value;
    const least = Number(byId("least").value) || 0, found = [];
    state.isIn = new Uint8Array(points.n);
    for (let i = 0; i < points.n; i += 1) {
      if (state.year === ALL ? points.merged[i] : points.tiers[i * Y + state.year] < 0) continue;
      if (!tiers.has(state.tierOf(i)) || !statuses.has(points.status[i]) || state.areaOf(i) < least) continue;
      if (verdict === "judged" ? points.verdict[i] === 0 : verdict === "but" ? points.verdict[i] === 2 : verdict !== "" && points.verdict[i] !== Number(verdict)) continue;
      state.isIn[i] = 1;
      found.push(i);
    }
    state.shown = found;
    state.version += 1;
  }

  function changed() {
    filter();
    layer.later();
    listLater();
  }

  // ---- the map -----------------------------------------------------------------------------------------------------
  const map = L.map("map", {
    crs: L.CRS.Simple, minZoom: -15, maxZoom: 1, zoomSnap: 0.5, zoomDelta: 1, attributionControl: false,
    zoomAnimation: false, fadeAnimation: false, markerZoomAnimation: false, inertia: !calm, wheelPxPerZoomLevel: 120,
    maxBounds: [[-6e6, -6e6], [6e6, 6e6]],
  });
  L.control.scale({ imperial: false, maxWidth: 140 }).addTo(map);
  const layer = new SlumpLayer(state);
  store.onNews(() => layer.later());

  const place = (longitude, latitude) => { const [x, y] = polar.forward(longitude, latitude); return L.latLng(y, x); };

  function showAll() {
    const some = state.shown.length ? state.shown : null;
    if (!some) { map.setView([0, 0], -13.5, { animate: false }); return; }
    let [left, bottom, right, top] = [Infinity, Infinity, -Infinity, -Infinity];
    for (const i of some) {
      left = Math.min(left, points.x[i]);
      right = Math.max(right, points.x[i]);
      bottom = Math.min(bottom, points.y[i]);
      top = Math.max(top, points.y[i]);
    }
    map.fitBounds([[bottom, left], [top, right]], { padding: [30, 30], maxZoom: -3, animate: false });
  }

  // ---- the address: #zoom/latitude/longitude/year/slump ------------------------------------------------------------
  let written = null;
  function writeAddress() {
    const { lat: y, lng: x } = map.getCenter(), [longitude, latitude] = polar.inverse(x, y);
    const year = state.year === ALL ? "all" : index.years[state.year];
    const parts = [map.getZoom() + ZOOM_OFFSET, latitude.toFixed(5), longitude.toFixed(5), year];
    if (state.chosen !== null) parts.push(store.shortId(state.chosen));
    written = `#${parts.join("/")}`;
    try { history.replaceState(null, "", written); } catch (problem) { location.hash = written; } // some refuse it on disk
  }

  async function readAddress() {
    const parts = decodeURIComponent(location.hash.slice(1)).split("/");
    const [zoom, latitude, longitude] = parts.slice(0, 3).map(Number);
    if (parts.length < 3 || ![zoom, latitude, longitude].every(Number.isFinite) || latitude < 30 || latitude > 90) return false;
    const year = index.years.indexOf(Number(parts[3]));
    setYear(year >= 0 ? year : ALL);
    map.setView(place(longitude, latitude), zoom - ZOOM_OFFSET, { animate: false });
    if (parts[4]) {
      const { lat: y, lng: x } = map.getCenter(), far = (i) => Math.hypot(points.x[i] - x, points.y[i] - y);
      const found = await store.withId(parts[4]);
      if (found.length) choose(found.reduce((a, b) => (far(b) < far(a) ? b : a)), { moves: false });
    }
    return true;
  }

  // ---- years -------------------------------------------------------------------------------------------------------
  const slider = byId("year");
  function setYear(year) {
    state.year = year;
    const words = year === ALL ? "all years" : String(index.years[year]);
    slider.value = String(year);
    slider.setAttribute("aria-valuetext", words);
    byId("year-shown").textContent = words;
    byId("looks").disabled = year === ALL;
    byId("looks-words").textContent = year === ALL ? "ground that was seen (choose a year)" : `ground that was seen in ${words}`;
    changed();
    if (state.chosen !== null) fill(state.chosen, false);
  }
  slider.addEventListener("input", () => { stop(); setYear(Number(slider.value)); writeAddress(); });

  let playing = null;
  function stop() {
    clearInterval(playing);
    playing = null;
    byId("play").textContent = "Play";
  }
  byId("play").addEventListener("click", () => {
    if (playing) { stop(); return; }
    byId("play").textContent = "Stop";
    setYear(0);
    playing = setInterval(() => {
      if (state.year >= Y - 1) { stop(); writeAddress(); return; }
      setYear(state.year + 1);
    }, STEP_MS);
  });

  // ---- filters and legend ------------------------------------------------------------------------------------------
  function box(name, value, words, mark) {
    const input = element("input", { type: "checkbox", name, value: String(value), checked: "" });
    input.addEventListener("change", changed);
    return element("label", {}, input, ...(mark ? [mark] : []), words);
  }
  for (const tier of [3, 2, 1, 0]) byId("tiers").append(box("tier", tier, index.tiers[tier] || "none", swatch(index.colours[tier], EDGES[tier])));
  for (const status of [1, 2, 3, 0]) byId("statuses").append(box("status", status, index.statuses[status]));
  for (const id of ["verdict", "least"]) byId(id).addEventListener("input", changed);
  byId("looks").addEventListener("change", (event) => { state.looks = event.target.checked; layer.later(); });
  byId("every-year").addEventListener("change", (event) => {
    state.everyYear = event.target.checked;
    byId("year-colours").hidden = !state.everyYear;
    layer.later();
  });
  index.years.forEach((year, number) => byId("year-colours").append(element("span", {}, swatch("none", yearColour(number), "line"), String(year))));
  byId("reset").addEventListener("click", () => {
    for (const one of document.querySelectorAll('input[name="tier"], input[name="status"]')) one.checked = true;
    byId("verdict").value = "";
    byId("least").value = "";
    changed();
  });

  function say() {
    const { mode, isWhole, largest } = layer.drawn;
    const words = { counts: `Circles are as large as there are slumps, up to ${number(largest)}, in the colours of their tiers. Click one to come closer.`, points: "Points are slumps.", outlines: "Outlines of the year; points where one is still to come." };
    byId("mode").textContent = words[mode];
    document.documentElement.dataset.mode = mode;
    document.documentElement.dataset.whole = String(mode !== "outlines" || isWhole === true);
    document.documentElement.dataset.source = tiles.isOpen() ? "tiles" : "cells";
  }
  layer.on("drawn", say);

  // ---- one slump ---------------------------------------------------------------------------------------------------
  let filling = 0;
  async function fill(i, focus) {
    const turn = (filling += 1), detail = byId("detail");
    try {
      const slump = await store.history(i);
      if (turn !== filling) return;
      detail.replaceChildren(...panel.parts(slump, [points.x[i], points.y[i]], state.yearOf(i), chooseId));
      byId("close").hidden = false;
      if (focus) detail.querySelector("h2").focus({ preventScroll: false });
    } catch (problem) {
      if (turn === filling) detail.replaceChildren(element("p", { role: "alert" }, `${problem.message}. Is the whole catalogue there?`));
    }
  }

  function choose(i, { moves = false, focus = false } = {}) {
    state.chosen = i;
    if (moves) {
      const zoom = Math.max(map.getZoom(), -2.5);
      map.setView([points.y[i], points.x[i]], zoom, { animate: false });
    }
    layer.later();
    writeAddress();
    for (const row of document.querySelectorAll("#list tbody tr")) row.classList.toggle("chosen", Number(row.dataset.slump) === i);
    return fill(i, focus);
  }

  async function chooseId(id) {
    const found = await store.withId(id);
    if (found.length) await choose(found[0], { moves: true, focus: true });
    else tell(`The slump ${id} is not in this catalogue.`, true);
  }

  byId("close").addEventListener("click", () => {
    state.chosen = null;
    filling += 1;
    byId("close").hidden = true;
    byId("detail").replaceChildren(element("p", { class: "quiet" }, "Choose a slump on the map or in the list."));
    layer.later();
    listNow();
    writeAddress();
    byId("map").focus();
  });

  map.on("click", ({ latlng }) => {
    const found = layer.under(latlng);
    if (!found) return;
    if (found.circle) map.setView([found.y, found.x], Math.min(map.getZoom() + 2, 1), { animate: false });
    else choose(found.i);
  });

  // ---- the list of what is in view ---------------------------------------------------------------------------------
  let listing = null;
  function listLater() {
    clearTimeout(listing);
    listing = setTimeout(listNow, 200);
  }
  function listNow() {
    if (!map.hasLayer(layer)) return; // slumps are still to come
    const found = layer.inBox(layer.box()), rows = largest(found, MOST_ROWS);
    const words = `${number(found.length)} ${found.length === 1 ? "slump" : "slumps"} in view`;
    const merged = state.year === ALL ? points.merged.reduce((sum, one) => sum + (one ? 1 : 0), 0) : 0;
    const beside = merged ? `; ${number(merged)} more that merged into others are in single years` : "";
    byId("count").textContent = (found.length > rows.length ? `${words}; the ${MOST_ROWS} largest are listed` : words) + beside;
    byId("list-body").replaceChildren(...rows.map((i) => {
      const button = element("button", { type: "button", class: "link" }, store.shortId(i));
      button.addEventListener("click", () => choose(i, { moves: true, focus: true }));
      const row = element("tr", { "data-slump": String(i) }, element("td", {}, button), element("td", { class: "number" }, number(state.areaOf(i))),
        element("td", {}, index.tiers[state.tierOf(i)] || "none"), element("td", {}, index.statuses[points.status[i]]),
        element("td", {}, { 0: "–", 1: "slump", 2: "not", 3: "unsure" }[points.verdict[i]]));
      row.classList.toggle("chosen", i === state.chosen);
      return row;
    }));
  }
  function largest(found, most) {
    const order = (a, b) => state.areaOf(b) - state.areaOf(a) || a - b;
    if (found.length <= most) return found.sort(order);
    let kept = [];
    for (let at = 0; at < found.length; at += 2000) kept = [...kept, ...found.slice(at, at + 2000)].sort(order).slice(0, most);
    return kept;
  }

  // ---- search ------------------------------------------------------------------------------------------------------
  let mark = null;
  function tell(words, isProblem) {
    byId("said").textContent = words;
    byId("said").classList.toggle("problem", isProblem);
  }
  byId("search").addEventListener("submit", async (event) => {
    event.preventDefault();
    const found = await search.find(byId("words").value).catch((problem) => ({ problem: `${problem.message}.` }));
    if (found.problem) { tell(found.problem, true); return; }
    if (mark) mark.remove();
    mark = null;
    if (found.at) {
      const where = place(...found.at);
      mark = L.marker(where, { icon: L.divIcon({ className: "mark", iconSize: [22, 22] }), keyboard: false, interactive: false }).addTo(map);
      map.setView(where, Math.max(map.getZoom(), -5), { animate: false });
      tell(`At ${panel.degrees(found.at[1], "NS", 4)}, ${panel.degrees(found.at[0], "EW", 4)}.`, false);
    } else {
      await choose(found.slump, { moves: true, focus: true });
      tell(state.isShown(found.slump) ? `Slump ${store.shortId(found.slump)}.` : `Slump ${store.shortId(found.slump)}: filters or the year hide it on the map.`, false);
    }
  });

  // ---- begin -------------------------------------------------------------------------------------------------------
  byId("whole").addEventListener("click", showAll);
  map.on("moveend", () => { listLater(); writeAddress(); });
  map.on("mousemove", ({ latlng }) => {
    const [longitude, latitude] = polar.inverse(latlng.lng, latlng.lat);
    byId("where").textContent = `${panel.degrees(latitude, "NS", 4)}, ${panel.degrees(longitude, "EW", 4)}`;
  });
  const control = L.control({ position: "bottomright" });
  control.onAdd = () => byId("where");
  control.addTo(map);
  window.addEventListener("hashchange", () => { if (location.hash !== written) readAddress(); });
  // Wants outlines only when it is known where they come from.
  async function begin() {
    const asked = location.hash;
    map.setView([0, 0], -13.5, { animate: false });
    const opened = tiles.open();
    let isFirst = true;
    await store.loadPoints(() => {
      filter();
      if (isFirst && !/^#[\d.-]+\//.test(asked)) showAll();
      if (!isFirst) layer.later();
      isFirst = false;
    });
    await opened;
    layer.addTo(map);
    requestAnimationFrame(() => performance.mark("drawn"));
    if (asked) history.replaceState(null, "", asked);
    if (!(await readAddress())) { setYear(ALL); showAll(); }
    listNow();
    document.documentElement.dataset.ready = "true";
  }
  begin().catch((problem) => {
    byId("map-problem").hidden = false;
    byId("map-problem").textContent = `The map cannot be shown: ${problem.message}. Is the whole catalogue there?`;
  });
})();
