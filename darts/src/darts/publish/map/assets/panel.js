"use strict";
// One slump: its history as text. What people and files say is never taken for markup.
function element(kind, attributes, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(attributes || {})) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const number = (value, digits = 0) => (value === null || value === undefined ? "–" : value.toLocaleString("en-GB", { maximumFractionDigits: digits }));

function swatch(fill, stroke, kind = "rect") {
  const NS = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(NS, "svg");
  for (const [name, value] of Object.entries({ width: 18, height: 14, "aria-hidden": "true", class: "swatch" })) svg.setAttribute(name, value);
  const shape = document.createElementNS(NS, kind);
  const where = kind === "rect" ? { x: 1.5, y: 1.5, width: 15, height: 11 } : { x1: 1, y1: 7, x2: 17, y2: 7 };
  for (const [name, value] of Object.entries({ ...where, fill, stroke, "stroke-width": kind === "rect" ? 1.5 : 3 })) shape.setAttribute(name, value);
  svg.append(shape);
  return svg;
}

const panel = (function () {
  const column = Object.fromEntries(index.columns.map((name, place) => [name, place]));
  const VERDICTS = { slump: "a slump", not: "not a slump", unsure: "unsure" };

  function degrees(value, letters, digits = 5) {
    return `${Math.abs(value).toFixed(digits)}° ${value < 0 ? letters[1] : letters[0]}`;
  }

  function between(row) {
    const [low, high] = [row[column.area_low_m2], row[column.area_high_m2]];
    return low === null || high === null ? "–" : `${number(low)}–${number(high)}`;
  }

  function days(row) {
    const [first, last] = [row[column.first_acquired], row[column.last_acquired]].map((day) => (day || "").slice(5));
    return first === last ? first || "–" : `${first} – ${last}`;
  }

  function table(slump, year) {
    const heads = ["year", "area m², low–high", "tier", "images", "days, ground seen"];
    const rows = slump.years.map((row) => {
      const agreement = row[column.agreement] === null ? "" : `agree ${Math.round(100 * row[column.agreement])} %`;
      const seen = row[column.seen_fraction] === null ? "" : `seen ${Math.floor(100 * row[column.seen_fraction])} %`;
      const cells = [
        [number(row[column.area_majority_m2]), between(row)], [row[column.tier] || "none", ""],
        [`${number(row[column.n_hits])} of ${number(row[column.n_looks])}`, agreement], [days(row), seen],
      ];
      return element("tr", index.years[year] === row[column.year] ? { class: "now" } : {},
        element("th", { scope: "row" }, String(row[column.year])), ...cells.map(([words, more]) => element("td", {}, words, element("small", {}, more))));
    });
    return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Years of the slump" }, element("table", {},
      element("thead", {}, element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name)))), element("tbody", {}, ...rows)));
  }

  function growth(slump) {
    if (slump.growth_m2_per_year === null) return "not known";
    const words = `${number(slump.growth_m2_per_year)} m² a year`;
    if (slump.growth_low === null || slump.growth_high === null) return `${words} (no interval: fewer than five years)`;
    return `${words} (95 %: ${number(slump.growth_low)} to ${number(slump.growth_high)})`;
  }

  function relation(words, id, choose) {
    const link = element("a", { href: "#" }, id.slice(0, 8));
    link.addEventListener("click", (event) => {
      event.preventDefault();
      choose(id);
    });
    return [element("dt", {}, words), element("dd", {}, link)];
  }

  function verdicts(slump) {
    const judged = slump.years.filter((row) => row[column.verdict] !== null);
    if (!judged.length) return [element("p", { class: "quiet" }, "Nobody has reviewed it.")];
    return judged.map((row) => {
      const when = (row[column.reviewed_at] || "").slice(0, 10);
      const said = element("div", { class: "verdict" }, element("p", {},
        element("strong", {}, `${row[column.year]}: ${VERDICTS[row[column.verdict]] || row[column.verdict]}`),
        `, said ${row[column.reviewer] || "somebody"}${when ? ` on ${when}` : ""}`));
      if (row[column.note]) said.append(element("blockquote", {}, row[column.note]));
      return said;
    });
  }

  // Return the parts of the panel. `choose` is called with the id of a slump that is to be shown instead.
  function parts(slump, place, year, choose) {
    const [longitude, latitude] = polar.inverse(...place);
    const facts = element("dl", {},
      element("dt", {}, "status"), element("dd", {}, slump.status || "unknown"),
      element("dt", {}, "growth"), element("dd", {}, growth(slump)));
    if (slump.split_from) facts.append(...relation("split from", slump.split_from, choose));
    if (slump.merged_into) facts.append(...relation("merged into", slump.merged_into, choose));
    facts.append(element("dt", {}, "place"), element("dd", {},
      element("a", { href: `#13/${latitude.toFixed(5)}/${longitude.toFixed(5)}/all/${slump.slump_id}` }, `${degrees(latitude, "NS")}, ${degrees(longitude, "EW")}`),
      " (", element("a", { href: `geo:${latitude.toFixed(5)},${longitude.toFixed(5)}` }, "geo"), ")"));
    facts.append(element("dt", {}, "id"), element("dd", { class: "id" }, slump.slump_id));
    const found = [element("h2", { tabindex: "-1" }, `Slump ${slump.slump_id.slice(0, 8)}`), facts];
    found.push(element("h3", {}, "Years"), table(slump, year), element("h3", {}, "Review"), ...verdicts(slump));
    if (slump.picture) {
      const picture = element("img", { src: slump.picture.split("/").map(encodeURIComponent).join("/"), alt: `Satellite image of slump ${slump.slump_id.slice(0, 8)}` });
      picture.addEventListener("error", () => picture.replaceWith(element("p", { class: "quiet" }, "The picture is not there.")));
      found.push(picture);
    }
    return found;
  }
  return { parts, degrees };
})();
