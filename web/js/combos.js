/** The choices of combo widgets, as the page knows them, and reading them anew from the server. */

import { app } from "../../../scripts/app.js";

/** Read all nodes' choices anew; quietly, where the front end can do that. */
export async function refreshCombos() {
  if (typeof app.reloadNodeDefs === "function") await app.reloadNodeDefs();
  else await app.refreshComboInNodes?.();
}

/** Return the choices of a widget of a node on the canvas. */
export function choicesOf(widget) {
  const values = widget.options?.values;
  return Array.isArray(values) ? values : [];
}

/** Return the choices that the definition of a node type gives to an input. */
export function choicesOfType(type, input) {
  const inputs = globalThis.LiteGraph?.registered_node_types?.[type]?.nodeData?.input;
  const [kind, options] = inputs?.required?.[input] ?? inputs?.optional?.[input] ?? [];
  return Array.isArray(kind) ? kind : (options?.options ?? []);
}

/** Call `visit` with every node of the open workflow, those inside subgraphs too. */
export function eachNode(visit) {
  const root = app.rootGraph ?? app.graph;
  const graphs = [root, ...(root?.subgraphs?.values() ?? [])];
  for (const graph of graphs) for (const node of graph?.nodes ?? []) visit(node);
}
