/** The settings section: what "auto" means here, which profiles and hosts work, and how to add a key. */

import { refreshCombos } from "./combos.js";
import { addStyle, element } from "./elements.js";
import { keyForm } from "./key_form.js";
import { drawsHere, overview, remove } from "./services.js";
import { testButton } from "./service_test.js";
import { settle } from "./shared_workflow.js";
import { say } from "./texts.js";

/** Return the section; it fills itself when the server has answered. */
export function drawServices() {
  addStyle();
  const section = element("section", { class: "portrait-cartoonize-services", "aria-label": say("title") });
  section.append(element("p", {}, say("loading")));
  draw(section);
  return section;
}

async function draw(section, news = "") {
  let content;
  try {
    content = parts(await overview(), section);
  } catch (error) {
    content = [element("p", { class: "problem", role: "alert" }, say("unread", { problem: error.message }))];
  }
  const told = element("p", { class: "news", role: "status", tabindex: "-1" }, news);
  section.replaceChildren(told, ...content);
  if (news) told.focus(); // what had the focus is gone
}

function parts(machine, section) {
  const auto = drawsHere(machine) ? "auto_is_local" : "auto_is_service";
  const hasService = machine.profiles.some((profile) => profile.kind === "service");
  return [
    element("p", { class: "auto" }, say(auto, { name: machine.auto })),
    hasService ? null : element("p", { class: "hint" }, say("first_run")),
    machine.problem ? element("p", { class: "problem", role: "alert" }, machine.problem) : null,
    element("h4", {}, say("profiles")),
    element("ul", {}, ...machine.profiles.map((profile) => profileRow(machine, profile, section))),
    element("h4", {}, say("hosts")),
    element("ul", {}, ...machine.hosts.map(hostRow)),
    adding(machine, section),
    element("p", { class: "hint" }, say("config_file"), " ", element("code", {}, machine.config_file)),
  ].filter(Boolean);
}

function profileRow(machine, profile, section) {
  const traits = [say(profile.kind), profile.style && say(profile.style)];
  if (profile.host) traits.push(say("uses_host", { name: profile.host }));
  if (profile.name === machine.auto) traits.push(say("is_auto"));
  return row("profiles", profile, traits, profile.removable ? removeButton(profile.name, section) : null);
}

function hostRow(host) {
  return row("hosts", host, [host.kind, host.public && say("public"), host.auto && say("is_auto")], null);
}

function row(kind, entry, traits, extra) {
  const state = element(
    "span",
    { class: entry.ready ? "state ready" : "state not-ready" },
    element("span", { "aria-hidden": "true" }, entry.ready ? "✓ " : "✗ "),
    say(entry.ready ? "ready" : "not_ready"),
  );
  const results = element("div", { class: "results", role: "status" });
  return element(
    "li",
    {},
    element("span", { class: "name" }, entry.name),
    element("span", { class: "traits" }, traits.filter(Boolean).join(", ")),
    state,
    element("span", { class: "buttons" }, testButton(kind, entry.name, results), extra),
    entry.problem ? element("p", { class: "problem" }, entry.problem) : null,
    results,
  );
}

function removeButton(name, section) {
  const place = element("span", { class: "buttons" });
  const ask = element(
    "button",
    { type: "button", "aria-label": say("remove_named", { name }), onclick: () => confirm(place, ask, name, section) },
    say("remove"),
  );
  place.append(ask);
  return place;
}

function confirm(place, ask, name, section) {
  const back = () => {
    place.replaceChildren(ask);
    ask.focus();
  };
  const keep = element("button", { type: "button", onclick: back }, say("keep"));
  const sure = element("button", { type: "button", class: "danger" }, say("remove"));
  const answer = element("span", { role: "alert" }, say("remove_sure", { name }));
  sure.addEventListener("click", async () => {
    sure.disabled = true;
    try {
      await remove(name);
      await changed(section, say("removed", { name }));
    } catch (error) {
      answer.textContent = error.message;
    }
  });
  place.replaceChildren(answer, sure, keep);
  keep.focus();
}

function adding(machine, section) {
  const content = machine.may_add
    ? keyForm(machine, (name) => changed(section, say("added", { name })))
    : element("p", {}, say("may_not_add", { why: machine.why_not }));
  const command = element("code", {}, "portrait-cartoonize profiles add NAME");
  return element(
    "details",
    { open: !machine.may_add },
    element("summary", {}, say("add_title")),
    content,
    element("p", { class: "hint" }, say("command_line"), " ", command),
  );
}

async function changed(section, news) {
  await draw(section, news);
  await refreshCombos();
  await settle(); // a workflow that waits for this name gets it now
}
