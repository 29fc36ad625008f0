// A view of a crystal that stands in the page itself.
import { setUpViewer } from "./viewer.js";

const viewer = document.getElementById("viewer");
if (viewer) setUpViewer(viewer, JSON.parse(document.getElementById("scene").textContent));
