/** Read-only lines on a node, under its widgets. They belong to the page: no workflow and no prompt ever holds them. */

import { addStyle, element } from "./elements.js";

const badges = new WeakMap(); // node -> its badge

/** Show a text on a node in its line of this name; "" removes the line. */
export function showLine(node, name, text) {
  const line = node.widgets?.find((widget) => widget.name === name);
  if (!text) {
    if (line) node.removeWidget?.(line);
  } else if (line?.element) {
    line.element.textContent = text;
  } else {
    addLine(node, name, text);
  }
  node.setDirtyCanvas?.(true, true);
}

/** Show a short text above a node, for subgraphs, whose widgets are those of their inner nodes; "" removes it. */
export function showBadge(node, text) {
  const Badge = globalThis.LGraphBadge;
  if (!Badge || !Array.isArray(node.badges)) return;
  const index = node.badges.indexOf(badges.get(node));
  if (index >= 0) node.badges.splice(index, 1);
  badges.delete(node);
  if (text) {
    badges.set(node, new Badge({ text }));
    node.badges.push(badges.get(node));
  }
  node.setDirtyCanvas?.(true, true);
}

/** Keep lines that the front end itself adds while a node runs (progress, previews) out of saved workflows. */
export function keepOutOfWorkflows(nodeType) {
  const add = nodeType.prototype.addCustomWidget;
  nodeType.prototype.addCustomWidget = function (widget) {
    // front ends before 1.28 would save the last status text, and read it back as the value of a widget
    if (widget?.name?.startsWith("$$")) widget.serialize = false;
    return add.call(this, widget);
  };
}

function addLine(node, name, text) {
  addStyle();
  const shown = element("div", { class: "portrait-cartoonize-line", role: "status" }, text);
  const line = node.addDOMWidget(name, "portrait_cartoonize_line", shown, {
    serialize: false, // not in the prompt
    hideOnZoom: false,
    getValue: () => shown.textContent,
    setValue: () => {}, // only showLine writes
    getMinHeight: () => heightOf(shown.textContent),
    getMaxHeight: () => heightOf(shown.textContent),
  });
  line.serialize = false; // not in the workflow
  const [width, height] = node.computeSize();
  node.setSize([Math.max(node.size[0], width), Math.max(node.size[1], height)]);
}

/** Enough for the text in a node of ordinary width; longer ones scroll. */
function heightOf(text) {
  return 30 + 15 * Math.min(4, Math.ceil(text.length / 42));
}
