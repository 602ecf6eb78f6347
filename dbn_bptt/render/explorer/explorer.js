"use strict";
// The page holds a picture and numbers; this program shows them step by step. Step k of the forward sweep has computed
// the first k nodes; after them come the steps of the reverse sweep.
const content = JSON.parse(document.getElementById("content").textContent);
const { nodes, edges, forward, backward, parameters, formulas } = content;
const last = forward.length + backward.length;
const byId = (id) => document.getElementById(id);
const svg = document.querySelector("#picture svg");
const groups = nodes.map((_, k) => svg.querySelector(`[data-node="${k}"]`));
const curves = edges.map((_, k) => svg.querySelector(`path[data-edge="${k}"]`));
const inEdges = nodes.map(() => []), outEdges = nodes.map(() => []);
edges.forEach((e, k) => { inEdges[e.head].push(k); outEdges[e.tail].push(k); });
const place = (order) => { const at = nodes.map(() => Infinity); order.forEach((n, k) => { at[n] = k; }); return at; };
const forwardAt = place(forward), backwardAt = place(backward);
// What stands for the slices that are left out is known once all earlier slices are, and answers after all later ones;
// a parameter that is drawn has its gradient at the end.
const latest = (at, ahead) => Math.max(-1, ...nodes.map((m, k) => m.t !== null && ahead(m.t) && at[k] < Infinity ? at[k] : -1));
nodes.forEach((n, k) => {
  if (n.kind === "elided") { forwardAt[k] = latest(forwardAt, (t) => t < n.t); backwardAt[k] = latest(backwardAt, (t) => t > n.t); }
  if (n.kind === "parameter") backwardAt[k] = backward.length - 1;
});
const drawnSlices = [...new Set(nodes.map((n) => n.t).filter((t) => t !== null && t >= 0 && t < content.T))].sort((a, b) => a - b);
const elided = nodes.findIndex((n) => n.kind === "elided");
let step = 0, chosen = null, timer = null;  // chosen: null to follow the steps, or {node} or {edge}

// ---------------------------------------------------------------------------------------------- what is known at a step
const isDone = (n) => nodes[n].given || forwardAt[n] < step;
const isAnswered = (n) => backwardAt[n] < step - forward.length;
const inReverse = () => step > forward.length;
const active = () => step === 0 ? null : inReverse() ? backward[step - forward.length - 1] : forward[step - 1];
function isReady(n) {
  if (["elided", "parameter", "copy"].includes(nodes[n].kind)) return false;
  if (!inReverse() && step < forward.length) return !isDone(n) && inEdges[n].every((e) => isDone(edges[e].tail));
  if (backwardAt[n] === Infinity || isAnswered(n)) return false;
  return outEdges[n].every((e) => edges[e].message === undefined || isAnswered(edges[e].head));
}

// ------------------------------------------------------------------------------------------------------ small elements
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
  const rows = rowsOf(array), scale = largest(array) || 1, spelled = rows[0].length <= 8;
  const table = element("table", { class: spelled ? "heat numbers" : "heat", "aria-label": title });
  for (const row of rows) {
    table.append(element("tr", {}, ...row.map((x) => element("td", {
      style: `background:${color(x / scale)};color:${ink(x / scale)}`, title: short(x),
    }, spelled ? short(x, 3) : x < -0.02 * scale ? "\u2212" : ""))));
  }
  return table;
}
const described = (title, ...values) => [element("dt", {}, title), ...values.map((v) => element("dd", {}, v))];

