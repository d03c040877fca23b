// The players of a separated song. Gradio runs this once, with `element`, `props` and `watch`.
//
// Every file is read piece by piece and every piece of all tracks is started at the same instant of one audio
// clock: so the tracks stay together to the sample, and a long song takes no more memory than a short one.

const PIECE = 4; // Seconds that are fetched and decoded at a time.
const AHEAD = 8; // Seconds that are ready before they are due.
const DELAY = 0.08; // Seconds from a piece being ready to its start.
const FADE = 0.01; // Seconds that a change of volume takes, so that it does not click.

/** A WAV file on the server, of which ranges are read. */
class Wave {
  constructor(address) {
    this.address = address;
  }

  async range(first, last) {
    const answer = await fetch(this.address, { headers: { Range: `bytes=${first}-${last}` } });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const bytes = await answer.arrayBuffer();
    // A server that knows no ranges sends everything.
    return answer.status === 206 ? bytes : bytes.slice(first, last + 1);
  }

  async open() {
    let place = 12;
    for (;;) {
      const head = new DataView(await this.range(place, place + 47));
      const name = String.fromCharCode(...new Uint8Array(head.buffer, 0, 4));
      const size = head.getUint32(4, true);
      if (name === "fmt ") {
        const tag = head.getUint16(8, true);
        this.isFloat = (tag === 0xfffe ? head.getUint16(32, true) : tag) === 3;
        this.channels = head.getUint16(10, true);
        this.rate = head.getUint32(12, true);
        this.width = head.getUint16(22, true) / 8;
      }
      if (name === "data") {
        this.start = place + 8;
        this.frames = Math.floor(size / (this.channels * this.width));
        return this;
      }
      place += 8 + size + (size % 2);
    }
  }

  /** Samples of each channel, as numbers from -1 to 1. */
  async samples(first, count) {
    const step = this.channels * this.width;
    const wanted = Math.min(count, this.frames - first);
    const place = this.start + first * step;
    const view = new DataView(await this.range(place, place + wanted * step - 1));
    const read = this.reader(view);
    return Array.from({ length: this.channels }, (_, channel) =>
      Float32Array.from({ length: wanted }, (_, index) => read(index * step + channel * this.width)),
    );
  }

  reader(view) {
    if (this.isFloat) return this.width === 8 ? (at) => view.getFloat64(at, true) : (at) => view.getFloat32(at, true);
    if (this.width === 1) return (at) => (view.getUint8(at) - 128) / 128;
    if (this.width === 2) return (at) => view.getInt16(at, true) / 32768;
    if (this.width === 3) return (at) => (view.getUint16(at, true) | (view.getInt8(at + 2) << 16)) / 8388608;
    return (at) => view.getInt32(at, true) / 2147483648;
  }
}

/** Plays several files of equal length in step. */
class Player {
  constructor(addresses) {
    this.waves = addresses.map((address) => new Wave(address));
    this.levels = addresses.map(() => 1);
    this.position = 0;
    this.playing = false;
    this.run = 0; // Counts starts, so that what belongs to an earlier one stops.
    this.sources = new Set();
  }

  async open() {
    await Promise.all(this.waves.map((wave) => wave.open()));
    this.rate = this.waves[0].rate;
    this.duration = this.waves[0].frames / this.rate;
  }

  /** An audio clock may only be made once the user has pressed something. */
  wake() {
    if (this.context) return this.context.resume();
    try {
      // At the song's own rate pieces join without a seam.
      this.context = new AudioContext({ sampleRate: this.rate });
    } catch {
      this.context = new AudioContext();
    }
    this.output = this.context.createAnalyser();
    this.output.connect(this.context.destination);
    this.gains = this.levels.map((level) => {
      const gain = this.context.createGain();
      gain.gain.value = level;
      gain.connect(this.output);
      return gain;
    });
    return this.context.resume();
  }

  get now() {
    if (!this.playing || this.anchor === undefined) return this.position;
    const elapsed = Math.max(0, this.context.currentTime - this.anchor);
    return Math.min(this.duration, this.position + elapsed);
  }

  setLevels(levels) {
    this.levels = levels;
    this.gains?.forEach((gain, index) => gain.gain.setTargetAtTime(levels[index], this.context.currentTime, FADE));
  }

  async play() {
    if (this.playing) return;
    if (this.position >= this.duration) this.position = 0;
    this.playing = true;
    const run = ++this.run;
    await this.wake();
    await this.feed(run);
  }

