// The admin API. The token lives in this page's memory only: it is gone when the page is.

let token = "";

/** What the API answered instead of what was asked for. */
export class Refused extends Error {
  constructor(status, why) {
    super(why);
    this.status = status;
  }
}

/** No answer at all. */
export class Lost extends Error {}

export function logIn(typed) { token = typed; }
export function logOut() { token = ""; }

async function ask(method, path, body) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  if (method === "POST") headers["Content-Type"] = "application/json";
  let answer, text;
  try {
    answer = await fetch(`api/v1/${path}`, {
      method, headers, body, cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(12000),
    });
    text = await answer.text();
  } catch (fault) {
    throw new Lost("No answer from the proxy.", { cause: fault });
  }
  if (!answer.ok) throw new Refused(answer.status, text.trim() || answer.statusText);
  return text;
}

export const object = async (path) => JSON.parse(await ask("GET", path));
export const lines = async (path) => objects(await ask("GET", path));
export const post = async (path, body) => objects(await ask("POST", path, body));

function objects(text) {
  return text.split("\n").filter((line) => line.trim()).map((line) => JSON.parse(line));
}
