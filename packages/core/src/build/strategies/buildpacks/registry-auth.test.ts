import type { Credential } from "@goldenpath/registry-client/docker-config";
import type { Repository } from "@goldenpath/registry-client/oci/reference";
import { expect, it } from "vitest";
import { renderRegistryAuth } from "./registry-auth.ts";

const render = async (logins: Record<string, Credential>, repositories: Repository[]): Promise<unknown> =>
  JSON.parse(
    await renderRegistryAuth({ find: async ({ registry, name }) => logins[`${registry}/${name}`] }, repositories),
  );

it("has the logins for these hosts and for no others", async () => {
  const logins: Record<string, Credential> = {
    "q.test/app": { kind: "basic", username: "robot", password: "pass:word" },
    "b.test/base": { kind: "registry-token", token: "t1" },
    "docker.io/library/run": { kind: "identity-token", token: "t2" },
    "v.test/vetted": { kind: "basic", username: "admin", password: "secret" },
  };
  const repositories = [
    { registry: "q.test", name: "app" },
    { registry: "b.test", name: "base" },
    { registry: "docker.io", name: "library/run" },
    { registry: "open.test", name: "x" },
  ];
  expect(await render(logins, repositories)).toEqual({
    "q.test": `Basic ${Buffer.from("robot:pass:word").toString("base64")}`,
    "b.test": "Bearer t1",
    "index.docker.io": "X-Identity t2",
  });
});

it("prefers the login of the repository that is pushed to", async () => {
  const logins: Record<string, Credential> = {
    "q.test/app": { kind: "registry-token", token: "push" },
    "q.test/base": { kind: "registry-token", token: "pull" },
  };
  const repositories = [
    { registry: "q.test", name: "app" },
    { registry: "q.test", name: "base" },
  ];
  expect(await render(logins, repositories)).toEqual({ "q.test": "Bearer push" });
});
