// Two explorers in frames, which the buttons here lead in lockstep: pairs holds a step of the one and a step of the other.
const { pages, titles, pairs, turn } = JSON.parse(byId("content").textContent);
const last = pairs.length - 1;
function arrived() {
  framesInside.forEach((frame, k) => frame.contentWindow.postMessage({ step: pairs[step][k] }, "*"));
  const sweep = step < turn ? "forward" : "reverse";
  const where = { 0: "what is given", [turn]: "both losses are there", [last]: "all gradients are there" }[step] ?? sweep;
  byId("status").textContent = `Step ${step} of ${last}: ${where}.`;
}
const ownKey = () => false;
function openAt(hash) {
  const asked = new URLSearchParams(hash.slice(1));
  if (asked.has("step")) jump(Number(asked.get("step")));
  else if (asked.has("loss")) jump(turn);
}
function startPages() {
  framesInside.forEach((frame, k) => {
    frame.title = titles[k];
    frame.onload = () => frame.contentWindow.postMessage({ step: pairs[step][k], theme: root.dataset.theme, keys: byId("keys").checked }, "*");
    frame.srcdoc = pages[k];
  });
  byId("keys").onchange = () => tellFrames({ keys: byId("keys").checked });
  window.addEventListener("message", ({ source, data }) => {
    const asked = framesInside.some((frame) => frame.contentWindow === source) ? data?.command ?? "" : "";
    if (Object.hasOwn(commands, asked)) commands[asked]();
  });
}
startTheme();
startFrame();
startPlayer();
startPages();
go(0);
openAt(location.hash || `#${root.dataset.at}`);
window.addEventListener("hashchange", () => openAt(location.hash));
