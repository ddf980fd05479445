/** The widgets in which a workflow names something of this machine: profiles and image hosts. */

const NAMING = {
  CartoonizeImageToURL: { host: "hosts" },
  CartoonizeSubmit: { profile: "profiles" },
  CartoonizePollResult: { profile: "profiles" },
  CartoonizePortrait: { profile: "profiles" },
};

export const AUTO = "auto";

/** Tell whether nodes of this type name something of this machine. */
export function names(type) {
  return Object.hasOwn(NAMING, type);
}

/**
 * Return [{widget, kind, owner}] of a node: kind is "profiles" or "hosts", owner the pack's node that the widget is of,
 * an inner one where a subgraph shows its widgets. Inputs that a link feeds are left out: their widgets count for nothing.
 */
export function namingWidgets(node) {
  const found = [];
  for (const widget of node.widgets ?? []) {
    const source = sourceOf(node, widget);
    if (source && !isLinked(node, widget)) found.push({ widget, ...source });
  }
  return found;
}

function sourceOf(node, widget) {
  if (!node.isSubgraphNode?.()) {
    const kind = NAMING[node.type]?.[widget.name];
    return kind && { kind, owner: node };
  }
  for (const inner of shownBy(node, widget)) {
    const source = sourceOf(inner.node, inner.widget);
    if (source) return source;
  }
  return undefined;
}

/** The inner widgets that a widget of a subgraph stands for: earlier front ends know them by input, later ones by name. */
function shownBy(node, widget) {
  if (widget.sourceNodeId !== undefined) {
    const inner = node.subgraph.getNodeById(widget.sourceNodeId);
    const source = inner?.widgets?.find(({ name }) => name === widget.sourceWidgetName);
    return source ? [{ node: inner, widget: source }] : [];
  }
  const input = node.subgraph.inputs?.find(({ name }) => name === widget.name);
  const inner = input?.getConnectedWidgets?.() ?? [];
  return inner.filter((source) => source.node).map((source) => ({ node: source.node, widget: source }));
}

function isLinked(node, widget) {
  const input = node.inputs?.find((slot) => slot.widget?.name === widget.name);
  return input !== undefined && input.link !== null && input.link !== undefined;
}
