// Keeps the status page true while something runs.

import { find } from "./dom.js";
import { renew } from "./page.js";

const SECONDS = 3;

async function again() {
  if (document.visibilityState === "visible") {
    try {
      await renew(["#status", "#nav"]);
    } catch {
      return; // the server was ended; the page stays as it was
    }
  }
  watch();
}

function watch() {
  if (find("#status").dataset.running) setTimeout(again, SECONDS * 1000);
}

watch();
