// Keeps the focus where the work goes on: Gradio hides and disables buttons once they have been pressed, and the
// browser then drops the focus. Gradio runs this and status.js as one script.

let last; // The element that was focused last, possibly hidden or disabled since.
let goal; // Where the focus goes as soon as there is something to focus: a selector, and the element to leave.

addEventListener("focusin", (event) => (last = event.target));

/** Whether the focus was lost because the element that had it was hidden or disabled. */
const isLost = () => last !== undefined && (document.activeElement === document.body || document.activeElement.disabled);

/** Whether a matching element is focused, or was when it was hidden or disabled. */
const held = (selector) => last?.matches(selector) && (document.activeElement === last || isLost());

function lead(selector) {
  goal = { selector, from: last };
  watcher.observe(document.body, { attributes: true, childList: true, subtree: true });
  move();
}

function stay() {
  goal = undefined;
  watcher.disconnect();
}

function move() {
  // The user has moved on in the meantime.
  if (last !== goal.from) return stay();
  const node = document.querySelector(goal.selector);
  if (!node || node.disabled || !node.getClientRects().length) return;
  stay();
  node.focus({ preventScroll: true });
}

const watcher = new MutationObserver(move);

/** Called when the phase of the page changes. */
function accompany(before, now) {
  const cancelling = held("#cancel") || goal?.selector === "#cancel";
  if (now === "working" && held("#separate")) lead("#cancel");
  else if (before === "working" && (cancelling || isLost())) lead(now === "done" ? "#mixer .play" : "#separate");
}

addEventListener("click", (event) => {
  if (event.target.closest?.("#another")) lead("#song .upload-container");
});

// Gradio opens this list when it gets the focus, and would leave it open, on top of what is focused next.
addEventListener("focusout", ({ target }) => {
  if (!target.matches?.("#model [aria-expanded=true]")) return;
  target.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
});
