import { createServer } from "node:http";
import { greet } from "@example/greeting";

const server = createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://localhost");
  if (url.pathname === "/healthz") return response.setHeader("content-type", "application/json").end('{"status":"ok"}');
  response.setHeader("content-type", "text/html; charset=utf-8");
  response.end(greet(url.searchParams.get("name") ?? "world"));
});
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close());
server.listen(Number(process.env.PORT ?? 8080), process.env.HOST ?? "0.0.0.0");
