"use strict";

const LONGEST = 600; // characters of an answer that are shown

/** Show each example as a command, ask it, and show what this server answers. */
async function askExamples() {
  for (const example of document.querySelectorAll("pre.try")) {
    const { method, address, type, body } = example.dataset;
    const url = new URL(address, location.href).href;
    example.textContent = body
      ? `curl '${url}' -H 'Content-Type: ${type}' --data-binary '${body}'`
      : `curl '${url}'`;
    const options = body ? { method, body, headers: { "Content-Type": type } } : {};
    const answered = example.nextElementSibling;
    try {
      const response = await fetch(url, options);
      const text = (await response.text()).trim();
      answered.textContent = `${response.status}  ${text.length > LONGEST ? `${text.slice(0, LONGEST)} …` : text}`;
    } catch {
      answered.textContent = "The server cannot be reached. Is it still running?";
    }
  }
}

askExamples();