// --------------------------------------------------------------------------------------------------------- the picture
const norms = edges.map((e) => e.norm || 0), most = Math.max(...norms, 1e-300);
const least = Math.min(...norms.filter((x) => x > 0), most);
const decades = Math.min(8, Math.max(2, Math.log10(most / least)));
const width = (x) => x > 0 ? 0.8 + 4 * Math.max(0, Math.min(1, 1 + Math.log10(x / most) / decades)) : 0.8;
function prepare() {
  svg.setAttribute("role", "group");
  groups.forEach((g, n) => {
    g.setAttribute("tabindex", "-1"); g.setAttribute("role", "button");
    g.setAttribute("aria-label", `${nodes[n].plain}, ${nodes[n].kind}`);
    g.addEventListener("click", () => { choose({ node: n }); g.focus(); });
  });
  curves.forEach((path, k) => {
    const touch = path.cloneNode(true);
    touch.setAttribute("class", "touch");
    touch.removeAttribute("marker-end"); touch.removeAttribute("style");
    touch.addEventListener("click", () => choose({ edge: k }));
    path.after(touch);
  });
  byId("slider").max = last;
}
function paint() {
  const now = active(), reverse = inReverse();
  groups.forEach((g, n) => {
    const of = g.classList;
    of.toggle("pending", !isDone(n)); of.toggle("ready", isReady(n));
    of.toggle("answered", isAnswered(n)); of.toggle("active", n === now);
    of.toggle("chosen", chosen !== null && chosen.node === n);
    g.setAttribute("aria-pressed", chosen !== null && chosen.node === n);
    g.setAttribute("tabindex", n === (chosen?.node ?? now ?? forward[0]) ? "0" : "-1");
  });
  curves.forEach((path, k) => {
    const e = edges[k], sent = reverse && e.message !== undefined && isAnswered(e.head);
    path.classList.toggle("used", isDone(e.tail) && isDone(e.head));
    path.classList.toggle("sent", sent);
    path.classList.toggle("chosen", chosen !== null && chosen.edge === k);
    path.style.strokeWidth = sent ? width(e.norm) : "";
    path.setAttribute("marker-end", sent ? "url(#tip-weighted)" : "url(#tip)");
  });
}
function follow() {
  const now = active();
  if (now === null) return;
  const box = byId("picture"), at = groups[now].getBoundingClientRect(), frame = box.getBoundingClientRect();
  if (at.left < frame.left + 60 || at.right > frame.right - 60) box.scrollLeft += at.left - frame.left - frame.width / 2;
  if (at.top < frame.top || at.bottom > frame.bottom) box.scrollTop += at.top - frame.top - frame.height / 2;
}

