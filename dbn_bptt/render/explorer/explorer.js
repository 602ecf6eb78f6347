// The page: what it says and shows at a step, its keys, and how it opens.
function statusText() {
  const now = active(), ready = nodes.filter((_, n) => isReady(n)).length;
  const waiting = `${ready} ${ready === 1 ? "node is" : "nodes are"} ready`;
  if (now === null) return driven ? `${waiting}.` : `Step 0 of ${last}. ${waiting}.`;
  const answers = nodes[now].given ? "" : " and answers its parents";
  const sums = nodes[now].kind.startsWith("term") ? "begins with 1" : "sums its messages";
  const what = inReverse() ? `reverse: ${nodes[now].plain} ${sums}${answers}` : `forward: ${nodes[now].plain} is computed from its parents`;
  const end = step === turn ? `. The loss is ${content.loss}` : step === last ? ". All gradients are there" : `. ${waiting}`;
  return `${driven ? "" : `Step ${step} of ${last}, `}${what}${end}.`;
}
function show() {
  paint();
  showDetails();
  showGradients();
  showNorms();
  byId("status").textContent = statusText();
}
function arrived() {
  chosen = null;
  clearBlame();
  show();
  follow(active());
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
function ownKey(event) {
  const focused = groups.indexOf(event.target);
  if (focused >= 0 && event.key.startsWith("Arrow")) groups[neighbour(focused, event.key)].focus();
  else if (focused >= 0 && (event.key === "Enter" || event.key === " ")) choose({ node: focused });
  else if (event.key === "Escape" && stop !== null) leaveTour();
  else if (event.key === "Escape") choose(null);
  else return false;
  return true;
}
// The address may name a step (#step=12), a node by its variable and slice (#node=h,2), the loss (#loss), or a stop of
// the tour (#tour, #tour=3).
function openAt(hash) {
  const asked = new URLSearchParams(hash.slice(1)), named = asked.get("node");
  const node = nodes.findIndex((n) => n.kind !== "elided" && [n.variable, n.t ?? []].flat().join() === named);
  if (asked.has("tour")) { goToStop(Number(asked.get("tour") || 1) - 1); return; }
  if (asked.has("step")) jump(Number(asked.get("step")));
  else if (asked.has("loss")) jump(turn);
  else if (node >= 0) jump(nodes[node].given ? 0 : forwardAt[node] + 1);
  if (node >= 0) { choose({ node }); follow(node); } else if (named !== null) byId("status").textContent = `No node ${named} is drawn here.`;
}
byId("summary").textContent = `${content.T} ${content.T === 1 ? "slice" : "slices"}${elided < 0 ? "" : `, ${drawnSlices.length} of them drawn`}${content.sequence ? `, ${content.sequence}` : ""}; loss ${content.loss}`;
startTheme();
startFrame();
startPlayer();
prepare();
prepareTour();
showCredit();
showAgreement();
showNetwork();
go(0);
openAt(location.hash || `#${root.dataset.at}`);
window.addEventListener("hashchange", () => openAt(location.hash));
