/** The form that hands a service and its key to the server. It forgets what was typed the moment it is sent. */

import { element, freshId } from "./elements.js";
import { add } from "./services.js";
import { say } from "./texts.js";

const KEYS = ["app_key", "app_secret"];

/** Return the form; `onAdded(name)` is called when the server has taken the profile. */
export function keyForm(machine, onAdded) {
  const answer = element("p", { class: "problem", role: "alert" });
  const button = element("button", { type: "submit" }, say("add"));
  const form = element(
    "form",
    { autocomplete: "off", onsubmit: (event) => send(event, form, button, answer, onAdded) },
    element("p", { class: "hint" }, say("add_where")),
    field("name", { placeholder: say("name_hint") }),
    field("create_url", { type: "url", placeholder: "https://…" }),
    field("result_url", { type: "text", inputmode: "url", placeholder: `https://… ${say("result_hint")}` }),
    field("app_key"),
    field("app_secret", { type: "password" }),
    hostField(machine.hosts),
    element("div", { class: "buttons" }, button),
    answer,
  );
  // the page pastes what it gets into the graph, and has keys of its own
  for (const kind of ["paste", "copy", "cut"]) form.addEventListener(kind, (event) => event.stopPropagation());
  form.addEventListener("keydown", (event) => event.key !== "Escape" && event.stopPropagation());
  return form;
}

function field(name, properties = {}) {
  const id = freshId(name);
  const input = { id, name, type: "text", required: true, autocomplete: "off", spellcheck: "false", ...properties };
  return element("div", { class: "field" }, element("label", { for: id }, say(name)), element("input", input));
}

function hostField(hosts) {
  const id = freshId("host");
  const choices = [element("option", { value: "" }, say("host_auto"))];
  for (const host of hosts) choices.push(element("option", { value: host.name }, host.name));
  const select = element("select", { id, name: "host" }, ...choices);
  return element("div", { class: "field" }, element("label", { for: id }, say("host")), select);
}

async function send(event, form, button, answer, onAdded) {
  event.preventDefault();
  if (button.disabled) return;
  const { name, ...profile } = Object.fromEntries(new FormData(form));
  if (!profile.host) delete profile.host;
  for (const key of KEYS) form.elements[key].value = ""; // before anything can go wrong
  button.disabled = true;
  button.textContent = say("adding");
  answer.textContent = "";
  try {
    await add(name.trim(), profile);
    form.reset();
    onAdded(name.trim());
  } catch (error) {
    answer.textContent = `${error.message} ${say("type_again")}`;
    form.elements.app_key.focus();
  } finally {
    button.disabled = false;
    button.textContent = say("add");
  }
}
