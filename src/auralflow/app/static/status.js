// The part of the page that shows the progress, after focus.js. Gradio provides `element`, `props` and `watch`.
//
// The name of the job is put into the page's URL, so that it is found again after a reload. Browsers do not send the
// part after the # to servers, so it stays out of the logs of proxies.

const still = matchMedia("(prefers-reduced-motion: reduce)");
element.setAttribute("role", "region");
element.setAttribute("aria-label", "Progress");

function show(node) {
  node?.scrollIntoView({ behavior: still.matches ? "auto" : "smooth", block: "start" });
}

let phase = "idle";
watch("value", follow);
function follow() {
  const { phase: now, job } = props.value;
  element.querySelector(".refusal")?.remove();
  if (now !== "idle") {
    const address = new URL(location.href);
    address.hash = job ? `job=${job}` : "";
    history.replaceState(null, "", job ? address : address.href.replace(/#$/, ""));
  }
  if (now === phase) return;
  accompany(phase, now);
  phase = now;
  element.dataset.phase = now;
  if (now !== "idle") show(element);
}

// Sent when the song or the stems have changed: a message about them no longer holds.
element.closest("#status").addEventListener("changed", ({ detail: { what, value } }) => {
  // The song that was there has gone, perhaps only after a file in its place was refused: that message holds.
  if (what === "song" && value) {
    element.querySelector(".refusal")?.remove();
    if (held("#song *, #sample") || isLost()) lead("#separate");
  }
  if (props.value.about !== what) return;
  props.value = { ...props.value, phase: "idle", html: "", about: "" };
  follow();
});

// Sent when the players below have been built.
element.closest("#status").addEventListener("reveal", () => show(element));

// The URL of another job was opened in the same tab.
addEventListener("hashchange", () => location.reload());

// The text of the upload box is in page.css; this gives screen readers the same text. The box may be built later than
// this part of the page, and is built anew for another song.
const words = "Choose a song, or drop it here";
function name() {
  const button = document.querySelector("#song .upload-container");
  if (button && button.ariaLabel !== words) button.ariaLabel = words;
}
new MutationObserver(name).observe(document.body, { attributeFilter: ["aria-label"], childList: true, subtree: true });
name();

// Files that cannot be songs are rejected here, before they are uploaded, with our own messages.

const shownSize = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

function fault(file) {
  if (!file.type.startsWith("audio/")) {
    return `“${file.name}” is not a song. Choose an audio file, such as WAV, FLAC, MP3, Ogg, M4A or AIFF.`;
  }
  if (file.size > props.max_size * 2 ** 20) {
    return `“${file.name}” is too large: ${shownSize(file.size)}, where ${props.max_size} MiB are allowed. ` +
      "Choose a shorter excerpt, or the same song as FLAC or MP3.";
  }
  return undefined;
}

function refuse(event, files) {
  if (!event.target.closest?.("#song")) return;
  const message = files.length > 1 ? "Choose one song at a time." : [...files].map(fault)[0];
  const place = element.querySelector(".refusal") ?? document.createElement("p");
  if (!message) return place.remove();
  event.stopImmediatePropagation();
  event.preventDefault();
  if (event.target.value) event.target.value = "";
  place.className = "failure refusal";
  place.setAttribute("role", "alert");
  place.textContent = message;
  element.append(place);
  show(place);
}

// In the capture phase, before any other listener of the page.
addEventListener("change", (event) => event.target.type === "file" && refuse(event, event.target.files), true);
addEventListener("drop", (event) => event.dataTransfer && refuse(event, event.dataTransfer.files), true);
