// The numbers of the page, and what is known of them at a step. Step k of the forward sweep has computed the first k
// nodes; after them come the steps of the reverse sweep.
const content = JSON.parse(byId("content").textContent);
const { nodes, edges, forward, backward, parameters, formulas } = content;
const last = forward.length + backward.length, turn = forward.length;
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
const drawnSlices = [...new Set(nodes.filter((n) => n.kind !== "elided").map((n) => n.t).filter((t) => t !== null && t >= 0 && t < content.T))].sort((a, b) => a - b);
const elided = nodes.findIndex((n) => n.kind === "elided");
let chosen = null;  // null to follow the steps, or {node} or {edge}

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
