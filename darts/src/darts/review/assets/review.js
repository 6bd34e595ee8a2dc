"use strict";
(() => {
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const KINDS = { colour: "true colour", ndvi: "NDVI: brown is bare, green is grown", nir: "near infrared as red", terrain: "terrain, lit from the upper left" };
const SLOW_MS = 200; // what takes longer is said
const WORDS = { slump: "slump", not: "not a slump", unsure: "unsure" };
const TYPED_FOR_MS = 250; // a key that is held down would answer the next question too

const embedded = $("data") ? JSON.parse($("data").textContent) : null;
const state = { reviewer: "", question: null, outline: null, edited: false, second: "ndvi", shown: true, busy: false, editor: null, since: 0 };

// Where questions come from, and verdicts go: a server, or this file and the memory of the browser.
const server = {
  picture: (year, scale, kind) => `picture/${state.question.question}/${year}/${scale}/${kind}`,
  next: () => ask("next", {}),
  list: () => ask("list", {}),
  at: (question) => ask("at", { question }),
  back: () => ask("back", { question: state.question ? state.question.question : null }),
  verdict: (said) => ask("verdict", said),
};

async function ask(what, given) {
  let answer;
  try {
    answer = await fetch(what, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ reviewer: state.reviewer, ...given }) });
  } catch {
    throw new Error("The server does not answer. Start `darts review` again, and press the key once more; nothing that it took is lost.");
  }
  const found = await answer.json().catch(() => ({ error: `the server says ${answer.status}` }));
  if (answer.status === 409) {
    refused(given);
    return server.next();
  }
  if (!answer.ok) throw new Error(found.error || `the server says ${answer.status}`);
  return found;
}

const file = {
  said: {},
  key: () => `darts-review ${embedded.review} ${state.reviewer.toLowerCase()}`,
  load() {
    try { file.said = JSON.parse(localStorage.getItem(file.key()) || "{}"); } catch { file.said = {}; }
  },
  keep() {
    try { localStorage.setItem(file.key(), JSON.stringify(file.said)); } catch { trouble("This browser keeps nothing: save your verdicts before you close the page."); }
  },
  picture: (year, scale, kind) => state.question.pictures[`${kind === "terrain" ? "" : `${year}/`}${scale}/${kind}`] || "",
  shown(question) {
    const counts = { asked: embedded.questions.length, answered: Object.keys(file.said).length };
    return { counts, question: question ? { ...question, said: file.said[question.question] || null } : null };
  },
  next: async () => file.shown(embedded.questions.find((one) => !file.said[one.question])),
  order() { // what was changed stays where it was
    const first = (one) => one.first_at || one.reviewed_at;
    return Object.entries(file.said).sort((a, b) => (first(a[1]) < first(b[1]) ? -1 : 1)).map(([id]) => Number(id));
  },
  async list() {
    const asked = new Map(embedded.questions.map((one) => [one.question, one]));
    const known = file.order().reverse().filter((id) => asked.has(id));
    return { counts: file.shown(null).counts, answered: known.map((id) => ({ question: id, year: asked.get(id).year, verdict: file.said[id].verdict, note: file.said[id].note })) };
  },
  at: async (question) => file.shown(embedded.questions.find((one) => one.question === question)),
  async back() {
    const order = file.order();
    const at = state.question ? order.indexOf(state.question.question) : -1;
    const before = at < 0 ? order[order.length - 1] : order[at - 1];
    const question = embedded.questions.find((one) => one.question === before) || state.question;
    return file.shown(question);
  },
  async verdict(said) {
    const known = file.said[said.question];
    const words = (one) => JSON.stringify([one.verdict, one.note, one.outline]);
    if (!known || words(known) !== words(said)) {
      const now = Math.max(Date.now(), known ? Date.parse(known.reviewed_at) + 1 : 0); // the last word is the latest
      const reviewed_at = new Date(now).toISOString();
      const first_at = known ? known.first_at || known.reviewed_at : reviewed_at;
      file.said[said.question] = { verdict: said.verdict, note: said.note, outline: said.outline, reviewed_at, first_at };
      file.keep();
    }
    return file.next();
  },
  save() {
    const centres = Object.fromEntries(embedded.questions.map((one) => [one.question, [one.longitude, one.latitude]]));
    const verdicts = Object.entries(file.said).map(([id, said]) => ({ question: Number(id), reviewer: state.reviewer, centre: centres[id], ...said }));
    const content = JSON.stringify({ format: "darts-verdicts", format_version: 1, review: embedded.review, verdicts }, null, 1);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([content], { type: "application/json" }));
    link.download = `verdicts-${embedded.review}-${state.reviewer.replace(/[^\p{L}\p{N}]+/gu, "-")}.json`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  },
};
const source = embedded ? file : server;

