// The sections below that show the whole run: norms, agreement, and the inference of a network.
const colors = ["var(--blue)", "var(--orange)", "var(--green)", "var(--pink)"], dashes = ["", "7 4", "2 3", "9 3 2 3"];
function shape(tag, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}
function showNorms() {
  const section = byId("norms"), series = Object.entries(content.norms), T = content.T;
  const all = series.flatMap(([, xs]) => xs).filter((x) => x > 0);
  if (!all.length) { section.hidden = true; return; }
  const high = Math.ceil(Math.log10(Math.max(...all)) + 1e-9), low = Math.min(Math.floor(Math.log10(Math.min(...all))), high - 1);
  const x = (t) => 60 + 640 * (T > 1 ? t / (T - 1) : 0.5), y = (v) => 20 + 200 * (high - Math.log10(v)) / (high - low);
  const chart = shape("svg", { viewBox: "0 0 720 270", class: "chart", role: "img", "aria-label": "norms of the adjoints of the states, log scale" });
  const every = Math.max(1, Math.ceil((high - low) / 6));
  for (let p = low; p <= high; p += every) chart.append(shape("path", { class: "grid", d: `M60 ${y(10 ** p)} H700` }), shape("text", { x: 52, y: y(10 ** p) + 4, "text-anchor": "end" }, `1e${p}`));
  const now = active(), t = now === null ? null : nodes[now].t;
  if (t !== null && t >= 0 && t < T) chart.append(shape("path", { class: "now", d: `M${x(t)} 20 V220` }));
  series.forEach(([name, xs], k) => {
    const points = xs.map((v, s) => [s, v]).filter(([, v]) => v > 0).map(([s, v]) => `${x(s)},${y(v)}`);
    chart.append(shape("polyline", { points: points.join(" "), style: `fill:none;stroke:${colors[k % 4]};stroke-width:2.2;stroke-dasharray:${dashes[k % 4] || "none"}` }),
      shape("text", { x: 70 + 90 * k, y: 262, style: `fill:${colors[k % 4]}` }, `${name} ${["\u2014", "- -", "\u00b7\u00b7\u00b7", "-\u00b7-"][k % 4]}`));
  });
  chart.append(shape("path", { class: "axis", d: "M60 20 V220 H700" }), shape("text", { x: 380, y: 242, "text-anchor": "middle" }, "slice t"),
    shape("text", { x: 60, y: 240 }, "0"), shape("text", { x: 700, y: 240, "text-anchor": "end" }, String(T - 1)));
  section.querySelector("div").replaceChildren(chart);
}
function showAgreement() {
  const section = byId("agreement"), found = content.agreement;
  if (!found) { section.hidden = true; return; }
  const head = element("tr", {}, element("th", {}, "gradient"), ...found.engines.map((e) => element("th", {}, e)));
  const body = found.rows.map(([name, by]) => element("tr", {}, element("td", {}, name), ...found.engines.map((e) => {
    const cell = by[e];
    return element("td", { class: !cell ? "faint" : cell[1] ? "ok" : "bad" }, !cell ? "\u2013" : `${cell[0].toExponential(1)}${cell[1] ? "" : " differs"}`);
  })));
  section.querySelector("div").replaceChildren(element("p", { class: found.ok ? "ok" : "bad" }, found.ok ? "All engines agree; relative differences from the gradients by messages:" : "The engines disagree; relative differences:"),
    element("table", { class: "plain" }, head, ...body));
}
function showNetwork() {
  const section = byId("network"), found = content.network;
  if (!found) return;
  section.hidden = false;
  const drawing = element("div", { class: "scroll" });
  drawing.innerHTML = found.picture;
  const bars = (row) => element("span", { class: "bars", role: "img", "aria-label": row.map((p) => short(p)).join(", ") }, ...row.map((p) => element("i", { style: `height:${100 * p / Math.max(...row, 1e-300)}%`, title: short(p) })));
  const table = (title, names, rows) => element("div", { class: "scroll" }, element("h3", {}, title), element("table", { class: "plain" },
    element("tr", {}, element("th", {}, "t"), element("th", {}), ...names.map((name) => element("th", {}, name))),
    ...rows.map((row, t) => element("tr", {}, element("td", {}, String(t)), element("td", {}, bars(row)), ...row.map((p) => element("td", {}, short(p)))))));
  section.querySelector("div").replaceChildren(drawing,
    element("p", {}, `log p(evidence) = ${short(found.log_likelihood)} nats. alpha is the filtered distribution of the interface; beta, minus the adjoint of alpha, is what later evidence says; alpha times beta is the posterior.`),
    element("div", { class: "side" }, ...found.posteriors.map((p) => table(`Posterior of ${p.name}`, p.states, p.rows)),
      ...found.messages.flatMap((m) => [table(`${m.name}: forward messages`, m.states, m.alpha), table(`beta of ${m.name}: messages of the reverse sweep`, m.states, m.beta)])));
}
