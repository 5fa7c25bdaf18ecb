import { describe, expect, test } from "vitest";
import { githubServer } from "./github-server.ts";

describe("the server that is spoken to", () => {
  test.each<[what: string, env: Record<string, string>]>([
    ["an API of one and the address of another", { GITHUB_SERVER_URL: "https://ghe.example" }],
    ["the other way round", { GITHUB_SERVER_URL: "https://github.com", GITHUB_API_URL: "https://ghe.example/api/v3" }],
    ["an API that is nobody's known one", { GITHUB_API_URL: "https://proxy.example/github" }],
    ["no address", { GITHUB_API_URL: "https://proxy.example/github", GITHUB_SERVER_URL: "github" }],
  ])("%s is refused", (_what, env) => {
    expect(() => githubServer(env)).toThrow(/expected both of one server/);
  });

  test.each<[server: string, env: Record<string, string>]>([
    ["https://github.com", {}],
    ["https://github.com", { GITHUB_SERVER_URL: "https://github.com/", GITHUB_API_URL: "https://api.github.com" }],
    ["https://ghe.example", { GITHUB_API_URL: "https://ghe.example/api/v3" }],
    ["https://acme.ghe.com", { GITHUB_API_URL: "https://api.acme.ghe.com" }],
    ["https://github.com", { GITHUB_API_URL: "https://proxy.example/github", GITHUB_SERVER_URL: "https://github.com" }],
  ])("%s", (server, env) => {
    expect(githubServer(env)).toBe(server);
  });
});
