import fastify from "fastify";
import lodash from "lodash";

const names = ["build", "enforce the golden base", "scan", "sign", "promote", "deploy"];
const server = fastify({ logger: true });

server.get("/healthz", () => ({ status: "ok" }));

server.get("/", (request, reply) => {
  const visitor = lodash.escape(lodash.truncate(String(request.query.name ?? "world"), { length: 40 }));
  const stages = names.map((name) => `<li>${lodash.upperFirst(name)}</li>`).join("");
  return reply
    .type("text/html; charset=utf-8")
    .send(
      `<!doctype html><title>Golden path</title><h1>Hello, ${visitor}</h1><p>This page came along the golden path:</p><ol>${stages}</ol>`,
    );
});

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => server.close());

await server.listen({ host: process.env.HOST ?? "0.0.0.0", port: Number(process.env.PORT ?? 8080) });
