// The gradients as they build up, and the itemised gradient.
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
      total === null ? null : (rowsOf(total).length <= 16 && rowsOf(total)[0].length <= 24 ? heat : spelledOut)(total, `gradient of ${p.name} so far`));
  }));
}
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
  if (count) reveal(byId("picture"));
  byId("blamed").textContent = `Slice ${s}'s loss, copy of ${blamed} in slice ${t}: norm ${short(content.credit[blamed][s][t])}; ${count ? `${count} edges, marked in the picture, lie on its paths` : "none of its paths is drawn"}.`;
}
