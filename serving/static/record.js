"use strict";

/** Beside a symbol's forecast: its last forecasts, each with its interval, against the Volume that came. */
async function showRecord(symbol) {
  const figure = find("record");
  figure.hidden = true;
  const past = await askFor(figure, () => ask(`track-record/${encodeURIComponent(symbol)}`).catch(() => null));
  if (!past?.dates.length) return;
  figure.hidden = false;
  const most = Math.max(...past.high, ...past.actual);
  const chart = new Chart(figure.querySelector("svg"), 200, most, Math.max(5, past.dates.length));
  past.dates.forEach((date, index) => {
    const forecast = { volume: past.volume[index], low: past.low[index], high: past.high[index] };
    const told = `${date}: ${count.format(past.actual[index])} shares came; forecast ${count.format(forecast.volume)}, ` +
      `${count.format(forecast.low)} to ${count.format(forecast.high)}`;
    chart.drawBar(index, past.actual[index], told);
    chart.drawForecast(index, forecast, told);
  });
  chart.nameEnds(past.dates[0], past.dates.at(-1));
  const inside = past.actual.filter((value, index) => past.low[index] <= value && value <= past.high[index]).length;
  const made = past.replay ? "A replay: made afterwards, from what was known before each day." : "Each was published before its day.";
  const which = past.dates.length === 1 ? "the last forecast with its 80% interval (dot and stroke)"
    : `the last ${past.dates.length} forecasts with their 80% intervals (dots and strokes)`;
  find("record-text").textContent =
    `${past.symbol}: ${which} against the Volume that came (bars); ${inside} of ${past.dates.length} lay inside. ${made}`;
}

document.addEventListener("forecast", (event) => showRecord(event.detail));
