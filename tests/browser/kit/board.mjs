// A site where people post: a list of posts, and fields to write in. It knows nothing of
// WebMLS, and is as strict as a site may be about what is loaded into it.
import { createServer } from "node:http";

const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'none'; img-src data:";

const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Board</title><link rel="icon" href="data:,"><link rel="stylesheet" href="board.css"><script type="module" src="board.js"></script></head>
<body>
<main><h1>The board</h1><section id="posts"></section>
<form><label for="field">Your post</label><textarea id="field"></textarea><div id="rich" contenteditable="true" role="textbox" aria-label="Rich post"></div><button>Post</button></form></main>
</body></html>`;

const style = `body { font: 16px/1.5 sans-serif; margin: 0; background: #fff; color: #222 } main { max-width: 720px; margin: 24px auto; padding: 0 24px }
.post { border: 1px solid #ddd; border-radius: 10px; padding: 10px 14px; margin: 10px 0 } .post p { overflow-wrap: anywhere; margin: 4px 0 } textarea { display: block; width: 100%; height: 80px }
#rich { border: 1px solid #ddd; min-height: 40px; margin: 8px 0 }
@media (prefers-color-scheme: dark) { body { background: #16181d; color: #ddd } .post, #rich { border-color: #333 } textarea { background: #222; color: #ddd } }`;

const script = `
const list = document.getElementById("posts");
const field = document.getElementById("field");
document.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  await fetch("posts", { method: "POST", body: field.value });
  field.value = "";
  await load();
});
async function load() {
  const posts = await (await fetch("posts")).json();
  for (const { id, author, text } of posts.slice(list.childElementCount)) {
    const post = document.createElement("article");
    post.className = "post";
    post.id = "post-" + id;
    const name = document.createElement("strong");
    name.textContent = author;
    const body = document.createElement("p");
    body.textContent = text;
    post.append(name, body);
    list.append(post);
  }
}
for (;;) {
  await load().catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 100));
}`;

export class Board {
  posts = [];

  static async start() {
    const board = new Board();
    const files = { "/": ["text/html", page], "/board.css": ["text/css", style], "/board.js": ["text/javascript", script] };
    board.server = createServer(async (request, response) => {
      const { pathname } = new URL(request.url, "http://localhost");
      response.setHeader("Content-Security-Policy", policy);
      response.setHeader("Cache-Control", "no-store");
      if (pathname === "/posts") {
        if (request.method === "POST") {
          let text = "";
          for await (const chunk of request.setEncoding("utf8")) text += chunk;
          board.post("a visitor", text);
        }
        response.setHeader("Content-Type", "application/json");
        return response.end(JSON.stringify(board.posts));
      }
      const file = files[pathname];
      response.statusCode = file ? 200 : 404;
      response.setHeader("Content-Type", file?.[0] ?? "text/plain");
      response.end(file?.[1]);
    });
    await new Promise((resolve) => board.server.listen(0, "127.0.0.1", resolve));
    board.port = board.server.address().port;
    board.url = `http://127.0.0.1:${board.port}/`;
    /** The same pages under another origin. */
    board.elsewhere = `http://localhost:${board.port}/`;
    return board;
  }

  post(author, text) {
    this.posts.push({ id: this.posts.length, author, text });
    return this.posts.length - 1;
  }

  stop() {
    return new Promise((resolve) => {
      this.server.close(resolve);
      this.server.closeAllConnections();
    });
  }
}
