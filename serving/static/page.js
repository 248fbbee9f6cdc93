"use strict";

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

const newest = new Map(); // a box -> the number of the newest question whose answer belongs there

/** Ask on behalf of a box. Returns the answer, or null when the box has been asked something newer meanwhile. */
async function askFor(box, asking) {
  const turn = (newest.get(box) || 0) + 1;
  newest.set(box, turn);
  try {
    const answer = await asking();
    return newest.get(box) === turn ? answer : null;
  } catch (error) {
    if (newest.get(box) === turn) showError(box, error);
    return null;
  }
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

/** A number as people write it, 20,000,000 or 20 000 000, as the API takes it. Anything else stays for the API to judge. */
function readNumber(id) {
  const text = find(id).value.trim();
  return /^[+-]?\d{1,3}([,\s'’]\d{3})+(\.\d+)?$/.test(text) ? text.replace(/[,\s'’]/g, "") : text;
}

/** Recent volume as bars, its 30-day mean as a line, the forecast with its interval at the right. */
function drawChart(forecast) {
  const { dates, volume, vol_moving_avg: mean } = forecast.recent;
  find("chart").hidden = false;
  const most = Math.max(...volume, forecast.high);
  const chart = new Chart(find("chart").querySelector("svg"), 260, most, volume.length + 2);
  volume.forEach((value, index) => chart.drawBar(index, value, `${dates[index]}: ${count.format(value)} shares`));
  chart.drawLine(mean);
  const told = `${forecast.date}: ${count.format(forecast.volume)} shares, ${count.format(forecast.low)} to ${count.format(forecast.high)}`;
  chart.drawForecast(volume.length + 0.5, forecast, told);
  chart.nameEnds(dates[0], forecast.date);
  find("chart-text").textContent =
    `${forecast.symbol}: the last ${volume.length} days of Volume (bars), their 30-day mean (line), and the forecast for ` +
    `${forecast.date} with its 80% interval (dot and stroke).`;
}

async function submitForecast(event) {
  event.preventDefault();
  const box = find("forecast-answer");
  find("chart").hidden = find("record").hidden = true;
  const found = await askFor(box, async () => {
    const [symbol, others] = await findSymbol(find("symbol").value.trim());
    return others.length ? { others } : { forecast: await ask(`forecast/${encodeURIComponent(symbol)}`) };
  });
  if (found?.others) suggest(box, found.others);
  if (!found?.forecast) return;
  const { forecast } = found;
  const name = forecast.name ? `${forecast.symbol}, ${forecast.name}` : forecast.symbol;
  const ended = forecast.date < find("forecast-form").dataset.day; // delisted, or its file is late
  showAnswer(box, forecast, `${name}, on ${forecast.date}${ended ? ": its prices end before those of others" : ""}`);
  drawChart(forecast);
  document.dispatchEvent(new CustomEvent("forecast", { detail: forecast.symbol }));
}

/** The symbol that a text means: itself, or the only one whose name holds it. Else the text, and those that it may mean. */
async function findSymbol(text) {
  const { symbols } = await ask(`symbols?q=${encodeURIComponent(text.slice(0, 40))}`);
  if (symbols.some(({ symbol }) => symbol === text.toUpperCase() || symbol === text)) return [text, []];
  return symbols.length === 1 ? [symbols[0].symbol, []] : [text, symbols];
}

/** Offer the symbols that a text may mean. */
function suggest(box, symbols) {
  const choices = make("div", "suggest", "");
  for (const { symbol, name } of symbols) {
    const choice = make("button", "", name ? `${symbol}, ${name}` : symbol);
    choice.type = "button";
    choice.addEventListener("click", () => {
      find("symbol").value = symbol;
      find("forecast-form").requestSubmit();
    });
    choices.append(choice);
  }
  box.replaceChildren(make("div", "detail", "Did you mean"), choices);
}

async function submitPrediction(event) {
  event.preventDefault();
  const box = find("predict-answer");
  const question = new URLSearchParams({
    vol_moving_avg: readNumber("vol_moving_avg"),
    adj_close_rolling_med: readNumber("adj_close_rolling_med"),
    detail: "true",
  });
  const answer = await askFor(box, () => ask(`predict?${question}`));
  if (answer) showAnswer(box, answer, "Predicted Volume of the day");
}

let typing;
function complete() {
  clearTimeout(typing);
  typing = setTimeout(async () => {
    const { symbols } = await ask(`symbols?q=${encodeURIComponent(find("symbol").value)}`).catch(() => ({ symbols: [] }));
    find("symbols").replaceChildren(...symbols.map(({ symbol, name }) => {
      const option = document.createElement("option");
      option.value = symbol;
      option.label = name;
      return option;
    }));
  }, 150);
}

/** Copy an element's text. Without https a browser has no clipboard for pages: then the text is selected. */
async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return false;
  }
}

function prepareCode() {
  for (const block of document.querySelectorAll("pre[data-line]")) {
    block.textContent = block.dataset.line.replaceAll("{origin}", new URL(".", location.href).href.slice(0, -1));
  }
  for (const button of document.querySelectorAll(".copy")) {
    button.addEventListener("click", async () => {
      button.textContent = (await copy(find(button.dataset.copy))) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 2500);
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
