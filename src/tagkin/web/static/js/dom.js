// Elements made from data. Text only ever goes in as text, so a tag such as <script> stays one.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child));
  return made;
}

export function find(selector, root = document) {
  return root.querySelector(selector);
}

export function all(selector, root = document) {
  return [...root.querySelectorAll(selector)];
}

// Whether a key belongs to what is being typed, and not to the page.
export function typing(event) {
  const at = event.target;
  return (
    at.isContentEditable ||
    at.tagName === "TEXTAREA" ||
    at.tagName === "SELECT" ||
    (at.tagName === "INPUT" && !["checkbox", "radio", "button", "submit"].includes(at.type))
  );
}

export function later(milliseconds, work) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}