function trouble(words) {
  $("trouble").hidden = !words;
  $("trouble").textContent = words || "";
}

// What was said is not lost without a word: it stays on the page until it was read.
function refused({ verdict, note, outline }) {
  const words = document.createElement("p");
  words.textContent = `Your verdict (${verdict}) on the slump before was not taken: somebody else has answered it meanwhile (after 15 minutes others may).${note ? ` Your note was: ${note}` : ""}${outline ? " The outline that you drew is not kept." : ""}`;
  $("refused").insertBefore(words, $("refused-seen"));
  $("refused").hidden = false;
}

function seen() {
  $("refused").querySelectorAll("p").forEach((one) => one.remove());
  $("refused").hidden = true;
}

async function go(step) {
  if (state.busy) { $("loading").hidden = false; return; }
  state.busy = true;
  const slow = setTimeout(() => { $("loading").hidden = false; }, SLOW_MS);
  document.querySelectorAll("#bar button").forEach((button) => { button.disabled = true; });
  try {
    const found = await step();
    show(found.question ? found : { ...found, ...(await source.list()) });
    trouble("");
  } catch (error) {
    trouble(error.message);
  } finally {
    state.busy = false;
    clearTimeout(slow);
    $("loading").hidden = true;
    document.querySelectorAll("#bar button").forEach((button) => { button.disabled = false; });
  }
}

function list(answered) {
  $("answered").replaceChildren(...answered.map(({ question, year, verdict, note }) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `no. ${question}, ${year}: ${WORDS[verdict]}${note ? `, ${note}` : ""}`;
    button.addEventListener("click", () => go(() => source.at(question)));
    const row = document.createElement("li");
    row.appendChild(button);
    return row;
  }));
}

function show({ counts, question, answered, listing = false }) {
  leaveEditor();
  $("start").hidden = true;
  $("counts").textContent = `${counts.answered} of ${counts.asked} answered`;
  state.question = question;
  state.since = performance.now();
  $("review").hidden = !question;
  $("end").hidden = Boolean(question);
  if (!question) {
    list(answered);
    $("end-title").textContent = listing ? "What you said" : "Nothing is left for you";
    $("end-next").hidden = !listing;
    $("end-words").textContent = listing ? "" : counts.answered < counts.asked ? "What is open is with others just now. Load the page again later." : embedded ? "Save your verdicts, and send the file to whoever gave you this page." : "All questions are answered. Thank you.";
    $("end-back").focus();
    return;
  }
  const said = question.said;
  state.outline = copy(said && said.outline ? said.outline : question.outline);
  state.edited = Boolean(said && said.outline);
  $("note").value = said ? said.note : "";
  document.querySelectorAll("[data-verdict]").forEach((button) => button.classList.toggle("said", Boolean(said) && said.verdict === button.dataset.verdict));
  const now = question.years.find((one) => one.year === question.year);
  const place = `${Math.abs(question.latitude).toFixed(4)}° ${question.latitude < 0 ? "S" : "N"}, ${Math.abs(question.longitude).toFixed(4)}° ${question.longitude < 0 ? "W" : "E"}`;
  $("facts").textContent = `No. ${question.question} · ${question.year}${now ? `, image of ${now.acquired}` : ", no image at hand"} · ${place}`;
  $("panels").replaceChildren(...["close", "wide"].flatMap((scale) => ["colour", state.second, "terrain"].filter((kind) => kind !== "terrain" || question.terrain.includes(scale)).map((kind) => panel(question.year, scale, kind, question.outline, now ? "" : "guess"))));
  const others = question.years.filter((one) => one.year !== question.year);
  $("years").hidden = others.length === 0;
  $("pictures").classList.toggle("with-years", others.length > 0);
  $("years").replaceChildren($("years-title"), ...others.map((one) => panel(one.year, "close", "colour", one.outline || question.outline, one.outline ? "" : "guess", `${one.year}, ${one.acquired}${one.outline ? "" : ": not mapped (dashed: as above)"}`)));
  draw();
}

