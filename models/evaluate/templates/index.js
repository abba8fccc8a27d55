"use strict";
// A click on a spectrogram plays it; another one of the same case goes on from the same moment.
for (const box of document.querySelectorAll(".case")) {
  const player = box.querySelector("audio"), what = box.querySelector(".what");
  const tiles = box.querySelectorAll(".tiles button");
  for (const tile of tiles) {
    tile.addEventListener("click", () => {
      const same = tile.getAttribute("aria-pressed") === "true";
      if (same && !player.paused) { player.pause(); return; }
      const at = player.ended ? 0 : player.currentTime;
      for (const other of document.querySelectorAll("audio")) if (other !== player) other.pause();
      if (!same) {
        player.src = tile.dataset.file;
        player.addEventListener("loadedmetadata", () => { player.currentTime = at; }, { once: true });
      }
      for (const other of tiles) other.setAttribute("aria-pressed", String(other === tile));
      what.textContent = tile.getAttribute("aria-label");
      player.play();
    });
  }
}
