"use strict";

const count = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });
const find = (id) => document.getElementById(id);

/** An element with a class and text; text never becomes markup. */
function make(tag, className, text) {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** Ask the API. Returns the answer; throws an Error with the API's own words, or that it cannot be reached. */
async function ask(path) {
  let response;
  try {
    response = await fetch(path);
  } catch {
    throw new Error("The server cannot be reached. Is it still running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error || `The server answered ${response.status}.`);
  return answer;
}

function showAnswer(box, answer, heading) {
  box.replaceChildren(
    make("div", "detail", heading),
    make("div", "number", `${count.format(answer.volume)} shares`),
    make("div", "detail", `80% interval: ${count.format(answer.low)} to ${count.format(answer.high)}`),
  );
  if (answer.in_range === false) {
    box.append(make("div", "warning", "Outside of what training has seen: take it with more than a grain of salt."));
  }
}

function showError(box, error) {
  box.replaceChildren(make("div", "error", error.message));
}

function draw(name, attributes, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

/** Recent volume as bars, its 30-day mean as a line, the forecast with its interval at the right. */
function drawChart(forecast) {
  const { dates, volume, vol_moving_avg: mean } = forecast.recent;
  const svg = find("chart").querySelector("svg");
  find("chart").hidden = false;
  const width = Math.max(280, svg.clientWidth); // one unit is one pixel, so that labels are readable on a phone
  svg.setAttribute("viewBox", `0 0 ${width} 260`);
  const [left, right, top, bottom] = [48, width - 4, 14, 222];
  const most = Math.max(...volume, forecast.high) || 1;
  const step = (right - left) / (volume.length + 2);
  const x = (index) => left + (index + 0.5) * step;
  const y = (value) => bottom - (value / most) * (bottom - top);
  svg.replaceChildren();
  for (const part of [0, 0.5, 1]) {
    draw("line", { class: "axis", x1: left, x2: right, y1: y(most * part), y2: y(most * part) }, svg);
    draw("text", { x: left - 8, y: y(most * part) + 4, "text-anchor": "end" }, svg).textContent = short.format(most * part);
  }
  volume.forEach((value, index) =>
    draw("rect", { class: "bar", x: x(index) - step * 0.4, y: y(value), width: step * 0.8, height: bottom - y(value) }, svg));
  const points = mean.map((value, index) => (value === null ? null : `${x(index)},${y(value)}`)).filter(Boolean);
  draw("polyline", { class: "mean", points: points.join(" ") }, svg);
  const at = x(volume.length + 0.5);
  draw("line", { class: "range", x1: at, x2: at, y1: y(forecast.low), y2: y(forecast.high) }, svg);
  draw("circle", { class: "point", cx: at, cy: y(forecast.volume), r: 5 }, svg);
  draw("text", { x: left, y: 246 }, svg).textContent = dates[0];
  draw("text", { x: right, y: 246, "text-anchor": "end" }, svg).textContent = forecast.date;
  find("chart-text").textContent =
    `${forecast.symbol}: the last ${volume.length} days of Volume (bars), their 30-day mean (line), and the forecast for ` +
    `${forecast.date} with its 80% interval (dot and stroke).`;
}

async function submitForecast(event) {
  event.preventDefault();
  const box = find("forecast-answer");
  find("chart").hidden = true;
  const text = find("symbol").value.trim();
  try {
    const forecast = await ask(`/forecast/${encodeURIComponent(text)}`);
    const name = forecast.name ? `${forecast.symbol}, ${forecast.name}` : forecast.symbol;
    showAnswer(box, forecast, `${name}, on ${forecast.date}`);
    drawChart(forecast);
  } catch (error) {
    showError(box, error);
  }
}

async function submitPrediction(event) {
  event.preventDefault();
  const box = find("predict-answer");
  const question = new URLSearchParams({
    vol_moving_avg: find("vol_moving_avg").value.trim(),
    adj_close_rolling_med: find("adj_close_rolling_med").value.trim(),
    detail: "true",
  });
  try {
    showAnswer(box, await ask(`/predict?${question}`), "Predicted Volume of the day");
  } catch (error) {
    showError(box, error);
  }
}

let typing;
function complete() {
  clearTimeout(typing);
  typing = setTimeout(async () => {
    const { symbols } = await ask(`/symbols?q=${encodeURIComponent(find("symbol").value)}`).catch(() => ({ symbols: [] }));
    find("symbols").replaceChildren(...symbols.map(({ symbol, name }) => {
      const option = document.createElement("option");
      option.value = symbol;
      option.label = name;
      return option;
    }));
  }, 150);
}

function prepareCode() {
  for (const block of document.querySelectorAll("pre[data-line]")) {
    block.textContent = block.dataset.line.replaceAll("{origin}", location.origin);
  }
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(find(button.dataset.copy).textContent);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }
}

find("predict-form").addEventListener("submit", submitPrediction);
if (find("forecast-form")) {
  find("forecast-form").addEventListener("submit", submitForecast);
  find("symbol").addEventListener("input", complete);
  complete();
}
prepareCode();