function metres(length) {
  return length < 1000 ? `${Math.round(length)} m` : `${(length / 1000).toFixed(1)} km`;
}

function panel(year, scale, kind, rings, style, words) {
  const figure = document.createElement("figure");
  figure.className = `${kind === state.second && !words ? "second" : ""} ${scale}`;
  figure.dataset.scale = scale;
  const picture = figure.appendChild(document.createElement("div"));
  picture.className = "picture";
  const side = state.question.sides[scale];
  const caption = words || `${KINDS[kind]}, ${metres(side)} across`;
  const image = picture.appendChild(document.createElement("img"));
  image.alt = `${caption}, ${year}`;
  picture.classList.add("loading");
  image.addEventListener("load", () => picture.classList.remove("loading"));
  image.addEventListener("error", () => { picture.classList.replace("loading", "none"); image.hidden = true; });
  image.src = source.picture(year, scale, kind);
  const svg = picture.appendChild(document.createElementNS(SVG, "svg"));
  svg.setAttribute("viewBox", `${-side / 2} ${-side / 2} ${side} ${side}`);
  svg.setAttribute("aria-hidden", "true");
  for (const name of ["rim", "line"]) {
    const path = svg.appendChild(document.createElementNS(SVG, "path"));
    path.setAttribute("class", `${name} ${style}`);
  }
  figure.appendChild(document.createElement("figcaption")).textContent = caption;
  figure.rings = year === state.question.year && !words ? null : rings; // null: what is edited
  figure.side = side;
  return figure;
}

const copy = (rings) => JSON.parse(JSON.stringify(rings));
const lines = (rings) => rings.flat().filter((ring) => ring.length).map((ring) => `M${ring.map(([x, y]) => `${x} ${-y}`).join("L")}Z`).join("");

function draw() {
  if (!state.question) return;
  document.body.classList.toggle("hidden-outline", !state.shown);
  for (const figure of document.querySelectorAll("figure")) {
    figure.querySelectorAll("path.rim, path.line").forEach((path) => path.setAttribute("d", lines(figure.rings || state.outline)));
  }
  if (state.editor) drawEditor();
}

// ---- the editor: points of the close picture in true colour

function edit() {
  if (state.editor) { leaveEditor(); draw(); return; }
  const figure = document.querySelector("#panels figure");
  figure.classList.add("edited");
  state.shown = true;
  state.editor = { figure, svg: figure.querySelector("svg"), before: copy(state.outline), wasEdited: state.edited, chosen: 0, drawing: null, cross: [0, 0] };
  $("editing").hidden = false;
  $("edit").setAttribute("aria-pressed", "true");
  $("outline").setAttribute("aria-pressed", "true");
  state.editor.svg.addEventListener("pointerdown", pressed);
  state.editor.svg.addEventListener("dblclick", removePressed);
  fitEditor();
  draw();
}

// The picture that is edited is as large as it can be and still be seen whole, above the buttons.
function fitEditor() {
  if (!state.editor) return;
  const { figure } = state.editor;
  const free = window.innerHeight - $("tools").offsetHeight - figure.querySelector("figcaption").offsetHeight - 12;
  figure.style.width = `${Math.max(160, Math.min($("panels").clientWidth, free))}px`;
  figure.scrollIntoView({ block: "start" });
}

function leaveEditor(discard = false) {
  const editor = state.editor;
  if (!editor) return;
  if (discard || (editor.drawing && !finishDrawing())) { state.outline = editor.before; state.edited = editor.wasEdited; }
  editor.svg.removeEventListener("pointerdown", pressed);
  editor.svg.removeEventListener("dblclick", removePressed);
  editor.svg.querySelectorAll(".edge, circle, .cross").forEach((one) => one.remove());
  editor.figure.classList.remove("edited");
  editor.figure.style.width = "";
  state.editor = null;
  $("editing").hidden = true;
  $("edit").setAttribute("aria-pressed", "false");
}

function points() {
  return state.outline.flatMap((polygon, p) => polygon.flatMap((ring, r) => ring.map((_, at) => ({ p, r, at }))));
}

