// Small elements: numbers as text, arrays as coloured tables.
const byId = (id) => document.getElementById(id);
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}
function formula(place) { const made = element("span"); made.innerHTML = formulas[place]; return made; }
function short(x, digits = 4) {
  const size = Math.abs(x);
  if (size === Infinity) return x > 0 ? "\u221e" : "\u2212\u221e";
  const text = x === 0 ? "0" : size >= 1e-3 && size < 1e4 ? Number(x.toPrecision(digits)).toString() : x.toExponential(digits - 2);
  return text.replace("-", "\u2212");
}
function color(x) {
  const share = (Number.isFinite(x) ? Math.min(1, Math.abs(x)) : 1) ** 0.6, end = x >= 0 ? [0, 114, 178] : [213, 94, 0];
  return `rgb(${end.map((v) => Math.round(247 + (v - 247) * share)).join()})`;
}
function ink(x) {  // black or white, whichever is further from the cell's colour
  const parts = color(x).match(/\d+/g).map((v) => { const c = v / 255; return c <= 0.04 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; });
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] > 0.18 ? "#000" : "#fff";
}
const rowsOf = (a) => !Array.isArray(a) ? [[a]] : a.length && Array.isArray(a[0]) ? a.flatMap((r) => Array.isArray(r[0]) ? rowsOf(r) : [r]) : [a];
const largest = (a) => Math.max(0, ...rowsOf(a).flat().map(Math.abs));
const norm = (a) => Math.hypot(...rowsOf(a).flat());
const plus = (a, b) => Array.isArray(a) ? a.map((x, k) => plus(x, b[k])) : a + b;
const shapeOf = (a) => Array.isArray(a) ? [a.length, ...shapeOf(a[0])] : [];
const shapeText = (a) => shapeOf(a).join(" \u00d7 ") || "scalar";
function heat(array, title) {
  const rows = rowsOf(array), scale = largest(array) || 1, spelled = rows[0].length <= MOST_COLUMNS;
  const table = element("table", { class: spelled ? "heat numbers" : "heat", "aria-label": title });
  for (const row of rows) {
    table.append(element("tr", {}, ...row.map((x) => element("td", {
      style: `background:${color(x / scale)};color:${ink(x / scale)}`, title: short(x),
    }, spelled ? short(x, 3) : x < -0.02 * scale ? "\u2212" : ""))));
  }
  return spelled ? table : element("div", {}, table, spelledOut(array, title));
}
const MOST_COLUMNS = 8, opened = new Set();  // the titles of the tables whose numbers are shown, also at the next step
function spelledOut(array, title) {  // the numbers of a table that is too wide for them, made when they are asked for
  const rows = rowsOf(array), box = element("details", { open: opened.has(title) }, element("summary", {}, `numbers (${shapeText(array)})`));
  const index = (k) => element("th", {}, rows.length > 1 ? String(k) : "");
  const fill = () => {
    if (!box.open || box.children.length > 1) return;
    const head = element("tr", {}, element("th"), ...rows[0].map((_, k) => element("th", { scope: "col" }, String(k))));
    const body = rows.map((row, k) => element("tr", {}, index(k), ...row.map((x) => element("td", {}, short(x)))));
    box.append(element("div", { class: "spelled", tabindex: "0" }, element("table", { "aria-label": `${title}, in numbers` }, head, ...body)));
  };
  box.addEventListener("toggle", () => { if (box.open) opened.add(title); else opened.delete(title); fill(); });
  fill();
  return box;
}
const described = (title, ...values) => [element("dt", {}, title), ...values.map((v) => element("dd", {}, v))];
