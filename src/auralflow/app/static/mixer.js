// The players of a separated song, after player.js and downloads.js. Gradio provides `element`, `props` and `watch`.

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const spoken = (seconds) => {
  const minutes = Math.floor(seconds / 60);
  return `${minutes ? `${minutes} minutes ` : ""}${Math.floor(seconds % 60)} seconds`;
};

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** The waveform as a shape: it stays sharp at any width. */
function waveform(track) {
  const name = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(name, "svg");
  const columns = track.low.length;
  drawing.setAttribute("viewBox", `0 -1 ${columns} 2`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", `Waveform of ${track.name}: ${track.level}`);
  const shape = document.createElementNS(name, "path");
  // Silence is still drawn as a line.
  const high = track.high.map((level, index) => `${index},${-Math.max(level, 0.008)}`);
  const low = track.low.map((level, index) => `${index},${Math.max(-level, 0.008)}`);
  shape.setAttribute("d", `M${high.join("L")}L${low.reverse().join("L")}Z`);
  drawing.append(shape);
  return drawing;
}

class Mixer {
  constructor(root, song) {
    this.song = song;
    this.tracks = song.tracks.map((track) => ({ ...track, muted: track.repeats, solo: false, volume: 100 }));
    this.player = new Player(
      song.tracks.map((track) => address(track.file)),
      (error) => this.fail(error),
    );
    this.downloads = new Downloads(song, (text) => (this.message.textContent = text));
    root.replaceChildren(this.head(), this.bar(), this.list(), ...this.notes());
    this.root = root;
    this.update();
    // Only now is there something to scroll to.
    document.querySelector("#status")?.dispatchEvent(new Event("reveal"));
    this.player.open().then(
      () => this.ready(),
      (error) => this.fail(error),
    );
  }

  ready() {
    this.root.dataset.state = "ready";
    this.root.dataset.duration = this.player.duration;
    this.slider.max = this.player.duration;
    this.button.disabled = this.slider.disabled = false;
    this.show();
    const tick = () => {
      if (!this.root.isConnected || this.isClosed) return this.player.close();
      this.show();
      requestAnimationFrame(tick);
    };
    tick();
  }

  fail(error) {
    this.root.dataset.state = "failed";
    this.message.textContent = `The players cannot read the stems: ${error.message}. Separate the song again.`;
  }

  head() {
    const all = this.downloads.link(this.song.all, "Download all", { class: "archive" });
    return make("div", { class: "head" }, make("h2", {}, this.song.title), make("div", { class: "all" }, this.downloads.choice(), all));
  }

  bar() {
    this.button = make("button", { type: "button", class: "play", disabled: "" }, "Play");
    this.button.onclick = () => this.toggle();
    this.slider = make("input", { type: "range", min: 0, max: 1, step: 0.5, value: 0, "aria-label": "Position", disabled: "" });
    this.slider.oninput = () => this.seek(Number(this.slider.value));
    this.time = make("span", { class: "time" }, "0:00");
    const view = make("button", { type: "button", "aria-pressed": "false" }, "Spectrograms");
    view.onclick = () => {
      const on = view.getAttribute("aria-pressed") !== "true";
      view.setAttribute("aria-pressed", on);
      this.root.classList.toggle("spectrograms", on);
    };
    this.message = make("p", { role: "alert", class: "message" });
    const bar = make("div", { class: "bar", role: "group", "aria-label": "Player" });
    bar.append(this.button, this.slider, this.time, view, this.message);
    return bar;
  }

  list() {
    return make("ul", { class: "tracks", "aria-label": "Tracks" }, ...this.tracks.map((track) => this.row(track)));
  }

  row(track) {
    track.mute = make("button", { type: "button", "aria-label": `Mute ${track.name}` }, "Mute");
    track.mute.onclick = () => this.change(() => (track.muted = !track.muted));
    track.alone = make("button", { type: "button", "aria-label": `Solo ${track.name}` }, "Solo");
    track.alone.onclick = () => this.change(() => (track.solo = !track.solo));
    const slider = make("input", { type: "range", min: 0, max: 150, step: 5, value: 100 });
    slider.setAttribute("aria-label", `Volume of ${track.name}`);
    slider.oninput = () => this.change(() => (track.volume = Number(slider.value)));
    track.slider = slider;
    track.head = make("div", { class: "playhead" });
    const picture = make("img", { src: address(track.picture), alt: `Spectrogram of ${track.name}`, loading: "lazy" });
    const lane = make("div", { class: "lane" }, waveform(track), picture, track.head);
    // For mouse and touch only: the position slider does the same for the keyboard.
    lane.onclick = (event) => {
      const box = lane.getBoundingClientRect();
      this.seek(((event.clientX - box.left) / box.width) * this.player.duration);
    };
    const save = this.downloads.link(track.name, "Save", { "aria-label": `Save ${track.name}` });
    const controls = make("div", { class: "controls" }, track.mute, track.alone, slider, save);
    track.row = make("li", { class: `track ${track.name}` }, make("h3", {}, track.name), make("p", { class: "level" }, track.level), controls, lane);
    return track.row;
  }

  notes() {
    return this.song.notes.map((note) => make("p", { class: "note" }, note));
  }

  toggle() {
    if (this.player.active) this.player.pause();
    else this.player.play();
    this.show();
  }

  seek(seconds) {
    if (this.root.dataset.state !== "ready") return;
    this.player.seek(seconds);
    this.show();
  }

  change(action) {
    action();
    this.update();
  }

  /** Play the tracks that are solo or, if there are none, all that are not muted. */
  update() {
    const anySolo = this.tracks.some((track) => track.solo);
    const levels = this.tracks.map((track) => {
      const heard = anySolo ? track.solo : !track.muted;
      track.row.classList.toggle("silent", !heard);
      track.mute.setAttribute("aria-pressed", track.muted);
      track.alone.setAttribute("aria-pressed", track.solo);
      track.slider.setAttribute("aria-valuetext", `${track.volume} percent`);
      return heard ? track.volume / 100 : 0;
    });
    this.player.setLevels(levels);
  }

  show() {
    const { now, duration } = this.player;
    if (this.player.playing && now >= duration) this.player.pause();
    this.root.dataset.playing = this.player.active;
    const word = this.player.active ? "Pause" : "Play";
    if (this.button.textContent !== word) this.button.textContent = word;
    this.slider.value = now;
    this.slider.setAttribute("aria-valuetext", `${spoken(now)} of ${spoken(duration)}`);
    this.time.textContent = `${clock(now)} / ${clock(duration)}`;
    this.tracks.forEach((track) => (track.head.style.left = `${(100 * now) / duration}%`));
  }

  close() {
    this.isClosed = true;
    this.player.close();
  }
}

function address(path) {
  return `${(window.gradio_config?.root ?? "").replace(/\/$/, "")}${path}`;
}

function build() {
  element.mixer?.close();
  element.mixer = undefined;
  const root = element.querySelector(".mixer");
  if (!root) return;
  root.replaceChildren();
  delete root.dataset.state;
  if (props.value) element.mixer = new Mixer(root, props.value);
}

watch("value", build);
build();
