/**
 * Workflows of other machines: a profile or host that is not here becomes "auto", is said, and comes back where it is.
 *
 * The name is kept in the node's properties, so that the saved workflow still has it for the machine it came from.
 */

import { app } from "../../../scripts/app.js";
import { AUTO, namingWidgets } from "./choices.js";
import { choicesOf, eachNode, refreshCombos } from "./combos.js";
import { showBadge, showLine } from "./node_line.js";
import { drawsHere, overview } from "./services.js";
import { say } from "./texts.js";

const WISH = "cartoonize_wanted"; // {widget name: the name that this machine does not have}
const LINE = "portrait_cartoonize_note";
const watched = new WeakSet(); // widgets whose choices by hand are seen
let queue = Promise.resolve();
let planned = 0;

/** Settle nodes of the type when they appear in any other way than with a whole workflow: pasted, or from a blueprint. */
export function settleWhenConfigured(nodeType) {
  const { onConfigure } = nodeType.prototype;
  nodeType.prototype.onConfigure = function () {
    onConfigure?.apply(this, arguments);
    clearTimeout(planned);
    planned = setTimeout(settle, 200);
  };
}

/** Look at all nodes: replace names that are not here by "auto", bring back those that are. One after the other. */
export function settle() {
  queue = queue.then(settleNow, settleNow);
  return queue;
}

async function settleNow() {
  if (!strangeWidgets().length) return;
  // a workflow is open only when this is done; without an answer, what the page knows has to do
  const machine = await overview(5000).catch(() => null);
  const strange = strangeWidgets(); // another workflow may have been opened meanwhile
  const here = ({ widget, kind }, name) =>
    choicesOf(widget).includes(name) || Boolean(machine?.[kind]?.some((entry) => entry.name === name));
  const outcomes = strange.map((found) => settleOne(found, here, machine));
  if (strange.some(({ widget }) => !choicesOf(widget).includes(widget.value))) await refreshCombos();
  tell(outcomes, machine);
  app.canvas?.setDirty(true, true);
}

function strangeWidgets() {
  const strange = [];
  eachNode((node) => {
    for (const found of namingWidgets(node)) if (isStrange(node, found)) strange.push({ node, ...found });
  });
  return strange;
}

function isStrange(node, { widget, owner }) {
  const wish = node.properties?.[WISH]?.[widget.name];
  if (wish !== undefined && widget.value !== AUTO) forget(node, widget.name, owner); // chosen by hand, elsewhere
  const known = choicesOf(widget).includes(widget.value);
  return typeof widget.value === "string" && (!known || (wish !== undefined && widget.value === AUTO));
}

/** Settle one widget; return {name, kind, fate}, fate being "missing", "kept" (said before), "back" or "here". */
function settleOne({ node, widget, kind, owner }, here, machine) {
  const wish = node.properties?.[WISH]?.[widget.name];
  const name = wish ?? widget.value;
  if (here({ widget, kind }, name)) {
    if (wish === undefined) return { name, kind, fate: "here" };
    widget.value = name;
    forget(node, widget.name, owner);
    return { name, kind, fate: "back" };
  }
  widget.value = AUTO;
  node.properties[WISH] = { ...node.properties[WISH], [widget.name]: name };
  forgetWhenChosen(node, widget, owner);
  if (node !== owner) showBadge(node, say("badge", { name }));
  showLine(owner, LINE, say(`note_${kind}`, { name, auto: meaning(kind, machine) }));
  return { name, kind, fate: wish === undefined ? "missing" : "kept" };
}

function forgetWhenChosen(node, widget, owner) {
  if (watched.has(widget)) return;
  watched.add(widget);
  const { callback } = widget;
  widget.callback = function () {
    forget(node, widget.name, owner);
    return callback?.apply(this, arguments);
  };
}

function forget(node, widgetName, owner) {
  const { [widgetName]: _, ...others } = node.properties?.[WISH] ?? {};
  if (Object.keys(others).length) node.properties[WISH] = others;
  else delete node.properties[WISH];
  if (node !== owner) showBadge(node, "");
  showLine(owner, LINE, "");
}

/** One message for all nodes, and none about what was said before. */
function tell(outcomes, machine) {
  const toast = app.extensionManager?.toast;
  const list = (fate, kind) => [
    ...new Set(outcomes.filter((one) => one.fate === fate && one.kind === kind).map(({ name }) => `'${name}'`)),
  ];
  const sentences = [];
  for (const kind of ["profiles", "hosts"]) {
    const missing = list("missing", kind).join(", ");
    if (missing) sentences.push(say(`missing_${kind}`, { names: missing, auto: meaning(kind, machine) }));
  }
  if (sentences.length) {
    const detail = [...sentences, say("kept")].join(" ");
    toast?.add({ severity: "warn", summary: say("title"), detail, life: 20000 });
  }
  const back = [...list("back", "profiles"), ...list("back", "hosts")].join(", ");
  if (back) toast?.add({ severity: "info", summary: say("title"), detail: say("back", { names: back }), life: 8000 });
}

/** What "auto" means on this machine, in words. */
function meaning(kind, machine) {
  if (!machine) return say("auto_unknown");
  if (kind === "hosts") {
    const host = machine.hosts.find((one) => one.auto)?.name;
    return host ? say("auto_host", { name: host }) : say("auto_unknown");
  }
  return drawsHere(machine) ? say("auto_local") : say("auto_service", { name: machine.auto });
}
