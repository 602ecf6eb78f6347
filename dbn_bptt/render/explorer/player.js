// The player: buttons, slider and keys that lead from step to step. A page says which step is the last one and which has
// the loss (last, turn), what it shows at a step (arrived), and takes keys of its own first (ownKey). In a driven page the
// buttons of the page around it are pressed instead.
const driven = document.documentElement.classList.contains("driven");
let step = 0, timer = null;
function go(to) {
  step = Math.min(Math.max(Math.round(to) || 0, 0), last);
  arrived();
  byId("slider").value = step;
  byId("slider").setAttribute("aria-valuetext", byId("status").textContent);
  if (step === last) pause();
}
function jump(to) { pause(); go(to); }
function readOut(on) { byId("status").setAttribute("aria-live", on && !driven ? "polite" : "off"); }
function pause() { clearInterval(timer); timer = null; readOut(true); byId("play").textContent = "\u25b6 Play"; }
function toggle() {
  if (timer !== null) { pause(); return; }
  if (step === last) go(0);
  readOut(false);  // too much
  timer = setInterval(() => go(step + 1), 650);
  byId("play").textContent = "\u275a\u275a Pause";
}
const commands = {
  first: () => jump(0), back: () => jump(step - 1), play: toggle, next: () => jump(step + 1), turn: () => jump(turn),
  last: () => jump(last), pause,
};
function command(name) { if (driven) window.parent.postMessage({ command: name }, "*"); else commands[name](); }
const keys = { Home: "first", ArrowLeft: "back", p: "play", ArrowRight: "next", t: "turn", End: "last" };
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea, .spelled")) return;
  if (ownKey(event)) { event.preventDefault(); return; }
  if (keys[event.key] && byId("keys").checked) { command(keys[event.key]); event.preventDefault(); }
}
function startPlayer() {
  byId("slider").max = last;
  byId("slider").oninput = (event) => jump(Number(event.target.value));
  ["first", "back", "play", "next", "turn", "last"].forEach((name) => { byId(name).onclick = () => command(name); });
  document.addEventListener("keydown", onKey);
}
