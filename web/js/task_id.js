/** The ids of submitted tasks on Submit Cartoonize, to read and to copy. */

import { app } from "../../../scripts/app.js";
import { showLine } from "./node_line.js";
import { say } from "./texts.js";

const LINE = "portrait_cartoonize_task";
const shown = new WeakMap(); // node -> ids, one a line

/** Make nodes of the type show the ids of their last run, and offer to copy them. */
export function showTaskIds(nodeType) {
  const { onExecuted, getExtraMenuOptions } = nodeType.prototype;
  nodeType.prototype.onExecuted = function (output) {
    onExecuted?.apply(this, arguments);
    const ids = (output?.text ?? []).join("\n").trim();
    shown.set(this, ids);
    showLine(this, LINE, ids && say("task", { ids: ids.split("\n").join(", ") }));
  };
  nodeType.prototype.getExtraMenuOptions = function (canvas, options) {
    const others = getExtraMenuOptions?.apply(this, arguments);
    if (shown.get(this)) options.unshift({ content: say("copy_task"), callback: () => copy(shown.get(this)) });
    return others;
  };
}

async function copy(ids) {
  try {
    await navigator.clipboard.writeText(ids);
    app.extensionManager?.toast?.add({ severity: "success", summary: say("copied"), detail: ids, life: 3000 });
  } catch {
    // a page over plain http has no clipboard: the ids are shown, so that they can be selected
    app.extensionManager?.toast?.add({ severity: "info", summary: say("copy_by_hand"), detail: ids });
  }
}