// --------------------------------------------------------------------------------------------------------- the details
function showDetails() {
  const box = byId("details");
  const now = active();
  const what = chosen ?? (now === null ? null : { node: now });
  box.replaceChildren(...(what === null ? introduction() : "edge" in what ? aboutEdge(what.edge) : aboutNode(what.node)));
}
function introduction() {
  return [element("h2", {}, "Before the first step"), element("p", {},
    "Inputs, targets, initial states and parameters are given. The forward sweep computes each node once all its parents are known; " +
    "the reverse sweep then sends each parent its share of the derivative of the loss. Dotted nodes are ready.")];
}
function aboutNode(n) {
  const node = nodes[n];
  const list = element("dl");
  if (node.equation !== undefined) list.append(...described("Equation, for slice t", formula(node.equation)));
  if (node.value !== undefined && isDone(n)) list.append(...described(`Value (${shapeText(node.value)})`, heat(node.value, "value")));
  if (node.adjoint !== undefined) {
    if (isAnswered(n)) {
      list.append(...described("Adjoint: derivative of the loss", heat(node.adjoint, "adjoint"), ...arriving(n)));
    } else list.append(...described("Adjoint", element("span", { class: "faint" }, backwardAt[n] < Infinity ? "comes in the reverse sweep" : "0: the loss does not depend on it")));
  }
  if (node.kind === "elided") list.append(...described("Here", element("span", {}, "stand the slices that are left out")));
  const reading = inEdges[n].filter((e) => edges[e].message !== undefined);
  if (reading.length) list.append(...described("Edges from its parents", edgeList(reading, (e) => nodes[edges[e].tail])));
  return [element("h2", { "data-plain": node.plain }, formula(node.name)), element("p", { class: "faint" },
    node.kind === "elided" ? "not drawn" : `${node.kind}${node.t === null || node.t === undefined ? "" : `, slice ${node.t}`}${node.given ? ", given" : ""}`), list];
}
function arriving(n) {
  const from = outEdges[n].filter((e) => edges[e].message !== undefined && isAnswered(edges[e].head));
  if (nodes[n].kind === "parameter") return [element("span", {}, "the sum of the shares of all slices, below")];
  if (!from.length) return [element("span", { class: "faint" }, backwardAt[n] < Infinity && nodes[n].kind.startsWith("term") ? "1: the loss is the sum of its terms" : "no message arrives")];
  return [element("span", {}, `the sum of ${from.length === 1 ? "one message" : `${from.length} messages`}:`),
    edgeList(from, (e) => nodes[edges[e].head], true)];
}
function edgeList(which, end, numbers = false) {
  return element("ul", { class: "list" }, ...which.map((e) => element("li", {},
    element("button", { type: "button", onclick: () => choose({ edge: e }) }, `${numbers ? "from" : "of"} ${end(e).plain}${edges[e].parameter ? ` through ${edges[e].parameter}` : ""}`),
    numbers ? heat(edges[e].message, "message") : null)));
}
function aboutEdge(k) {
  const e = edges[k], list = element("dl");
  if (e.message === undefined) return [element("h2", {}, "Edge"), element("p", {}, e.about), element("p", { class: "faint" }, "No message is sent here.")];
  list.append(...described("Message of the reverse sweep, for slice t", formula(e.formula)));
  if (isAnswered(e.head)) list.append(...described(`Message (${shapeText(e.message)}), norm ${short(e.norm)}`, heat(e.message, "message")));
  else list.append(...described("Message", element("span", { class: "faint" }, "comes in the reverse sweep")));
  if (isDone(e.head)) list.append(...described(`Local Jacobian (${shapeText(e.jacobian)}): rows ${nodes[e.head].plain}, columns ${nodes[e.tail].plain}`, heat(e.jacobian, "local Jacobian")));
  const jump = (n) => element("button", { type: "button", onclick: () => choose({ node: n }) }, nodes[n].plain);
  return [element("h2", {}, `${nodes[e.tail].plain} \u2192 ${nodes[e.head].plain}`), element("p", {}, jump(e.tail), " ", jump(e.head)), list];
}
function choose(what) {
  const inside = byId("details").contains(document.activeElement);
  pause();
  chosen = what;
  clearBlame();
  show();
  if (inside) byId("details").focus();
  if (what !== null) byId("status").textContent = `Chosen: ${"node" in what ? nodes[what.node].plain : edges[what.edge].about}.`;
}

// ------------------------------------------------------------------------------------------------------- the gradients
function showGradients() {
  const box = byId("gradients").querySelector("div");
  box.className = "side";
  box.replaceChildren(...parameters.map((p) => {
    const parts = drawnSlices.map(() => null), slices = drawnSlices.map(() => 0);
    let total = null;
    for (const [n, message] of p.sent) {
      if (!isAnswered(n)) continue;
      const k = Math.max(0, drawnSlices.indexOf(Math.min(Math.max(nodes[n].t, 0), content.T - 1)));
      parts[k] = parts[k] === null ? message : plus(parts[k], message);
      total = total === null ? message : plus(total, message);
    }
    parts.forEach((part, k) => { slices[k] = part === null ? 0 : norm(part); });
    if (step === last) total = p.gradient;  // not the sum of rounded shares
    const top = Math.max(...slices.filter(Number.isFinite), 1e-300);
    const bars = element("div", { class: "slices", role: "img", "aria-label": "norm of the share of each slice that is drawn" },
      ...slices.map((x, k) => element("i", { style: `height:${Math.min(100, 100 * x / top).toFixed(1)}%`, title: `slice ${drawnSlices[k]}: ${short(x)}` })));
    const note = elided < 0 ? null : element("p", { class: "faint" }, step === last ? "with the slices that are not drawn" : "of the slices that are drawn; the others' shares come at the end");
    return element("div", { "data-parameter": p.name }, element("h3", {}, `${p.name}: norm `,
      element("output", {}, total === null ? "0" : short(step === last ? p.norm : norm(total))), ` of ${short(p.norm)}`), bars, note,
      total !== null && rowsOf(total).length <= 16 && rowsOf(total)[0].length <= 24 ? heat(total, `gradient of ${p.name} so far`) : null);
  }));
}

