// The picture: what of it is known, active, chosen.
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
function follow(n, margin = 60) {
  if (n === null) return;
  const box = byId("picture"), at = groups[n].getBoundingClientRect(), frame = box.getBoundingClientRect();
  if (at.left < frame.left + margin || at.right > frame.right - margin) box.scrollLeft += at.left - frame.left - frame.width / 2;
  if (at.top < frame.top + 20 || at.bottom > frame.bottom - 20) box.scrollTop += at.top - frame.top - frame.height / 2;
}
