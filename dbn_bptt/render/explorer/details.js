// The details of the node or edge that is active or chosen.
function showDetails() {
  const box = byId("details");
  const now = active();
  const what = chosen ?? (now === null ? null : { node: now });
  box.replaceChildren(...(what === null ? introduction() : "edge" in what ? aboutEdge(what.edge) : aboutNode(what.node)));
}
function introduction() {
  return [element("h2", {}, "Before the first step"), element("p", {},
    "Inputs, targets, initial states and parameters are given. The forward sweep computes each node once all its parents are known; " +
    "the reverse sweep then sends each parent its share of the derivative of the loss. Dotted nodes are ready."),
    driven || stop !== null ? null : element("p", {}, "New here? ", element("button", { type: "button", onclick: startTour }, "Take the tour"), ` of ${content.tour.length} stops.`)].filter(Boolean);
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
  command("pause");
  chosen = what;
  clearBlame();
  show();
  if (inside) byId("details").focus();
  if (what !== null) byId("status").textContent = `Chosen: ${"node" in what ? nodes[what.node].plain : edges[what.edge].about}.`;
}
