/** The pack's routes on ComfyUI's server: what this machine has, whether it works, and keys going in. Never a key out. */

import { api } from "../../../scripts/api.js";

const ROUTES = "/portrait_cartoonize";

/** Return what this machine has: profiles, hosts, and what "auto" means. Throws an Error, in words or for the time. */
export function overview(limitMs = 30000) {
  return answer("GET", "/overview", undefined, AbortSignal.timeout(limitMs));
}

/** Try a profile or a host ("profiles" or "hosts"); return {ok, steps}. Throws an Error in words. */
export function test(kind, name) {
  return answer("POST", `/${kind}/${encodeURIComponent(name)}/test`, {});
}

/** Hand a profile with its keys to the server, which keeps it. Throws an Error with the server's words. */
export function add(name, profile) {
  return answer("PUT", `/profiles/${encodeURIComponent(name)}`, profile);
}

/** Remove a profile that was added here. Throws an Error with the server's words. */
export function remove(name) {
  return answer("DELETE", `/profiles/${encodeURIComponent(name)}`, {});
}

/** Tell whether "auto" means the embedded service, which draws on this machine. */
export function drawsHere(machine) {
  return machine.profiles.find((profile) => profile.name === machine.auto)?.kind === "embedded";
}

async function answer(method, path, body, signal) {
  const options = { method, signal };
  if (body !== undefined) {
    options.headers = { "Content-Type": "application/json" };
    options.body = JSON.stringify(body);
  }
  const reply = await api.fetchApi(ROUTES + path, options);
  const content = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(content.problem || `${reply.status} ${reply.statusText}`.trim());
  return content;
}
