import type { UserError } from "@goldenpath/foundation/errors";
import type { RegistryServer } from "@goldenpath/registry-server/server";
import { clientWith, login, masked, unauthorized, users } from "@goldenpath/testing/logged-in";
import { http, registry, useCleanups } from "@goldenpath/testing/servers";
import { describe, expect, test } from "vitest";
import { mergeScopes } from "./access.ts";
import { buildImage, pushBuilt } from "./testing.ts";

useCleanups();

describe.each(["basic", "bearer"] as const)("%s", (kind) => {
  test("without a login, and with a wrong one, there is a UserError that says how to log in", async () => {
    const server = await registry({ auth: { kind, users } });
    const reference = { registry: server.host, name: "shop", tag: "v1" };
    for (const made of [
      await clientWith(),
      await clientWith({ [server.host]: login("me:wrong") }),
      await clientWith({ "ghcr.io": login("me:secret") }),
    ]) {
      const error = await made.fetchManifest(reference).catch((each: unknown) => each);
      expect(error).toMatchObject(unauthorized);
      expect((error as UserError).wayOut).toContain(`docker login ${server.host}`);
      expect((error as UserError).message).toContain(`${server.host}/shop`);
      await expect(
        made.pushBlob(reference, buildImage().blobs[0]?.descriptor as never, () => new Uint8Array()),
      ).rejects.toMatchObject(unauthorized);
    }
    expect(await server.snapshot()).toEqual({});
  });

  test("a login of another host is not sent", async () => {
    const server = await registry({ auth: { kind, users } });
    const made = await clientWith({ "ghcr.io": login("me:secret") });
    await expect(made.fetchManifest({ registry: server.host, name: "shop", tag: "v1" })).rejects.toMatchObject(
      unauthorized,
    );
    expect(
      server.requests.map((request) => request.headers.authorization).filter((each) => each?.startsWith("Basic")),
    ).toEqual([]);
  });

  test("the right login pushes and pulls, and its secrets are masked", async () => {
    const server = await registry({ auth: { kind, users } });
    const made = await clientWith({ [server.host]: login("me:secret") });
    const repository = { registry: server.host, name: "team/shop" };
    const image = buildImage({ layers: ["a", "b"] });
    await pushBuilt(made, repository, image, "v1");
    expect((await made.fetchManifest({ ...repository, tag: "v1" })).digest).toBe(image.descriptor.digest);
    expect(masked).toEqual(expect.arrayContaining(["secret", login("me:secret").auth]));
    for (const request of server.requests) {
      const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? "")?.[1];
      if (token !== undefined) expect(masked).toContain(token);
    }
  });
});

