import { createServer } from "node:http";
import escapeHtml from "escape-html";

const server = createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  if (url.pathname === "/healthz") return response.setHeader("content-type", "application/json").end('{"status":"ok"}');
  const name = escapeHtml(url.searchParams.get("name") ?? "world");
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end(`<!doctype html><title>Golden path</title><h1>Hello, ${name}</h1><p>from Node.js by yarn</p>`);
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close());
server.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? "0.0.0.0");
