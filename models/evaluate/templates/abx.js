"use strict";
// The ABX test: which of two sounds is X? The answers stay in `session` until the end.
let context, switcher, session, heard, since, deal = [];

const MOST = "all, mixed";
const comparison = () => LISTENING.comparisons[Number(element("comparison").value)];

function fillCases() {
  const names = comparison().cases.map((one) => one.case);
  element("material").replaceChildren(...[...(names.length > 1 ? [MOST] : []), ...names]
    .map((name, place) => new Option(name, names.length > 1 ? place - 1 : place)));
}

function summed(one) {
  const right = one.trials.filter((trial) => trial.correct).length;
  const count = `${one.first} / ${one.second}: ${right} of ${one.trials.length}`;
  if (!one.complete) return `${count}, stopped early`;
  return `${count}, p = ${shownP(statistics.binomialTail(right, one.trials.length))}`;
}

function shownP(p) {
  return p < 0.0001 ? p.toExponential(1) : p.toPrecision(p < 0.1 ? 2 : 3);
}

async function begin() {
  const chosen = Number(element("material").value);
  const cases = chosen < 0 ? comparison().cases : [comparison().cases[chosen]];
  const planned = Number(element("trials").value);
  if (!Number.isInteger(planned) || planned < 5 || planned > 100) {
    element("trials").setCustomValidity("A whole number from 5 to 100.");
    element("trials").reportValidity();
    return;
  }
  context ??= new AudioContext({ sampleRate: LISTENING.rate_hz });
  switcher ??= new Switcher(context);
  await context.resume();
  session = newSession("abx", { first: comparison().first, second: comparison().second,
    cases: cases.map((one) => one.case), planned, complete: false, trials: [] });
  // Each case equally often, in random order; X, and which sound is called A, by lot each time.
  deal = statistics.shuffled(Array.from({ length: planned }, (_, turn) => cases[turn % cases.length]))
    .map((one) => ({ one, swapped: statistics.randomIndex(2) === 1,
      x: statistics.randomIndex(2) === 1 ? "B" : "A" }));
  showPart("test");
  await nextTrial(false);
}

async function nextTrial(playing) {
  const turn = session.trials.length, { one, swapped, x } = deal[turn];
  const names = swapped ? [one.second, one.first] : [one.first, one.second];
  const [a, b] = await Promise.all(names.map((name) => decoded(context, name)));
  switcher.load({ A: a, B: b, X: x === "A" ? a : b });
  heard = new Set();
  since = performance.now();
  element("turn").textContent = `Trial ${turn + 1} of ${session.planned}`;
  element("progress").max = session.planned;
  element("progress").value = turn;
  choose("A");
  if (playing) play(); else show();
  element("play").focus(); // an answer's button that goes dead would keep the keys
}

function play() {
  switcher.start(true);
  heard.add(switcher.chosen);
  show();
}

function choose(name) {
  switcher.choose(name);
  if (switcher.playing) heard.add(name);
  show();
}

function show() {
  for (const name of "ABX") {
    element(`sound-${name}`).setAttribute("aria-pressed", String(switcher.chosen === name));
  }
  element("play").textContent = switcher.playing ? "Stop" : "Play";
  const ready = heard.has("X") && heard.size > 1;
  element("is-A").disabled = element("is-B").disabled = !ready;
  element("hint").textContent = ready ? "" : "Listen to X and to A or B before you answer.";
}

async function answer(name) {
  if (element("is-A").disabled) return;
  element("is-A").disabled = element("is-B").disabled = true;
  const { one, swapped, x } = deal[session.trials.length], playing = switcher.playing;
  const method = (letter) => ((letter === "A") === swapped ? session.second : session.first);
  session.trials.push({ case: one.case, x: method(x), answer: method(name),
    correct: x === name, seconds: Math.round((performance.now() - since) / 100) / 10 });
  if (session.trials.length < session.planned) await nextTrial(playing); else end(true);
}

function end(complete) {
  switcher.stop();
  session.complete = complete;
  const trials = session.trials.length;
  const right = session.trials.filter((trial) => trial.correct).length;
  element("outcome").textContent = `${right} of ${trials} right`;
  const what = session.cases.length > 1 ? `${session.cases.length} cases, mixed` : session.cases[0];
  element("compared").textContent = `${session.first} against ${session.second}: ${what}`;
  element("verdict").replaceChildren(...verdict(right, trials, complete).map((line) => {
    const paragraph = document.createElement("p");
    paragraph.textContent = line;
    return paragraph;
  }));
  element("answers").replaceChildren(...session.trials.map((trial, turn) => tableRow(
    [`${turn + 1}. ${trial.case}`, `X was ${trial.x}`, trial.correct ? "right" : "wrong"])));
  finish(session, summed);
}

// What the count says and what it does not.
function verdict(right, trials, complete) {
  if (!complete) {
    return ["Stopped early: a test whose end is chosen while it runs has no p. It is kept, but "
      + "does not count."];
  }
  const p = statistics.binomialTail(right, trials), need = statistics.criticalCorrect(trials, 0.05);
  const lines = [`p = ${shownP(p)}: of listeners who only guess, this share gets ${right} or more `
    + `of ${trials} right (binomial, one-sided, exact).`];
  if (p <= 0.05) {
    lines.push("Guessing alone is an unlikely explanation: in this session, over this equipment, "
      + "a difference was heard. How large it is, and which is better, this test does not ask. "
      + "One session in twenty of pure guessing passes the usual mark of p ≤ 0.05: repeat it "
      + "before you rely on it.");
  } else {
    const chance = Math.round(100 * statistics.power(trials, 0.05, 0.7));
    lines.push(`No difference was shown (${need} right answers would have reached p ≤ 0.05). `
      + "That is no proof that there is none: a listener who is right 7 times in 10 passes a test "
      + `of ${trials} trials in ${chance} % of sessions only.`);
  }
  return lines;
}

onKey((key, event) => {
  if (key === "a" || key === "b" || key === "x") choose(key.toUpperCase());
  else if (key === " " && !event.target.matches?.("button, summary")) element("play").click();
  else if (key === "arrowleft") answer("A");
  else if (key === "arrowright") answer("B");
  else return false;
  return true;
});

LISTENING.comparisons.forEach((one, place) => {
  element("comparison").add(new Option(
    `${one.first} against ${one.second}${one.note && ` (${one.note})`}`, place));
});
element("comparison").onchange = fillCases;
element("trials").oninput = () => element("trials").setCustomValidity("");
element("begin").onclick = begin;
for (const name of "ABX") element(`sound-${name}`).onclick = () => choose(name);
element("play").onclick = () => {
  if (switcher.playing) { switcher.stop(); show(); } else play();
};
element("is-A").onclick = () => answer("A");
element("is-B").onclick = () => answer("B");
element("stop").onclick = () => end(false);
element("again").onclick = () => showPart("setup");
fillCases();
showStored(summed);
