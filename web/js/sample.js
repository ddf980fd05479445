/** Sample pictures of the examples: a newcomer's input folder gets what the opened example wants, so that Run works. */

import { api } from "../../../scripts/api.js";
import { choicesOfType, refreshCombos } from "./combos.js";

const PACK = import.meta.url.match(/\/extensions\/([^/]+)\//)?.[1] ?? "";
const PICTURE = /^[A-Za-z0-9][A-Za-z0-9_.-]*\.(jpe?g|png|webp)$/;

/**
 * Upload the samples that a workflow wants and the input folder lacks, before its nodes are drawn.
 *
 * Only names in `extra.portrait_cartoonize.samples`, and only files beside the pack's own examples. `workflow` is the
 * data about to be opened: where the server stores a sample under another name, its nodes get that name.
 */
export async function bringSamples(workflow) {
  const wanted = workflow?.extra?.portrait_cartoonize?.samples;
  if (!PACK || !Array.isArray(wanted)) return;
  const present = choicesOfType("LoadImage", "image");
  const nodes = loadersOf(workflow).filter(({ widgets_values: [name] }) => !present.includes(name));
  const missing = wanted.filter((name) => PICTURE.test(name) && nodes.some((node) => node.widgets_values[0] === name));
  let arrived = 0;
  for (const name of new Set(missing)) arrived += (await bring(name, nodes)) ? 1 : 0;
  if (arrived) await refreshCombos();
}

function loadersOf(workflow) {
  const graphs = [workflow, ...(workflow.definitions?.subgraphs ?? [])];
  const nodes = graphs.flatMap((graph) => graph.nodes ?? []);
  return nodes.filter((node) => node.type === "LoadImage" && typeof node.widgets_values?.[0] === "string");
}

async function bring(name, nodes) {
  try {
    const stored = await upload(name);
    for (const node of nodes) if (node.widgets_values[0] === name) node.widgets_values[0] = stored;
    return true;
  } catch (error) {
    console.warn(`Portrait Cartoonize: the sample picture ${name} could not be put into the input folder.`, error);
    return false;
  }
}

async function upload(name) {
  const picture = await api.fetchApi(`/workflow_templates/${PACK}/${name}`);
  if (!picture.ok) throw new Error(`${picture.status} ${picture.statusText}`);
  const form = new FormData(); // without "overwrite": a picture of the same name that is there stays
  form.append("image", new File([await picture.blob()], name));
  const reply = await api.fetchApi("/upload/image", { method: "POST", body: form });
  if (!reply.ok) throw new Error(`${reply.status} ${reply.statusText}`);
  return (await reply.json()).name;
}