  /** Fetches pieces and gives them to the clock until the end, or until something else was asked for. */
  async feed(run) {
    this.anchor = undefined;
    let frame = Math.round(this.position * this.rate);
    const frames = this.waves[0].frames;
    const from = frame;
    while (frame < frames) {
      const count = Math.min(PIECE * this.rate, frames - frame);
      const pieces = await Promise.all(this.waves.map((wave) => wave.samples(frame, count)));
      if (run !== this.run) return;
      const soonest = this.context.currentTime + DELAY;
      if (this.anchor === undefined) this.anchor = soonest;
      let due = this.anchor + (frame - from) / this.rate;
      if (due < soonest - DELAY) {
        // The piece came too late: everything that follows is moved by as much.
        this.anchor += soonest - due;
        due = soonest;
      }
      pieces.forEach((piece, index) => this.start(piece, index, due));
      frame += count;
      while (run === this.run && frame < frames && due + count / this.rate - this.context.currentTime > AHEAD) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      if (run !== this.run) return;
    }
  }

  start(piece, index, due) {
    const buffer = this.context.createBuffer(piece.length, piece[0].length, this.rate);
    piece.forEach((channel, number) => buffer.copyToChannel(channel, number));
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.gains[index]);
    source.start(due);
    this.sources.add(source);
    source.onended = () => this.sources.delete(source);
  }

  pause() {
    this.position = this.now;
    this.playing = false;
    this.run += 1;
    this.sources.forEach((source) => source.stop());
    this.sources.clear();
  }

  async seek(seconds) {
    const wasPlaying = this.playing;
    this.pause();
    this.position = Math.min(Math.max(0, seconds), this.duration);
    if (wasPlaying) await this.play();
  }

  close() {
    this.pause();
    this.context?.close();
    this.context = undefined;
  }
}

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
  drawing.setAttribute("aria-label", `Waveform of ${track.name}: ${track.peak}`);
  const shape = document.createElementNS(name, "path");
  // A silent stretch is still a line.
  const high = track.high.map((level, index) => `${index},${-Math.max(level, 0.008)}`);
  const low = track.low.map((level, index) => `${index},${Math.max(-level, 0.008)}`);
  shape.setAttribute("d", `M${high.join("L")}L${low.reverse().join("L")}Z`);
  drawing.append(shape);
  return drawing;
}

class Mixer {
  constructor(root, song) {
    this.song = song;
    this.tracks = song.tracks.map((track) => ({ ...track, muted: track.name === "original", solo: false, volume: 100 }));
    this.player = new Player(song.tracks.map((track) => address(track.file)));
    root.replaceChildren(this.head(), this.bar(), this.list(), ...this.notes());
    this.root = root;
    this.update();
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
    const archive = make("a", { href: address(this.song.archive), download: this.song.archiveName, class: "archive" });
    archive.append("Download all as a zip");
    return make("div", { class: "head" }, make("h2", {}, this.song.title), archive);
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
    // The slider does the same for the keyboard.
    lane.onclick = (event) => {
      const box = lane.getBoundingClientRect();
      this.seek(((event.clientX - box.left) / box.width) * this.player.duration);
    };
    const save = make("a", { href: address(track.file), download: track.fileName, "aria-label": `Download ${track.name}` }, "Save");
    const controls = make("div", { class: "controls" }, track.mute, track.alone, slider, save);
    track.row = make("li", { class: `track ${track.name}` }, make("h3", {}, track.name), controls, lane);
    return track.row;
  }

  notes() {
    return this.song.notes.map((note) => make("p", { class: "note" }, note));
  }

  toggle() {
    if (this.player.playing) this.player.pause();
    else this.player.play().catch((error) => this.fail(error));
    this.show();
  }

  seek(seconds) {
    if (this.root.dataset.state === "ready") this.player.seek(seconds).catch((error) => this.fail(error));
    this.show();
  }

  change(action) {
    action();
    this.update();
  }

  /** What is heard follows from the switches: those that are solo, or else all that are not muted. */
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
    const { now, duration, playing } = this.player;
    if (playing && now >= duration) this.player.pause();
    this.root.dataset.playing = this.player.playing;
    this.button.textContent = this.player.playing ? "Pause" : "Play";
    if (document.activeElement !== this.slider || playing) this.slider.value = now;
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
  const { root = "", api_prefix: prefix = "/gradio_api" } = window.gradio_config ?? {};
  return `${root}${prefix}/file=${path.split("/").map(encodeURIComponent).join("/")}`;
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
