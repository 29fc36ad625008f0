// Runs before the page is painted, so that it does not flash in the other colours.
(function () {
  "use strict";
  try {
    const kept = localStorage.getItem("theme");
    if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;
  } catch (error) { /* no storage: the system's setting holds */ }
  document.documentElement.classList.add("js");
})();
