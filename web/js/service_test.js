/** The button that tries a profile or a host, and says what came of it, step by step. */

import { element } from "./elements.js";
import { test } from "./services.js";
import { say } from "./texts.js";

/** Return the button; what came of the test is written into `results`. It does nothing while a test is running. */
export function testButton(kind, name, results) {
  const button = element("button", { type: "button", "aria-label": say("test_named", { name }) }, say("test"));
  button.addEventListener("click", async () => {
    if (button.disabled) return;
    button.disabled = true;
    button.textContent = say("testing");
    results.replaceChildren(element("p", {}, say("testing")));
    results.replaceChildren(...(await outcome(kind, name)));
    button.disabled = false;
    button.textContent = say("test");
  });
  return button;
}

async function outcome(kind, name) {
  try {
    const { ok, steps } = await test(kind, name);
    return [verdict(ok), element("ol", {}, ...steps.map(stepLine))];
  } catch (error) {
    return [verdict(false), element("p", { class: "problem" }, error.message)];
  }
}

function verdict(ok) {
  return element("p", { class: ok ? "state ready" : "state not-ready" }, say(ok ? "works" : "fails"));
}

function stepLine({ step, ok, words }) {
  const state = element("span", { class: ok ? "state ready" : "state not-ready" }, say(ok ? "step_ok" : "step_failed"));
  return element("li", {}, element("span", { class: "name" }, step), ": ", state, words ? ` – ${words}` : "");
}
