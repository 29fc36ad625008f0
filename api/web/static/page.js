// What every page does: colours, parts that are fetched after the page is there.

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
}

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function setUpTheme() {
  const button = document.getElementById("theme");
  if (!button) return;
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  show();
  button.addEventListener("click", () => {
    const next = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try { localStorage.setItem("theme", next); } catch (error) { /* it holds for this page */ }
    show();
    document.dispatchEvent(new CustomEvent("theme"));
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    show();
    document.dispatchEvent(new CustomEvent("theme"));
  });
}

function withFragment(address) {
  return address + (address.includes("?") ? "&" : "?") + "fragment=1";
}

// Fetch a part of the page; a failure is told in its place, with a way to try again.
export async function load(place) {
  place.setAttribute("aria-busy", "true");
  try {
    // What is only done when asked for is a computation, and those are sent.
    const method = place.dataset.when === "asked" ? "POST" : "GET";
    const answer = await fetch(withFragment(place.dataset.fragment), { method, headers: { Accept: "text/html" } });
    place.innerHTML = await answer.text();
    place.dispatchEvent(new CustomEvent("loaded", { bubbles: true }));
  } catch (error) {
    place.textContent = "The server did not answer. ";
    const again = document.createElement("button");
    again.type = "button";
    again.textContent = "Try again";
    again.addEventListener("click", () => load(place));
    place.append(again);
  }
  place.removeAttribute("aria-busy");
}

function setUpFragments() {
  const later = new IntersectionObserver((seen) => {
    for (const each of seen) {
      if (!each.isIntersecting) continue;
      later.unobserve(each.target);
      load(each.target);
    }
  }, { rootMargin: "400px" });
  for (const place of document.querySelectorAll("[data-fragment]")) {
    if (place.dataset.when === "asked") continue;
    later.observe(place);
  }
  for (const button of document.querySelectorAll("[data-loads]")) {
    const place = document.getElementById(button.dataset.loads);
    button.addEventListener("click", async (event) => {
      event.preventDefault();
      button.setAttribute("aria-disabled", "true");
      place.textContent = "Working…";
      await load(place);
      button.removeAttribute("aria-disabled");
    });
  }
}

// A form that computes says so: some answers take seconds.
function setUpForms() {
  for (const form of document.querySelectorAll("form[data-works]")) {
    form.addEventListener("submit", () => {
      const said = form.querySelector("[data-said]");
      if (said) said.textContent = "Working…";
    });
  }
  window.addEventListener("pageshow", () => {
    for (const said of document.querySelectorAll("[data-said]")) said.textContent = "";
  });
}

// Boxes that scroll are reachable by keyboard; those that do not need no stop on the way.
export function setUpScroll(root = document) {
  for (const box of root.querySelectorAll(".scroll")) {
    if (box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

setUpTheme();
setUpFragments();
setUpForms();
setUpScroll();
window.addEventListener("resize", () => setUpScroll());
document.addEventListener("loaded", (event) => setUpScroll(event.target));
document.addEventListener("toggle", () => setUpScroll(), true);
