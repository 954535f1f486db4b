// The REST interface. Every call returns the decoded answer or throws a Failure with a message for people.

const ROOT = "/api/v1/";

export class Failure extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") query.append(name, one);
    }
  }
  const text = query.toString();
  return call(`${ROOT}${path}${text ? `?${text}` : ""}`, { signal });
}

export function post(path, body = {}) {
  return call(ROOT + path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...token() },
    body: JSON.stringify(body),
  });
}

export function upload(path, file, fields = {}) {
  const form = new FormData();
  form.append("file", file, file.name || "pasted.png");
  for (const [name, value] of Object.entries(fields)) {
    if (value) form.append(name, value);
  }
  return call(ROOT + path, { method: "POST", headers: token(), body: form });
}

const meta = document.querySelector('meta[name="csrf-token"]');

function token() {
  return { "X-CSRF-Token": meta ? meta.content : "" };
}

// A server that was started anew has a new token, which comes as a cookie with its refusal.
function renewToken() {
  const found = document.cookie.match(/(?:^|; )tagkin_csrf=([^;]+)/);
  if (!meta || !found || found[1] === meta.content) return false;
  meta.content = found[1];
  return true;
}

async function call(address, options) {
  let response;
  try {
    response = await fetch(address, {
      ...options,
      credentials: "same-origin",
      headers: { Accept: "application/json", ...options.headers },
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("Tagkin doesn't answer. Is 'tagkin serve' still running?", 0, "offline");
  }
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    // A proxy in between may answer with something else; the status says enough.
  }
  if (!response.ok) {
    const error = answer?.error ?? {};
    if (error.code === "csrf" && renewToken()) {
      return call(address, { ...options, headers: { ...options.headers, ...token() } });
    }
    const message = error.message ?? `Tagkin answered with status ${response.status}.`;
    throw new Failure(message, response.status, error.code ?? "");
  }
  return answer;
}
