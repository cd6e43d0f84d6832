"use strict";
for (const mixer of document.querySelectorAll(".mixer")) {
  const range = mixer.querySelector("input");
  const figure = mixer.closest("figure");
  const mix = () => figure.style.setProperty("--mix", range.value / 100);
  range.addEventListener("input", mix);
  mixer.hidden = false;
  mix();
}

const scrub = document.querySelector(".scrub");
if (scrub) {
  const timeline = scrub.closest(".timeline");
  const step = document.getElementById("step");
  const said = document.getElementById("said");
  const cells = [...document.querySelectorAll("#samples rect")];
  const places = cells.map((cell) => Number(cell.dataset.at));
  const show = () => {
    const words = cells[step.value].textContent;
    said.textContent = words;
    step.setAttribute("aria-valuetext", words);
    timeline.style.setProperty("--at", `${100 * places[step.value]}%`);
  };
  step.addEventListener("input", show);
  timeline.addEventListener("pointermove", (event) => {
    const plot = scrub.querySelector(".plot").getBoundingClientRect();
    const share = (event.clientX - plot.left) / plot.width;
    if (event.target === step || share < 0 || share > 1) return;
    const distance = (k) => Math.abs(places[k] - share);
    step.value = places.reduce((best, _, k) => (distance(k) < distance(best) ? k : best), 0);
    show();
  });
  scrub.hidden = false;
  timeline.classList.add("live");
  show();
}
