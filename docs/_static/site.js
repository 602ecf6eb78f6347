"use strict";
// Explorers in frames follow the site's theme.
const isDark = () => {
  const theme = document.body.dataset.theme;
  return theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
};
function tell() {
  for (const frame of document.querySelectorAll("iframe")) {
    frame.contentWindow?.postMessage({ theme: isDark() ? "dark" : "light" }, "*");
  }
}
document.addEventListener("DOMContentLoaded", () => {
  tell();
  for (const frame of document.querySelectorAll("iframe")) frame.addEventListener("load", tell);
  new MutationObserver(tell).observe(document.body, { attributes: true, attributeFilter: ["data-theme"] });
});