function drawEditor() {
  const { svg, figure, drawing, cross } = state.editor;
  svg.querySelectorAll(".edge, circle, .cross").forEach((one) => one.remove());
  const unit = figure.side / Math.max(svg.clientWidth, 1);
  if (drawing) {
    figure.querySelectorAll("path.rim, path.line").forEach((path) => path.setAttribute("d", drawing.length ? `M${drawing.map(([x, y]) => `${x} ${-y}`).join("L")}` : ""));
    const mark = svg.appendChild(document.createElementNS(SVG, "path"));
    mark.setAttribute("class", "cross");
    mark.setAttribute("d", `M${cross[0] - 8 * unit} ${-cross[1]}h${16 * unit}M${cross[0]} ${-cross[1] - 8 * unit}v${16 * unit}`);
    drawing.forEach((point) => dot(point, unit, false));
    return;
  }
  state.outline.forEach((polygon, p) => polygon.forEach((ring, r) => ring.forEach(([x, y], at) => {
    const [u, v] = ring[(at + 1) % ring.length];
    const edge = svg.appendChild(document.createElementNS(SVG, "path"));
    edge.setAttribute("class", "edge");
    edge.setAttribute("d", `M${x} ${-y}L${u} ${-v}`);
    Object.assign(edge, { place: { p, r, at } });
  })));
  points().forEach((place, number) => {
    const circle = dot(state.outline[place.p][place.r][place.at], unit, number === state.editor.chosen);
    Object.assign(circle, { place, number });
  });
}

function dot([x, y], unit, chosen) {
  const circle = state.editor.svg.appendChild(document.createElementNS(SVG, "circle"));
  circle.setAttribute("cx", x);
  circle.setAttribute("cy", -y);
  circle.setAttribute("r", (chosen ? 6 : 4.5) * unit);
  circle.classList.toggle("chosen", chosen);
  return circle;
}

function at(event) {
  const box = state.editor.svg.getBoundingClientRect();
  const { side } = state.editor.figure;
  const clip = (share) => Math.min(Math.max(share, 0), 1);
  return [round((clip((event.clientX - box.left) / box.width) - 0.5) * side), round((0.5 - clip((event.clientY - box.top) / box.height)) * side)];
}

const round = (value) => Math.round(value * 100) / 100;

function pressed(event) {
  const { editor } = state;
  if (event.button !== 0) return;
  event.preventDefault();
  if (editor.drawing) { editor.drawing.push(at(event)); draw(); return; }
  const { target } = event;
  if (target.classList.contains("edge")) {
    const { p, r, at: index } = target.place;
    state.outline[p][r].splice(index + 1, 0, at(event));
    editor.chosen = points().findIndex((one) => one.p === p && one.r === r && one.at === index + 1);
    state.edited = true;
  } else if (target.number !== undefined) {
    editor.chosen = target.number;
  } else return;
  const place = points()[editor.chosen];
  const move = (moved) => { state.outline[place.p][place.r][place.at] = at(moved); state.edited = true; draw(); };
  const up = () => { editor.svg.removeEventListener("pointermove", move); editor.svg.removeEventListener("pointerup", up); };
  editor.svg.setPointerCapture(event.pointerId);
  editor.svg.addEventListener("pointermove", move);
  editor.svg.addEventListener("pointerup", up);
  draw();
}

function removePressed(event) {
  const under = document.elementsFromPoint(event.clientX, event.clientY).find((one) => one.number !== undefined);
  if (!under || state.editor.drawing) return;
  state.editor.chosen = under.number;
  removeChosen();
}

function removeChosen() {
  const place = points()[state.editor.chosen];
  if (!place) return;
  const polygon = state.outline[place.p];
  if (polygon[place.r].length > 3) polygon[place.r].splice(place.at, 1);
  else if (place.r > 0) polygon.splice(place.r, 1); // a hole
  else if (state.outline.length > 1) state.outline.splice(place.p, 1);
  else { trouble("An outline has three points at least. Draw it anew with r."); return; }
  state.editor.chosen = Math.min(state.editor.chosen, points().length - 1);
  state.edited = true;
  draw();
}

function addAfterChosen() {
  const place = points()[state.editor.chosen];
  const ring = state.outline[place.p][place.r];
  const [x, y] = ring[place.at];
  const [u, v] = ring[(place.at + 1) % ring.length];
  ring.splice(place.at + 1, 0, [round((x + u) / 2), round((y + v) / 2)]);
  state.editor.chosen += 1;
  state.edited = true;
  draw();
}

function finishDrawing() {
  const { drawing } = state.editor;
  if (drawing.length < 3) return false;
  state.outline = [[drawing]];
  state.edited = true;
  state.editor.drawing = null;
  return true;
}

