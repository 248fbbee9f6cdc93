"use strict";

/** Beside a symbol's forecast: its last forecasts, each with its interval, against the Volume that came. */
async function showRecord(symbol) {
  const figure = find("record");
  figure.hidden = true;
  const past = await ask(`track-record/${encodeURIComponent(symbol)}`).catch(() => null);
  if (!past?.dates.length) return;
  figure.hidden = false;
  const svg = figure.querySelector("svg");
  const width = Math.max(280, svg.clientWidth);
  svg.setAttribute("viewBox", `0 0 ${width} 200`);
  const [left, right, top, bottom] = [48, width - 4, 12, 166];
  const most = Math.max(...past.high, ...past.actual) || 1;
  const step = (right - left) / Math.max(5, past.dates.length);
  const x = (index) => left + (index + 0.5) * step;
  const y = (value) => bottom - (value / most) * (bottom - top);
  svg.replaceChildren();
  for (let value = 0, each = chooseStep(most); value <= most; value += each) {
    draw("line", { class: "axis", x1: left, x2: right, y1: y(value), y2: y(value) }, svg);
    draw("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, svg).textContent = short.format(value);
  }
  past.dates.forEach((date, index) => {
    const told = `${date}: ${count.format(past.actual[index])} shares came; forecast ${count.format(past.volume[index])}, ` +
      `${count.format(past.low[index])} to ${count.format(past.high[index])}`;
    const bar = { class: "bar", x: x(index) - step * 0.35, width: step * 0.7, y: y(past.actual[index]), height: bottom - y(past.actual[index]) };
    explain(draw("rect", bar, svg), told);
    explain(draw("line", { class: "range", x1: x(index), x2: x(index), y1: y(past.low[index]), y2: y(past.high[index]) }, svg), told);
    explain(draw("circle", { class: "point", cx: x(index), cy: y(past.volume[index]), r: 4 }, svg), told);
  });
  draw("text", { x: left, y: 190 }, svg).textContent = past.dates[0];
  draw("text", { x: right, y: 190, "text-anchor": "end" }, svg).textContent = past.dates.at(-1);
  const inside = past.actual.filter((value, index) => past.low[index] <= value && value <= past.high[index]).length;
  const made = past.replay ? "A replay: made afterwards, from what was known before each day." : "Each was published before its day.";
  find("record-text").textContent =
    `${past.symbol}: the last ${past.dates.length} forecasts with their 80% intervals (dots and strokes) against the Volume that came (bars); ` +
    `${inside} of ${past.dates.length} lay inside. ${made}`;
}

document.addEventListener("forecast", (event) => showRecord(event.detail));
