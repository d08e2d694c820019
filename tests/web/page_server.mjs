// The playground's page from the source tree, with a service behind it that does as a test says.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

const PAGE = join(dirname(fileURLToPath(import.meta.url)), "../../src/playground/page");
/** The page's own policy, as the service sends it. */
const POLICY = readFileSync(join(PAGE, "mod.rs"), "utf8").match(/"(default-src [^"]+)"/)[1];
const KINDS = { ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml" };
/** One pixel. */
const PICTURE = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");

async function bodyOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return chunks.length > 0 ? JSON.parse(Buffer.concat(chunks)) : {};
}

function sendFile(response, name) {
  try {
    const bytes = readFileSync(join(PAGE, name));
    response.writeHead(200, { "content-type": KINDS[extname(name)] ?? "text/html; charset=utf-8" }).end(bytes);
  } catch {
    response.writeHead(404).end();
  }
}

/**
 * Starts it. `team` holds `channels`, `users`, `messages`, `views` and `home`, and may be changed by
 * `team.change(…)`; `team.posts` lists `[path, body]` of what the page did, and `team.answer(path, body)`
 * may answer `[status, body]`.
 */
export async function serve(team) {
  let change = 1;
  let waiting = [];
  Object.assign(team, { posts: [], deleted: [] });
  team.change = (what = {}) => {
    Object.assign(team, what);
    change += 1;
    waiting.forEach((answer) => answer());
    waiting = [];
  };
  const shownTo = (user) => (message) => !message.only_for || message.only_for === user;
  const idOf = (user) => team.users.find(({ id, name }) => id === user || name === user)?.id;
  const changes = (query) => ({
    epoch: "e", change, channels: team.channels, deleted: team.deleted,
    messages: team.messages.filter(shownTo(idOf(query.get("user")))),
    views: team.views.filter((view) => view.user === idOf(query.get("user"))), home: team.home,
  });
  const get = async (path, query) => {
    if (path === "users") return { users: team.users };
    if (path.endsWith("/traces")) return { traces: [], total: 0, waiting: 0 };
    if (Number(query.get("after")) >= change) await new Promise((resolve) => waiting.push(resolve));
    return changes(query);
  };
  const post = (path, body) => {
    team.posts.push([path, body]);
    return team.answer?.(path, body) ?? [200, { ok: true }];
  };
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    response.setHeader("content-security-policy", POLICY);
    if (pathname === "/playground/") return sendFile(response, "index.html");
    if (pathname.startsWith("/playground/page/")) return sendFile(response, pathname.split("/").at(-1));
    if (pathname.startsWith("/playground/files/")) return response.writeHead(200, { "content-type": "image/png" }).end(PICTURE);
    if (!pathname.startsWith("/playground/api/")) return response.writeHead(404).end();
    const path = pathname.slice("/playground/api/".length);
    const isPost = request.method === "POST";
    const [status, body] = isPost ? post(path, await bodyOf(request)) : [200, await get(path, searchParams)];
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => {
    waiting.forEach((answer) => answer());
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}/playground/`, close };
}
