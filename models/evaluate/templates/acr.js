"use strict";
// Absolute category rating (ITU-T P.800, annex B): one sound at a time, five words.
let context, switcher, session, order, whole, plays, since;

const rating = () => document.querySelector("input[name=rating]:checked");
const choices = () => document.querySelectorAll("input[name=rating]");
const caseName = (sound) => `${sound.case} at ${sound.position}`;

function sequence() {
  const wanted = Number(element("cases").value);
  const names = [...new Set(LISTENING.rating.items.map((name) => LISTENING.sounds[name].case))];
  const drawn = new Set(statistics.shuffled(names).slice(0, wanted));
  const items = LISTENING.rating.items.filter((name) => drawn.has(LISTENING.sounds[name].case));
  return [...statistics.shuffled(LISTENING.rating.practice).map((name) => [name, true]),
    ...statistics.shuffled(items).map((name) => [name, false])];
}

function summed(one) {
  const kept = one.ratings.filter((vote) => !vote.practice);
  return `${kept.length} rated${one.complete ? "" : ", stopped early"}`;
}

async function begin() {
  context ??= new AudioContext({ sampleRate: LISTENING.rate_hz });
  switcher ??= new Switcher(context);
  switcher.onended = () => { whole = true; show(); };
  await context.resume();
  order = sequence();
  session = newSession("acr", { scale: LISTENING.rating.scale, complete: false, ratings: [] });
  showPart("test");
  await nextSound();
}

async function nextSound() {
  const turn = session.ratings.length, [name, practice] = order[turn];
  const sound = await decoded(context, name);
  switcher.load({ sound });
  whole = false;
  plays = 0;
  for (const choice of choices()) choice.checked = false;
  const first = LISTENING.rating.practice.length;
  element("turn").textContent = practice
    ? `Practice ${turn + 1} of ${first}: does not count`
    : `Sound ${turn - first + 1} of ${order.length - first}`;
  element("progress").max = order.length;
  element("progress").value = turn;
  since = performance.now();
  show();
  element("play").focus(); // a field that goes dead would keep the keys
}

function show() {
  element("play").textContent = switcher.playing ? "Playing…" : whole ? "Play again" : "Play";
  for (const choice of choices()) choice.disabled = !whole;
  element("next").disabled = !whole || !rating();
  element("hint").textContent = whole ? "" : "Hear it to its end, then rate it.";
}

function play() {
  if (switcher.playing) return;
  plays += 1;
  switcher.start(false);
  show();
}

async function next() {
  if (element("next").disabled) return;
  element("next").disabled = true;
  const [name, practice] = order[session.ratings.length], sound = LISTENING.sounds[name];
  session.ratings.push({ case: caseName(sound), method: sound.method, practice,
    rating: Number(rating().value), plays,
    seconds: Math.round((performance.now() - since) / 100) / 10 });
  switcher.stop();
  if (session.ratings.length < order.length) await nextSound(); else end(true);
}

function end(complete) {
  switcher.stop();
  session.complete = complete;
  const votes = new Map();
  for (const vote of session.ratings.filter((one) => !one.practice)) {
    votes.set(vote.method, [...(votes.get(vote.method) ?? []), vote.rating]);
  }
  const rows = [...votes].map(([method, ratings]) => [method, statistics.opinion(ratings)])
    .sort((one, other) => other[1].mean - one[1].mean);
  element("scores").replaceChildren(...rows.map(([method, { count, mean, half }]) => tableRow(
    [method, String(count), mean.toFixed(2), interval(mean, half), drawn(mean, half)])));
  element("scores-table").hidden = rows.length === 0;
  element("rated").textContent = rows.length === 0 ? "Nothing was rated."
    : (complete ? "" : "Stopped early: what was rated stands, but methods may be heard unequally "
      + "often. ") + "One listener's opinion of these few sounds over this equipment. The "
      + "interval is that of the mean over this listener's ratings (Student's t, cut at the ends "
      + "of the scale); where two intervals overlap, the order may be chance. Pool several listeners before you quote it.";
  finish(session, summed);
}

// The interval in figures; no score lies off the scale, so it ends there.
function interval(mean, half) {
  if (half === null) return "one rating";
  return `${Math.max(1, mean - half).toFixed(2)} … ${Math.min(5, mean + half).toFixed(2)}`;
}

// The interval as a bar and the mean as a dot on the line from 1 to 5.
function drawn(mean, half) {
  const place = (score) => 25 * (Math.min(5, Math.max(1, score)) - 1);
  const box = document.createElement("div"), bar = document.createElement("i");
  const dot = document.createElement("b");
  box.className = "span";
  box.setAttribute("aria-hidden", "true");
  bar.style.left = `${place(mean - (half ?? 0))}%`;
  bar.style.right = `${100 - place(mean + (half ?? 0))}%`;
  dot.style.left = `${place(mean)}%`;
  box.append(bar, dot);
  return box;
}

onKey((key, event) => {
  if (key === " " && !event.target.matches?.("button, summary")) play();
  else if (key === "enter" && !event.target.matches?.("button, summary")) next();
  else if (whole && "12345".includes(key)) {
    const choice = [...choices()].find((one) => one.value === key);
    choice.checked = true;
    choice.focus();
    show();
  } else return false;
  return true;
});

const cases = new Set(LISTENING.rating.items.map((name) => LISTENING.sounds[name].case)).size;
for (let count = cases; count > 0; count -= 1) {
  const sounds = Math.round(LISTENING.rating.items.length * count / cases);
  const minutes = Math.ceil(sounds * (LISTENING.seconds + 4) / 60);
  element("cases").add(new Option(
    `${count === cases ? "all" : count} (about ${sounds} sounds, ${minutes} min)`, count));
}
element("begin").onclick = begin;
element("play").onclick = play;
element("next").onclick = next;
element("stop").onclick = () => end(false);
element("again").onclick = () => showPart("setup");
for (const choice of choices()) choice.onchange = show;
showStored(summed);
