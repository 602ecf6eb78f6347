// The page and what is around it: the address that it was opened by, the page that it is shown in, and the theme. In a
// frame it is embedded: shown without its sections below, and told by messages {theme: "dark"}, {step: 12} and
// {keys: false}.
const framed = window.parent !== window, root = document.documentElement;
const systemTheme = window.matchMedia("(prefers-color-scheme: dark)");
const framesInside = [...document.querySelectorAll("iframe")];
function tellFrames(message) { framesInside.forEach((frame) => frame.contentWindow.postMessage(message, "*")); }
function setTheme(name) {
  root.dataset.theme = name;
  tellFrames({ theme: name });
  byId("theme").textContent = name === "dark" ? "Light" : "Dark";
  byId("theme").setAttribute("aria-pressed", name === "dark");
}
function chooseTheme(name) {
  if (name !== "dark" && name !== "light") return;
  systemTheme.onchange = null;  // followed until there is a choice
  setTheme(name);
}
function startTheme() {
  systemTheme.onchange = () => setTheme(systemTheme.matches ? "dark" : "light");
  systemTheme.onchange();
  chooseTheme(new URLSearchParams(location.search).get("theme"));
  byId("theme").onclick = () => chooseTheme(root.dataset.theme === "dark" ? "light" : "dark");
}
// scrollIntoView would scroll the page around a frame, too
function reveal(shown) { window.scrollBy(0, shown.getBoundingClientRect().top - byId("controls").offsetHeight - 14); }
function startFrame() {
  root.classList.toggle("embedded", framed);
  byId("whole").hidden = !framed;
  byId("whole").href = location.href;
  // a page without an address of its own, as in a notebook, is shown whole where it is
  byId("whole").onclick = (event) => {
    if (location.protocol !== "about:") { byId("whole").href = `${location.href.split("#")[0]}#step=${step}`; return; }
    event.preventDefault();
    root.classList.remove("embedded");
    byId("whole").hidden = true;
  };
  window.addEventListener("message", ({ source, data }) => {
    if (!framed || source !== window.parent || data === null || typeof data !== "object") return;
    chooseTheme(data.theme);
    if (typeof data.keys === "boolean") byId("keys").checked = data.keys;
    if (Number.isFinite(data.step)) go(data.step);
  });
}
