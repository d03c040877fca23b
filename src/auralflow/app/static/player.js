// Reads and plays several WAV files in sync. Gradio runs this and mixer.js as one script.
//
// Files are read in pieces, and each piece of all tracks is started at the same time of one audio clock. Therefore
// the tracks stay in sync to the sample, and a long song takes no more memory than a short one.

const PIECE = 4; // Seconds to fetch and decode at a time.
const AHEAD = 8; // Seconds to prepare in advance.
const DELAY = 0.08; // Least number of seconds between a piece being ready and its start.
const FADE = 0.01; // Seconds to fade changes of volume, which would otherwise click.
const REST = 150; // Milliseconds without another seek before playing resumes.

/** A WAV file on the server, read in ranges. */
class Wave {
  constructor(address) {
    this.address = address;
  }

  async range(first, last) {
    const answer = await fetch(this.address, { headers: { Range: `bytes=${first}-${last}` } });
    if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
    const bytes = await answer.arrayBuffer();
    // A server that does not support ranges sends the entire file.
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

  /** The samples of each channel, from -1 to 1. */
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

/** Plays several files of equal length in sync. */
class Player {
  constructor(addresses, onFail) {
    this.onFail = onFail;
    this.waves = addresses.map((address) => new Wave(address));
    this.levels = addresses.map(() => 1);
    this.position = 0;
    this.playing = false;
    this.run = 0; // Counts starts, so that pending work of an earlier one stops.
    this.sources = new Set();
  }

  async open() {
    await Promise.all(this.waves.map((wave) => wave.open()));
    this.rate = this.waves[0].rate;
    this.duration = this.waves[0].frames / this.rate;
  }

  /** Browsers only allow an audio clock once the user has interacted with the page. */
  wake() {
    if (this.context) return this.context.resume();
    try {
      // At the song's own sample rate, pieces join seamlessly.
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

  /** Whether it is playing, or will be as soon as seeking is finished. */
  get active() {
    return this.playing || this.resting !== undefined;
  }

  play() {
    if (this.playing) return;
    if (this.position >= this.duration) this.position = 0;
    this.playing = true;
    const run = ++this.run;
    this.wake()
      .then(() => this.feed(run))
      .catch((error) => {
        this.pause();
        this.onFail(error);
      });
  }

  /** Fetches pieces and schedules them, until the end or until another start. */
  async feed(run) {
    let frame = Math.round(this.position * this.rate);
    const frames = this.waves[0].frames;
    const from = frame;
    while (frame < frames) {
      const count = Math.min(PIECE * this.rate, frames - frame);
      const pieces = await Promise.all(this.waves.map((wave) => wave.samples(frame, count)));
      if (run !== this.run) return;
      const buffers = pieces.map((piece) => this.buffer(piece));
      const due = this.start(buffers, (frame - from) / this.rate);
      frame += count;
      while (run === this.run && frame < frames && due + count / this.rate - this.context.currentTime > AHEAD) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      if (run !== this.run) return;
    }
  }

  buffer(piece) {
    const buffer = this.context.createBuffer(piece.length, piece[0].length, this.rate);
    piece.forEach((channel, number) => buffer.copyToChannel(channel, number));
    return buffer;
  }

  /** Starts a piece of every track at the same instant, some seconds after the first piece; returns that instant. */
  start(buffers, offset) {
    for (let lead = DELAY; ; lead *= 2) {
      // A piece that arrived too late delays everything that follows by the same amount.
      this.anchor = Math.max(this.anchor ?? 0, this.context.currentTime + lead - offset);
      const due = this.anchor + offset;
      const sources = buffers.map((buffer, index) => this.source(buffer, index, due));
      // On a busy machine the instant may have passed in between, and the later tracks would start behind the others.
      if (this.context.currentTime < due) return due;
      sources.forEach((source) => source.stop());
    }
  }

  source(buffer, index, due) {
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.gains[index]);
    source.start(due);
    this.sources.add(source);
    source.onended = () => this.sources.delete(source);
    return source;
  }

  pause() {
    this.position = this.now;
    this.playing = false;
    this.anchor = undefined; // A position in the song, and the time at which it is played.
    this.run += 1;
    clearTimeout(this.resting);
    this.resting = undefined;
    this.sources.forEach((source) => source.stop());
    this.sources.clear();
  }

  seek(seconds) {
    const wasActive = this.active;
    this.pause();
    this.position = Math.min(Math.max(0, seconds), this.duration);
    if (!wasActive) return;
    this.resting = setTimeout(() => {
      this.resting = undefined;
      this.play();
    }, REST);
  }

  close() {
    this.pause();
    this.context?.close();
    this.context = undefined;
  }
}