// ------------------------------------------------------------------------------------------------- the itemised gradient
let blamed = Object.keys(content.credit)[0];
function showCredit() {
  const section = byId("credit"), box = section.querySelector("div");
  if (!blamed) { section.hidden = true; return; }
  const items = content.credit[blamed], top = largest(items) || 1;
  const tone = (x) => x > 0 ? Math.max(0.06, 1 + Math.log10(x / top) / 6) : 0;
  const choice = element("select", { "aria-label": "Parameter", onchange: (event) => { blamed = event.target.value; clearBlame(); showCredit(); section.querySelector("select").focus(); } },
    ...Object.keys(content.credit).map((name) => element("option", { value: name, selected: name === blamed }, name)));
  const head = element("tr", {}, element("th", {}, "loss \\ copy"), ...items.map((_, t) => element("th", {}, String(t))));
  const body = items.map((row, s) => element("tr", {}, element("th", {}, String(s)), ...row.map((x, t) => element("td", {},
    element("button", {
      type: "button", "aria-pressed": "false", title: `slice ${s}'s loss, copy of ${blamed} in slice ${t}: ${short(x)}`,
      "aria-label": `loss of slice ${s}, copy in slice ${t}: ${short(x)}`, style: `background:${color(tone(x))}`,
      onclick: (event) => blame(s, t, event.currentTarget), tabindex: s + t ? "-1" : "0", "data-cell": `${s},${t}`,
      onkeydown: (event) => moveInMatrix(event, s, t),
    })))));
  box.replaceChildren(element("p", {}, "How much of the gradient of ", choice,
    " comes from the loss of one slice (row) through the copy in another (column); norms, dark for large, on a log scale. Choose a cell to see its paths."),
    element("div", { class: "scroll" }, element("table", { class: "matrix", style: `--count:${items.length}` }, head, ...body)), element("p", { id: "blamed", role: "status" }));
}
function moveInMatrix(event, s, t) {
  const change = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const to = change && document.querySelector(`[data-cell="${s + change[0]},${t + change[1]}"]`);
  if (!to) return;
  event.currentTarget.setAttribute("tabindex", "-1");
  to.setAttribute("tabindex", "0");
  to.focus();
  event.preventDefault();
  event.stopPropagation();
}
function reach(starts, along) {
  const seen = new Set(starts), stack = [...starts];
  while (stack.length) for (const n of along(stack.pop())) if (!seen.has(n)) { seen.add(n); stack.push(n); }
  return seen;
}
function clearBlame() {
  curves.forEach((path) => path.classList.remove("blame"));
  if (byId("blamed")) byId("blamed").textContent = "";
  document.querySelectorAll(".matrix [aria-pressed=true]").forEach((b) => b.setAttribute("aria-pressed", "false"));
}
function blame(s, t, button) {
  clearBlame();
  button.setAttribute("aria-pressed", "true");
  const users = parameters.find((p) => p.name === blamed).sent.map(([n]) => n).filter((n) => Math.max(nodes[n].t, 0) === t);
  const losses = nodes.map((_, n) => n).filter((n) => nodes[n].kind.startsWith("term") && nodes[n].t === s);
  const down = reach(users, (n) => outEdges[n].map((e) => edges[e].head)), up = reach(losses, (n) => inEdges[n].map((e) => edges[e].tail));
  let count = 0;
  edges.forEach((e, k) => { if (e.message !== undefined && down.has(e.tail) && up.has(e.head)) { curves[k].classList.add("blame"); count += 1; } });
  if (count) byId("picture").scrollIntoView({ block: "nearest" });
  byId("blamed").textContent = `Slice ${s}'s loss, copy of ${blamed} in slice ${t}: norm ${short(content.credit[blamed][s][t])}; ${count ? `${count} edges, marked in the picture, lie on its paths` : "none of its paths is drawn"}.`;
}

// -------------------------------------------------------------------------------------------------- norms and agreement
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

