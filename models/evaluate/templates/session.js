"use strict";
// What both listening pages do with a session: keep it in the browser, save it, list those before.
const element = (id) => document.getElementById(id);
const STORE = `purga-${document.documentElement.dataset.test}`;

function newSession(kind, more) {
  return { format: `purga-${kind}`, version: 1, session: statistics.randomName(),
    listener: element("listener").value.trim(), started: new Date().toISOString(),
    evaluation: LISTENING.evaluation, ...more };
}

function stored() {
  try { return JSON.parse(localStorage.getItem(STORE)) ?? []; } catch { return []; }
}

// Returns whether the browser took it: a private window may not.
function store(session) {
  try {
    localStorage.setItem(STORE, JSON.stringify([...stored(), session]));
    return true;
  } catch { return false; }
}

function download(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(
    new Blob([JSON.stringify(content, null, 2) + "\n"], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function fileName(session) {
  return `${session.format}-${session.started.slice(0, 10)}-${session.session}.json`;
}

// Fill a table row with text; the first cell is the row's head.
function tableRow(cells, kind = "number") {
  const row = document.createElement("tr");
  cells.forEach((cell, place) => {
    const box = document.createElement(place ? "td" : "th");
    if (place) box.className = kind; else box.scope = "row";
    box.append(cell);
    row.append(box);
  });
  return row;
}

// The sessions kept in this browser; `summed(session)` says one in a few words.
function showStored(summed) {
  const sessions = stored();
  element("stored").hidden = running || sessions.length === 0;
  element("stored-rows").replaceChildren(...sessions.map((session) => tableRow(
    [`${session.started.slice(0, 16).replace("T", " ")} ${session.listener}`, summed(session)], "")));
  element("save-all").onclick = () => download(sessions, `purga-${sessions.length}-sessions.json`);
  element("forget").onclick = () => {
    if (!confirm("Remove all sessions kept in this browser?")) return;
    localStorage.removeItem(STORE);
    showStored(summed);
  };
}

// End a session: store it and offer it as a file.
function finish(session, summed) {
  session.finished = new Date().toISOString();
  element("kept").textContent = store(session)
    ? "Kept in this browser. Save the file to hand it on."
    : "This browser does not keep it: save the file now.";
  element("save").onclick = () => download(session, fileName(session));
  showPart("result");
  showStored(summed);
}

// Show one of the page's parts: setup, test or result.
function showPart(name) {
  for (const part of ["setup", "test", "result"]) element(part).hidden = part !== name;
  running = name === "test";
  element("stored").hidden = running || stored().length === 0;
  element(`${name}-title`).focus();
}

let running = false;
addEventListener("beforeunload", (event) => { if (running) event.preventDefault(); });

// Keys go to the test only while no field is being filled in and no modifier is held.
function onKey(handle) {
  addEventListener("keydown", (event) => {
    if (!running || event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
    if (event.target.matches?.("input[type=text], input[type=number], select")) return;
    if (handle(event.key.toLowerCase(), event)) event.preventDefault();
  });
}

if (typeof LISTENING === "undefined") {
  explain(new Error("listening.js, which holds the sounds, is missing beside this page"));
}

// Words for an error that the listener should see rather than a page that does nothing.
function explain(error) {
  if (!element("trouble").hidden) return; // the first one is the cause of the others
  element("trouble").hidden = false;
  element("trouble").textContent = `The test cannot go on: ${error.message ?? error}`;
}
addEventListener("error", explain);
addEventListener("unhandledrejection", (event) => explain(event.reason));
