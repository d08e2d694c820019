// What the page asks the playground, as the person who sits at it.

const KEPT = "iofold-person";

let person = sessionStorage.getItem(KEPT) ?? "you";

/** The id or handle of the person at the page. */
export const me = () => person;

/** Makes somebody else the person at the page; each tab has its own. */
export function become(id) {
  person = id;
  sessionStorage.setItem(KEPT, id);
}

/** What the service said no to, or why it could not be asked. */
export class Failure extends Error {
  constructor(message, fields = null) {
    super(message);
    this.fields = fields;
  }
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(`api/${path}`, options);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Failure("iofold can't be reached.");
  }
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) {
    throw new Failure(body?.error ?? `iofold answered with status ${response.status}.`, body?.errors);
  }
  return body;
}

/** The answer to a question; `query` goes with it, and who asks. */
export function get(path, query = {}, signal = undefined) {
  return ask(`${path}?${new URLSearchParams({ ...query, user: person })}`, { signal });
}

/** Does something as the person at the page. */
export function post(path, body = {}) {
  return ask(path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...body, user: person }),
  });
}
