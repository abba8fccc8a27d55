"use strict";
// Plays sounds side by side in one time and lets one of them through. Made on any audio context,
// also an offline one, so that a test can render what is heard.
const FADE_S = 0.005; // of a switch, a start and a stop
const AHEAD_S = 0.01; // orders are given for a little later: one for the past would jump

class Switcher {
  constructor(context) {
    this.context = context;
    this.voices = new Map();
    this.chosen = null;
    this.onended = () => {};
  }

  // Sounds by name, all of one length; replaces those before and chooses the first.
  load(buffers) {
    this.stop();
    this.buffers = buffers;
    this.chosen = Object.keys(buffers)[0];
  }

  get playing() { return this.voices.size > 0; }

  // Start all sounds at once from the beginning, round and round if `loop`.
  start(loop) {
    this.stop();
    const at = this.context.currentTime + AHEAD_S;
    for (const [name, buffer] of Object.entries(this.buffers)) {
      const source = new AudioBufferSourceNode(this.context, { buffer, loop });
      const gain = new GainNode(this.context, { gain: 0 });
      source.connect(gain).connect(this.context.destination);
      source.start(at);
      gain.gain.setValueAtTime(0, at);
      const voice = { source, gain: gain.gain, from: 0, to: 0, at };
      this.voices.set(name, voice);
      this.#ramp(voice, name === this.chosen ? 1 : 0, at);
    }
    const [first] = this.voices.values();
    first.source.onended = () => {
      if (this.voices.values().next().value !== first) return; // stopped, not played to its end
      this.voices.clear();
      this.onended();
    };
  }

  // Let another sound through: the time goes on, the old one falls as the new one rises.
  choose(name, at = this.context.currentTime + AHEAD_S) {
    this.chosen = name;
    for (const [other, voice] of this.voices) this.#ramp(voice, other === name ? 1 : 0, at);
  }

  stop() {
    const at = this.context.currentTime + AHEAD_S;
    for (const voice of this.voices.values()) {
      this.#ramp(voice, 0, at);
      voice.source.stop(at + 2 * FADE_S);
    }
    this.voices.clear();
  }

  // Linear, from wherever an unfinished ramp is; all gains together stay 1 through a switch.
  #ramp(voice, to, at) {
    const part = Math.min(1, Math.max(0, (at - voice.at) / FADE_S));
    const from = voice.from + part * (voice.to - voice.from);
    voice.gain.cancelScheduledValues(at); // takes an unfinished ramp away as a whole:
    voice.gain.linearRampToValueAtTime(from, at); // its first part, again
    voice.gain.linearRampToValueAtTime(to, at + FADE_S);
    Object.assign(voice, { from, to, at });
  }
}

// The sound of that name as an AudioBuffer; it lies in the page as base64, since a page opened
// from a disk may not fetch files.
function decoded(context, name) {
  const text = atob(LISTENING.sounds[name].flac);
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  return context.decodeAudioData(bytes.buffer);
}
