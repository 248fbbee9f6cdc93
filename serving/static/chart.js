"use strict";

const count = new Intl.NumberFormat("en-US");
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });

function draw(name, attributes, parent) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

/** Text that is shown where the pointer rests. */
function explain(element, text) {
  draw("title", {}, element).textContent = text;
}

/** The smallest of 1, 2 and 5 times a power of ten that divides `most` into four parts at most. */
function chooseStep(most) {
  const power = 10 ** Math.floor(Math.log10(most / 4));
  return [1, 2, 5, 10].map((digit) => digit * power).find((step) => most / step <= 4);
}

/** Days side by side over a scale of shares. One unit is one pixel, so that labels are readable on a phone. */
class Chart {
  /** most: the largest value that is drawn. places: how many days there is room for. */
  constructor(svg, height, most, places) {
    this.svg = svg;
    const width = Math.max(280, svg.clientWidth);
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    [this.left, this.right, this.top, this.bottom, this.foot] = [48, width - 4, 14, height - 38, height - 14];
    this.most = most || 1;
    this.step = (this.right - this.left) / places;
    svg.replaceChildren();
    for (let value = 0, each = chooseStep(this.most); value <= this.most; value += each) {
      const y = this.y(value);
      draw("line", { class: "axis", x1: this.left, x2: this.right, y1: y, y2: y }, svg);
      draw("text", { x: this.left - 8, y: y + 4, "text-anchor": "end" }, svg).textContent = short.format(value);
    }
  }

  x(index) {
    return this.left + (index + 0.5) * this.step;
  }

  y(value) {
    return this.bottom - (value / this.most) * (this.bottom - this.top);
  }

  drawBar(index, value, told) {
    const [y, width] = [this.y(value), this.step * 0.8];
    const bar = { class: "bar", x: this.x(index) - width / 2, y, width, height: this.bottom - y };
    explain(draw("rect", bar, this.svg), told);
  }

  /** values: of each day, null where there is none. */
  drawLine(values) {
    const points = values.map((value, index) => (value === null ? null : `${this.x(index)},${this.y(value)}`));
    draw("polyline", { class: "mean", points: points.filter(Boolean).join(" ") }, this.svg);
  }

  /** A dot on the stroke of its interval. */
  drawForecast(index, { volume, low, high }, told) {
    const x = this.x(index);
    explain(draw("line", { class: "range", x1: x, x2: x, y1: this.y(low), y2: this.y(high) }, this.svg), told);
    explain(draw("circle", { class: "point", cx: x, cy: this.y(volume), r: 4.5 }, this.svg), told);
  }

  nameEnds(first, last) {
    draw("text", { x: this.left, y: this.foot }, this.svg).textContent = first;
    draw("text", { x: this.right, y: this.foot, "text-anchor": "end" }, this.svg).textContent = last;
  }
}