// ---------------------------------------------------------------------------------------------- inference in a network
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

// ------------------------------------------------------------------------------------------------------------ the steps
function statusText() {
  const now = active(), ready = nodes.filter((_, n) => isReady(n)).length;
  const waiting = `${ready} ${ready === 1 ? "node is" : "nodes are"} ready`;
  if (now === null) return `Step 0 of ${last}. ${waiting}.`;
  const answers = nodes[now].given ? "" : " and answers its parents";
  const sums = nodes[now].kind.startsWith("term") ? "begins with 1" : "sums its messages";
  const what = inReverse() ? `reverse: ${nodes[now].plain} ${sums}${answers}` : `forward: ${nodes[now].plain} is computed from its parents`;
  const end = step === forward.length ? `. The loss is ${content.loss}` : step === last ? ". All gradients are there" : `. ${waiting}`;
  return `Step ${step} of ${last}, ${what}${end}.`;
}
function show() {
  paint();
  showDetails();
  showGradients();
  showNorms();
  byId("status").textContent = statusText();
  byId("slider").value = step;
  byId("slider").setAttribute("aria-valuetext", statusText());
}
function go(to) {
  step = Math.min(Math.max(to, 0), last);
  chosen = null;
  clearBlame();
  show();
  follow();
  if (step === last) pause();
}
function jump(to) { pause(); go(to); }
function pause() { clearInterval(timer); timer = null; byId("status").setAttribute("aria-live", "polite"); byId("play").textContent = "\u25b6 Play"; }
function toggle() {
  if (timer !== null) { pause(); return; }
  if (step === last) go(0);
  byId("status").setAttribute("aria-live", "off");  // too much to be read out
  timer = setInterval(() => go(step + 1), 650);
  byId("play").textContent = "\u275a\u275a Pause";
}
function neighbour(n, key) {
  const middle = (g) => { const b = g.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; };
  const [x, y] = middle(groups[n]), side = key === "ArrowLeft" || key === "ArrowRight", sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  let best = n, cost = Infinity;
  groups.forEach((g, m) => {
    const [a, b] = middle(g), ahead = sign * (side ? a - x : b - y), off = Math.abs(side ? b - y : a - x);
    if (m !== n && ahead > 4 && ahead + 3 * off < cost) { cost = ahead + 3 * off; best = m; }
  });
  return best;
}
function onKey(event) {
  const moves = event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End";
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select") || (moves && event.target.matches("#slider"))) return;
  const focused = groups.indexOf(event.target);
  if (focused >= 0 && event.key.startsWith("Arrow")) { groups[neighbour(focused, event.key)].focus(); event.preventDefault(); return; }
  if (focused >= 0 && (event.key === "Enter" || event.key === " ")) { choose({ node: focused }); event.preventDefault(); return; }
  const actions = { ArrowRight: () => jump(step + 1), ArrowLeft: () => jump(step - 1), Home: () => jump(0), End: () => jump(last), t: () => jump(forward.length), p: toggle, Escape: () => choose(null) };
  if (actions[event.key]) { actions[event.key](); event.preventDefault(); }
}
function setTheme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  byId("theme").textContent = dark ? "Light" : "Dark";
  byId("theme").setAttribute("aria-pressed", dark);
}
byId("summary").textContent = `${content.T} ${content.T === 1 ? "slice" : "slices"}${content.sequence ? `, ${content.sequence}` : ""}; loss ${content.loss}`;
byId("first").onclick = () => jump(0);
byId("back").onclick = () => jump(step - 1);
byId("next").onclick = () => jump(step + 1);
byId("turn").onclick = () => jump(forward.length);
byId("last").onclick = () => jump(last);
byId("play").onclick = toggle;
byId("slider").oninput = (event) => jump(Number(event.target.value));
byId("theme").onclick = () => setTheme(document.documentElement.dataset.theme !== "dark");
document.addEventListener("keydown", onKey);
setTheme(window.matchMedia("(prefers-color-scheme: dark)").matches);
prepare();
showCredit();
showAgreement();
showNetwork();
go(0);
