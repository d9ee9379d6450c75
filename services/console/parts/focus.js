// SPDX-License-Identifier: Apache-2.0
// For those who work by the keyboard: the focus is always somewhere, and seen. What had it may go away by what it did (the row
// of a session that was ended, "Suspend", "Undo"): then it goes to the heading of where that was.

/** What had it last, with all that was around it. @type {Element[]} */
let last = [];

/** @param {Element | null} element */
function around(element) {
  const path = [];
  for (let one = element; one; one = one.parentElement) path.push(one);
  return path;
}

const isLost = () =>
  document.activeElement === document.body && last.length > 0 && (!last[0].isConnected || last[0].matches(":disabled"));

/** What of it is there still; or the dialog that is open, for nothing else can be reached. */
function nearest() {
  const near = last.find((element) => element.isConnected && !element.matches(":disabled"));
  const open = [...document.querySelectorAll("dialog[open]")].at(-1);
  const place = near?.closest("dialog, .card, main");
  return open && !(place && open.contains(place)) ? open : (place ?? document.querySelector("main"));
}

function giveBack() {
  if (!isLost()) return;
  const place = nearest();
  /** @type {HTMLElement | null | undefined} */
  const found =
    place?.querySelector("[data-focus]") ?? place?.querySelector(".dialog-note") ?? place?.querySelector("h1, h2");
  if (!found) return;
  if (found.tabIndex < 0) found.tabIndex = -1; // takes the focus, but not by Tab
  found.focus();
}

/** From the start of the page on. */
export function keepFocus() {
  /** @type {number | undefined} */
  let timer;
  // Whoever takes something away may also say where the focus goes, a moment after.
  const look = () => {
    clearTimeout(timer);
    timer = setTimeout(giveBack, 50);
  };
  addEventListener("focusin", ({ target }) => (last = around(/** @type {Element} */ (target))));
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributeFilter: ["disabled"] });
  // A heading that has the focus is outlined for those who got there by a key.
  addEventListener("keydown", () => (document.documentElement.dataset.by = "keys"), true);
  addEventListener("pointerdown", () => ((document.documentElement.dataset.by = "pointer"), (last = [])), true);
}