function editorKey(event) {
  const { editor } = state;
  const step = (editor.figure.side / 384) * (event.shiftKey ? 10 : 1);
  const by = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
  if (by) {
    const half = editor.figure.side / 2;
    const moved = ([x, y]) => [x + by[0], y + by[1]].map((value) => round(Math.min(Math.max(value, -half), half)));
    if (editor.drawing) editor.cross = moved(editor.cross);
    else {
      const place = points()[editor.chosen];
      state.outline[place.p][place.r][place.at] = moved(state.outline[place.p][place.r][place.at]);
      state.edited = true;
    }
    draw();
  } else if (event.key === "Escape") { leaveEditor(true); draw(); }
  else if (event.key === "Enter") { leaveEditor(); draw(); }
  else if (event.key === "r") { editor.drawing = []; draw(); }
  else if (event.key === " " && editor.drawing) { editor.drawing.push([...editor.cross]); draw(); }
  else if (editor.drawing) return false;
  else if (event.key === "," || event.key === ".") { const n = points().length; editor.chosen = (editor.chosen + (event.key === "." ? 1 : n - 1)) % n; draw(); }
  else if (event.key === "i") addAfterChosen();
  else if (event.key === "Delete" || event.key === "Backspace") removeChosen();
  else return false;
  return true;
}

// ---- keys and buttons

function answer(verdict) {
  if (!state.question || performance.now() - state.since < TYPED_FOR_MS) return;
  const { question } = state.question;
  leaveEditor();
  const outline = state.edited && verdict !== "not" ? state.outline : null;
  go(() => source.verdict({ question, verdict, note: $("note").value, outline }));
}

const actions = {
  1: () => answer("slump"), 2: () => answer("not"), 3: () => answer("unsure"),
  b: () => go(source.back), l: () => go(async () => ({ question: null, listing: true })), e: () => state.question && edit(),
  n: () => $("note").focus(),
  o: () => { state.shown = !state.shown; $("outline").setAttribute("aria-pressed", String(state.shown)); draw(); },
  v: () => { state.second = state.second === "ndvi" ? "nir" : "ndvi"; $("second").querySelector("span").textContent = state.second === "ndvi" ? "near infrared" : "NDVI"; swapSecond(); },
  s: () => embedded && file.save(),
};

function swapSecond() {
  if (!state.question) return;
  for (const figure of document.querySelectorAll("#panels figure.second")) {
    figure.replaceWith(panel(state.question.year, figure.dataset.scale, state.second, state.question.outline, ""));
  }
  draw();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("start").hidden === false) return;
  if (event.target.id === "note") {
    if (event.key === "Escape" || event.key === "Enter") { event.target.blur(); event.preventDefault(); }
    return;
  }
  if (event.target.tagName === "BUTTON" && (event.key === "Enter" || event.key === " ")) return;
  if (event.repeat && !event.key.startsWith("Arrow")) return;
  if (state.editor && editorKey(event)) { event.preventDefault(); return; }
  const action = actions[event.key.toLowerCase()];
  if (action && !$("review").hidden || action && "bls".includes(event.key.toLowerCase())) { event.preventDefault(); action(); }
});
document.querySelectorAll("[data-verdict]").forEach((button) => button.addEventListener("click", () => answer(button.dataset.verdict)));
for (const [id, key] of [["back", "b"], ["outline", "o"], ["second", "v"], ["edit", "e"], ["end-back", "b"], ["list", "l"]]) $(id).addEventListener("click", () => actions[key]());
for (const [id, key] of [["redraw", "r"], ["finish", "Enter"], ["discard", "Escape"]]) $(id).addEventListener("click", () => state.editor && editorKey({ key }));
$("end-next").addEventListener("click", () => go(source.next));
$("refused-seen").addEventListener("click", seen);
window.addEventListener("resize", () => { fitEditor(); draw(); });
document.querySelectorAll(".save").forEach((button) => button.addEventListener("click", () => file.save()));
$("start").addEventListener("submit", (event) => {
  event.preventDefault();
  state.reviewer = $("reviewer").value.trim().replace(/\s+/g, " ");
  if (!state.reviewer) return;
  try { localStorage.setItem("darts-reviewer", state.reviewer); } catch { /* then it is typed again */ }
  if (embedded) file.load();
  go(source.next);
  document.activeElement.blur();
});
try { $("reviewer").value = localStorage.getItem("darts-reviewer") || ""; } catch { /* likewise */ }
$("reviewer").focus();
})();
