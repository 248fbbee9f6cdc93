"use strict";

const element = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const FEATURES = ["vol_moving_avg", "adj_close_rolling_med"];

async function ask(address) {
  let response;
  try {
    response = await fetch(address);
  } catch {
    throw new Error("The server does not answer. Is it still running, and are you online?");
  }
  if (response.ok) return response.json();
  const body = await response.json().catch(() => ({}));
  const error = new Error(body.error || `The server answered ${response.status}.`);
  error.field = body.field;
  throw error;
}

function showAnswer(question, answer) {
  element("question").textContent = question;
  element("volume").textContent = whole.format(answer.volume);
  element("interval").textContent =
    `Four times of five between ${whole.format(answer.low)} and ${whole.format(answer.high)}.`;
  element("warning").hidden = answer.in_range !== false;
  element("warning").textContent = "Training has seen no values like these: take the answer with care.";
  element("figure").hidden = !answer.recent;
  if (answer.recent) drawChart(answer);
  element("result").hidden = false;
}

function showError(error) {
  element("result").hidden = true;
  element("error").textContent = error.message;
  element("error").hidden = false;
  const field = error.field && element(error.field);
  if (field) {
    field.setAttribute("aria-invalid", "true");
    field.focus();
  }
}

function clearError() {
  element("error").hidden = true;
  for (const name of FEATURES) element(name).removeAttribute("aria-invalid");
}

/** Bars of the recent volume, its 30-day mean as a line, and the forecast as a point on its interval. */
function drawChart(answer) {
  const chart = element("chart");
  const [width, height, left, bottom] = [720, 260, 56, 28];
  const { dates, volume, vol_moving_avg: mean } = answer.recent;
  const top = Math.max(...volume, answer.high) * 1.05 || 1;
  const step = (width - left) / (volume.length + 2);
  const x = (index) => left + (index + 0.5) * step;
  const y = (value) => (height - bottom) * (1 - value / top);
  chart.querySelectorAll(":not(title)").forEach((node) => node.remove());
  chart.querySelector("title").textContent =
    `Volume of ${answer.symbol} from ${dates[0]} to ${dates.at(-1)}, and the forecast for ${answer.date}`;
  const draw = (name, attributes, text) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    chart.append(node);
  };
  for (const share of [0, 0.5, 1]) {
    const value = (top / 1.05) * share;
    draw("line", { class: "axis", x1: left, x2: width, y1: y(value), y2: y(value) });
    draw("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, short.format(value));
  }
  volume.forEach((value, index) =>
    draw("rect", { class: "bar", x: x(index) - step * 0.38, width: step * 0.76, y: y(value), height: y(0) - y(value) }));
  const points = mean.flatMap((value, index) => (value === null ? [] : [`${x(index)},${y(value)}`]));
  draw("polyline", { class: "line", points: points.join(" ") });
  const last = volume.length + 0.5;
  draw("rect", { class: "band", x: x(last) - step, width: step * 2, y: y(answer.high), height: y(answer.low) - y(answer.high), rx: 3 });
  draw("circle", { class: "point", cx: x(last), cy: y(answer.volume), r: 5 });
  draw("text", { x: left, y: height - 6 }, dates[0]);
  draw("text", { x: width, y: height - 6, "text-anchor": "end" }, answer.date);
}

function showPrograms(path) {
  const address = new URL(path, location.href).href;
  const remote = !["localhost", "127.0.0.1"].includes(location.hostname);
  const header = remote ? ' -H "X-Key: KEY-OF-YOUR-LINK"' : "";
  element("curl").textContent = `curl${header} '${address}'`;
  element("python").textContent = remote
    ? `import requests\nrequests.get("${address}", headers={"X-Key": "KEY-OF-YOUR-LINK"}).json()`
    : `import requests\nrequests.get("${address}").json()`;
}

async function predict(event) {
  event.preventDefault();
  clearError();
  const values = new URLSearchParams(FEATURES.map((name) => [name, element(name).value.trim().replaceAll(",", "")]));
  showPrograms(`predict?${values}`);
  try {
    const answer = await ask(`predict?${values}&detail=true`);
    showAnswer("A day with these two features", answer);
  } catch (error) {
    showError(error);
  }
}

async function forecast(event) {
  event.preventDefault();
  clearError();
  const symbol = element("symbol").value.trim();
  const path = `forecast/${encodeURIComponent(symbol)}`;
  showPrograms(path);
  try {
    const answer = await ask(path);
    showAnswer(`${answer.symbol}${answer.name ? `, ${answer.name}` : ""}, on ${answer.date}`, answer);
  } catch (error) {
    showError(error);
  }
}

let typed = 0;
function complete() {
  clearTimeout(typed);
  typed = setTimeout(async () => {
    const found = await ask(`symbols?q=${encodeURIComponent(element("symbol").value)}`).catch(() => ({ symbols: [] }));
    element("symbols").replaceChildren(...found.symbols.map(({ symbol, name }) => {
      const option = document.createElement("option");
      option.value = symbol;
      option.label = name ? `${symbol}: ${name}` : symbol;
      return option;
    }));
  }, 150);
}

async function showModel() {
  const model = await ask("model");
  const { models, test_from: from } = model.metrics.same_day ?? { models: {} };
  element("champion").textContent =
    `The model “${model.champion.replaceAll("_", " ")}”, trained on days from ${model.trained[0]} to ${model.trained[1]}` +
    (from ? `; tested on the days from ${from} on, which it had not seen.` : ".");
  const ranked = Object.entries(models).sort((one, other) => one[1].mae - other[1].mae);
  for (const [name, { mae }] of ranked) {
    const row = element("scores").tBodies[0].insertRow();
    const title = document.createElement("th");
    title.scope = "row";
    title.textContent = name.replaceAll("_", " ");
    row.append(title);
    row.insertCell().textContent = short.format(mae);
    const change = models.naive ? (mae / models.naive.mae - 1) * 100 : 0;
    row.insertCell().textContent = name === "naive" ? "" : `${change > 0 ? "+" : "−"}${Math.abs(change).toFixed(1)}%`;
    row.classList.toggle("best", name === model.champion);
  }
  element("scores").hidden = !ranked.length;
}

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const label = button.textContent;
    await navigator.clipboard.writeText(element(button.dataset.from).textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}
element("predict-form").addEventListener("submit", predict);
element("forecast-form").addEventListener("submit", forecast);
element("symbol").addEventListener("input", complete);
showPrograms("predict?vol_moving_avg=1200000&adj_close_rolling_med=25");
showModel().catch(showError);
complete();