describe("bearer tokens", () => {
  const tokenRequests = (server: RegistryServer) => server.requests.filter((request) => request.path === "/token");

  test("are fetched once for each scope, and shared by requests at the same time", async () => {
    const server = await registry({ auth: { kind: "bearer", users } });
    const made = await clientWith({ [server.host]: login("me:secret") });
    const repository = { registry: server.host, name: "shop" };
    const image = buildImage();
    await pushBuilt(made, repository, image, "v1");
    expect(tokenRequests(server)).toHaveLength(1);
    await Promise.all(Array.from({ length: 5 }, () => made.fetchManifest({ ...repository, tag: "v1" })));
    expect(tokenRequests(server).map((request) => new URLSearchParams(request.query).getAll("scope"))).toEqual([
      ["repository:shop:pull,push"],
      ["repository:shop:pull"],
    ]);
    await made.fetchManifest({ ...repository, name: "other", tag: "v1" }).catch(() => undefined);
    expect(tokenRequests(server)).toHaveLength(3);
  });

  test("are fetched for nobody where the registry gives those", async () => {
    const server = await registry({ auth: { kind: "bearer", users, anonymousPull: true } });
    const image = buildImage();
    const repository = { registry: server.host, name: "shop" };
    await pushBuilt(await clientWith({ [server.host]: login("me:secret") }), repository, image, "v1");
    const nobody = await clientWith();
    expect((await nobody.fetchManifest({ ...repository, tag: "v1" })).digest).toBe(image.descriptor.digest);
    await expect(nobody.pushManifest(repository, image.bytes, image.descriptor.mediaType, "v2")).rejects.toMatchObject(
      unauthorized,
    );
  });

  test("are fetched anew when they have expired, before they are refused, and once for all who wait", async () => {
    const server = await registry({ auth: { kind: "bearer", users, expiresIn: 1 } });
    const made = await clientWith({ [server.host]: login("me:secret") });
    const repository = { registry: server.host, name: "shop" };
    await pushBuilt(made, repository, buildImage(), "v1");
    await made.fetchManifest({ ...repository, tag: "v1" });
    await new Promise((resolve) => setTimeout(resolve, 1_200));
    server.requests.length = 0;
    await Promise.all(Array.from({ length: 5 }, () => made.fetchManifest({ ...repository, tag: "v1" })));
    expect(tokenRequests(server)).toHaveLength(1);
    expect(server.requests.filter((request) => request.status === 401)).toEqual([]);
  });

  test("are fetched anew when the registry no longer takes them", async () => {
    const server = await registry({ auth: { kind: "bearer", users } });
    const made = await clientWith({ [server.host]: login("me:secret") });
    const repository = { registry: server.host, name: "shop" };
    await pushBuilt(made, repository, buildImage(), "v1");
    await made.fetchManifest({ ...repository, tag: "v1" });
    const challenge = `Bearer realm="http://${server.host}/token",service="goldenpath-registry"`;
    server.faults = [
      {
        path: "/manifests/",
        times: 1,
        action: { kind: "status", status: 401, headers: { "WWW-Authenticate": challenge } },
      },
    ];
    const before = tokenRequests(server).length;
    await made.fetchManifest({ ...repository, tag: "v1" });
    expect(tokenRequests(server)).toHaveLength(before + 1);
  });

  test("for a mount cover the source as well", async () => {
    const server = await registry({ auth: { kind: "bearer", users } });
    const made = await clientWith({ [server.host]: login("me:secret") });
    const from = { registry: server.host, name: "quarantine/shop" };
    const to = { registry: server.host, name: "vetted/shop" };
    const [blob] = buildImage().blobs;
    if (blob === undefined) throw new Error("no blob");
    await made.pushBlob(from, blob.descriptor, () => blob.bytes);
    expect(await made.mountBlob(to, blob.descriptor.digest, from)).toBe(true);
    const scopes = tokenRequests(server).map((request) => new URLSearchParams(request.query).getAll("scope"));
    expect(scopes.at(-1)).toEqual(["repository:vetted/shop:pull,push", "repository:quarantine/shop:pull"]);
  });

  test("an identity token is exchanged by POST", async () => {
    const server = await registry({ auth: { kind: "bearer", users } });
    const answer = await fetch(`${server.url}/token?offline_token=true&service=x`, {
      headers: { authorization: `Basic ${login("me:secret").auth}` },
    });
    const { refresh_token } = (await answer.json()) as { refresh_token: string };
    const made = await clientWith({ [server.host]: { identitytoken: refresh_token } });
    const repository = { registry: server.host, name: "shop" };
    server.requests.length = 0;
    await pushBuilt(made, repository, buildImage(), "v1");
    expect(tokenRequests(server).map((request) => [request.method, request.query])).toEqual([["POST", ""]]);
    expect(masked).toContain(refresh_token);
    const wrong = await clientWith({ [server.host]: { identitytoken: "wrong" } });
    await expect(wrong.fetchManifest({ ...repository, tag: "v1" })).rejects.toMatchObject(unauthorized);
  });

  test.each([404, 405])(
    "an identity token goes by GET where the token service answers its POST with %d, and never POSTs again",
    async (status) => {
      const seen: string[] = [];
      const host = await http((request, response) => {
        const { authorization, host: own } = request.headers;
        const path = request.url?.split("?")[0] ?? "";
        seen.push(`${request.method} ${path} ${authorization ?? "nobody"}`);
        request.resume();
        if (path === "/token") response.writeHead(request.method === "POST" ? status : 200).end('{"token":"good"}');
        else if (authorization === "Bearer good") response.writeHead(404).end();
        else response.writeHead(401, { "WWW-Authenticate": `Bearer realm="http://${own}/token"` }).end();
      });
      const made = await clientWith({ [host]: { identitytoken: "refresh" } });
      await made.resolve({ registry: host, name: "a", tag: "v1" });
      await made.resolve({ registry: host, name: "b", tag: "v1" });
      const login = `Basic ${Buffer.from(":refresh").toString("base64")}`;
      expect(seen.filter((each) => each.includes("/token"))).toEqual([
        "POST /token nobody",
        `GET /token ${login}`,
        `GET /token ${login}`,
      ]);
    },
  );

  test("a ready bearer token that is refused is not sent again", async () => {
    const seen: (string | undefined)[] = [];
    const host = await http((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(401, { "WWW-Authenticate": `Bearer realm="http://${request.headers.host}/token"` }).end();
    });
    const made = await clientWith({ [host]: { registrytoken: "old" } });
    for (const _time of [1, 2])
      await expect(made.resolve({ registry: host, name: "a", tag: "b" })).rejects.toMatchObject(unauthorized);
    expect(seen).toEqual([undefined, "Bearer old", "Bearer old"]);
  });

  test("one that expires while content is being sent is asked for anew once, and the content is sent again from its start", async () => {
    const bodies: string[] = [];
    let tokens = 0;
    const host = await http(async (request, response) => {
      const { authorization, host: own } = request.headers;
      if (request.url?.startsWith("/token")) return void response.end(JSON.stringify({ token: `t${++tokens}` }));
      let text = "";
      for await (const chunk of request) text += chunk;
      const challenge = { "WWW-Authenticate": `Bearer realm="http://${own}/token",error="invalid_token"` };
      if (authorization === undefined) return void response.writeHead(401, challenge).end();
      if (request.method === "HEAD") return void response.writeHead(404).end();
      if (request.method === "POST")
        return void response.writeHead(202, { location: "/v2/shop/blobs/uploads/1" }).end();
      bodies.push(`${authorization} ${text}`);
      // The token was good when the upload began.
      response.writeHead(authorization === "Bearer t1" ? 401 : 201, challenge).end();
    });
    const made = await clientWith({ [host]: login("me:secret") });
    const [blob] = buildImage().blobs;
    if (blob === undefined) throw new Error("no blob");
    await made.pushBlob({ registry: host, name: "shop" }, blob.descriptor, () => blob.bytes);
    const text = new TextDecoder().decode(blob.bytes);
    expect(bodies).toEqual([`Bearer t1 ${text}`, `Bearer t2 ${text}`]);
    expect(tokens).toBe(2);
  });

  test("a ready bearer token is sent as it is", async () => {
    const seen: (string | undefined)[] = [];
    const host = await http((request, response) => {
      seen.push(request.headers.authorization);
      response
        .writeHead(seen.length === 1 ? 401 : 404, {
          "WWW-Authenticate": `Bearer realm="http://${request.headers.host}/token"`,
        })
        .end();
    });
    expect(
      await (await clientWith({ [host]: { registrytoken: "ready" } })).resolve({ registry: host, name: "a", tag: "b" }),
    ).toBeUndefined();
    expect(seen).toEqual([undefined, "Bearer ready"]);
  });
});

test.each([
  [[], []],
  [["repository:a:pull"], ["repository:a:pull"]],
  [["repository:a:push,pull", "repository:a:pull"], ["repository:a:pull,push"]],
  [
    ["repository:a:pull", "repository:b:pull", "repository:a:push"],
    ["repository:a:pull,push", "repository:b:pull"],
  ],
  [["repository:localhost:5000/a:pull"], ["repository:localhost:5000/a:pull"]],
  [["", "nonsense", ":", "repository:a:"], []],
])("scopes %j merge to %j", (scopes, expected) => {
  expect(mergeScopes(scopes)).toEqual(expected);
});
