/** HTML elements from data: texts are only ever text, never markup. */

let count = 0;

/**
 * Return a new element; `on…` properties are listeners, the others attributes, and children are elements or texts.
 * An attribute that is null, undefined or false is left out.
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

/** Return an id that no other element of the page has. */
export function freshId(name) {
  return `portrait-cartoonize-${name}-${++count}`;
}

/** Give the page the pack's style sheet, once. */
export function addStyle() {
  const address = new URL("../portrait_cartoonize.css", import.meta.url).href;
  if ([...document.styleSheets].some((sheet) => sheet.href === address)) return;
  if (document.querySelector(`link[href="${CSS.escape(address)}"]`)) return;
  document.head.append(element("link", { rel: "stylesheet", href: address }));
}
