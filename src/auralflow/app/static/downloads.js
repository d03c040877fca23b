// Downloads of stems in a chosen format. Part of the script of the players.

/** A menu of formats, and links to download the tracks in the chosen one. */
class Downloads {
  constructor(song, say) {
    this.song = song;
    this.say = say;
    this.links = [];
    this.menu = make("select", {}, ...song.formats.map((name) => make("option", { value: name }, name.toUpperCase())));
    this.menu.onchange = () => this.links.forEach(([link, name]) => this.aim(link, name));
  }

  choice() {
    return make("label", { class: "format" }, "Format ", this.menu);
  }

  link(name, text, attributes = {}) {
    const link = make("a", { download: "", ...attributes }, text);
    link.onclick = (event) => this.prepare(event, link, text);
    this.links.push([link, name]);
    this.aim(link, name);
    return link;
  }

  aim(link, name) {
    link.href = address(`${this.song.downloads}/${this.menu.value}/${encodeURIComponent(name)}`);
    link.dataset.ready = this.menu.value === "wav";
  }

  /** WAV files already exist. Others are encoded on first use; wait for that and show a message. */
  async prepare(event, link, text) {
    if (link.dataset.ready === "true") return;
    event.preventDefault();
    if (link.getAttribute("aria-busy") === "true") return;
    const wanted = link.href;
    link.setAttribute("aria-busy", "true");
    this.say(`Encoding as ${this.menu.value.toUpperCase()} …`);
    try {
      const answer = await fetch(wanted, { method: "HEAD" });
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      this.say("");
      if (link.href !== wanted) return; // Another format was chosen in the meantime.
      link.dataset.ready = "true";
      link.click();
    } catch (error) {
      this.say(`${text} failed: ${error.message}. Separate the song again.`);
    } finally {
      link.removeAttribute("aria-busy");
    }
  }
}
