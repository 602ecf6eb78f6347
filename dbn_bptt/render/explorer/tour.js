// The guided tour: at each stop a step, what is chosen there or a section, and a few sentences.
let stop = null;  // the place of the stop in the tour
function goToStop(k) {
  const end = content.tour.length - 1;
  stop = Math.min(Math.max(Math.round(k) || 0, 0), end);
  const { title, text, chapter, step: at, node, edge, section } = content.tour[stop];
  jump(at);
  const margin = byId("picture").clientWidth / 3;  // so that what is around it can be seen, too
  if (node !== undefined) { choose({ node }); follow(node, margin); }
  if (edge !== undefined) { choose({ edge }); follow(edges[edge].tail, margin); }
  root.classList.add("touring");
  byId("guide").hidden = false;
  byId("stop").replaceChildren(element("b", {}, `${stop + 1} of ${end + 1}: ${title}.`), ` ${text} `, ...readingOn(chapter));
  readOut(false);  // the stop is instead
  if (stop === 0 && document.activeElement === byId("stop-before")) byId("stop-after").focus();
  byId("stop-before").disabled = stop === 0;
  byId("stop-after").textContent = stop === end ? "Done" : "Next stop \u25b6";
  mark(section);
  reveal(byId(section ?? "picture"));
}
function readingOn(chapter) {
  if (content.book === null) return [];
  return [element("a", { href: `${content.book}${chapter}.html`, target: framed && "_top" }, `Read on: chapter ${Number.parseInt(chapter, 10)}`)];
}
function mark(section) {
  document.querySelectorAll(".at-stop").forEach((marked) => marked.classList.remove("at-stop"));
  if (section !== undefined) byId(section).classList.add("at-stop");
}
function startTour() {
  goToStop(0);
  byId("stop-after").focus();
}
function leaveTour() {
  stop = null;
  root.classList.remove("touring");
  byId("guide").hidden = true;
  mark();
  show();
  byId("start-tour").focus();
}
function prepareTour() {
  byId("start-tour").hidden = driven;
  byId("start-tour").onclick = startTour;
  byId("stop-before").onclick = () => goToStop(stop - 1);
  byId("stop-after").onclick = () => { if (stop === content.tour.length - 1) leaveTour(); else goToStop(stop + 1); };
  byId("leave-tour").onclick = leaveTour;
}
