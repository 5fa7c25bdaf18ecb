import type { RequestListener } from "node:http";
import { clientWith, login, unauthorized, users } from "@goldenpath/testing/logged-in";
import { http, registry, useCleanups } from "@goldenpath/testing/servers";
import { describe, expect, test } from "vitest";
import { buildImage } from "./testing.ts";

useCleanups();

describe("what a registry may ask for", () => {
  /** A registry of its own making: a challenge, a token service, and what is sent to it. */
  async function fake(challenge: (host: string) => string | string[], token: string | RequestListener) {
    const seen: { url: string; authorization: string | undefined }[] = [];
    const host = await http((request, response) => {
      seen.push({ url: request.url ?? "", authorization: request.headers.authorization });
      if (request.url?.startsWith("/token")) {
        if (typeof token === "string") response.end(token);
        else token(request, response);
      } else if (request.headers.authorization?.startsWith("Bearer good")) response.writeHead(404).end();
      else response.writeHead(401, { "WWW-Authenticate": challenge(request.headers.host ?? "") }).end();
    });
    const made = await clientWith({ [host]: login("me:secret") });
    return { seen, host, resolve: () => made.resolve({ registry: host, name: "shop", tag: "v1" }) };
  }
  const ownRealm = (host: string) => `Bearer realm="http://${host}/token",service="s"`;

  test("a realm on plain http at another host never sees the login", async () => {
    const { seen, resolve } = await fake(() => 'Bearer realm="http://registry.example.com/token"', "{}");
    await expect(resolve()).rejects.toMatchObject({ code: "realm-refused" });
    expect(seen.map((each) => each.authorization)).toEqual([undefined]);
  });

  test("a token service that redirects to another host takes no login along", async () => {
    const other: (string | undefined)[] = [];
    const elsewhere = await http((request, response) => {
      other.push(request.headers.authorization);
      response.end('{"token":"good"}');
    });
    const { resolve } = await fake(
      ownRealm,
      (_request, response) => void response.writeHead(307, { location: `http://${elsewhere}/` }).end(),
    );
    await resolve();
    expect(other).toEqual([undefined]);
  });

  test.each([
    ["a token", '{"token":"good"}'],
    ["an access_token", '{"access_token":"good","expires_in":300}'],
    ["both", '{"token":"good","access_token":"other"}'],
    ["an empty token beside it", '{"token":"","access_token":"good"}'],
  ])("takes %s", async (_what, answer) => {
    const { seen, resolve } = await fake(ownRealm, answer);
    expect(await resolve()).toBeUndefined();
    expect(seen.at(-1)?.authorization).toBe("Bearer good");
    expect(seen[1]).toEqual({
      url: "/token?service=s&scope=repository%3Ashop%3Apull",
      authorization: `Basic ${login("me:secret").auth}`,
    });
  });

  test.each([
    ["no JSON", "<html>"],
    ["no token", "{}"],
    ["an empty token", '{"token":""}'],
    ["a number", '{"token":5}'],
    ["a line break in it", '{"token":"good\\r\\nX-Evil: 1"}'],
    ["null", "null"],
  ])("a token answer with %s is an error", async (_what, answer) => {
    const { seen, resolve } = await fake(ownRealm, answer);
    await expect(resolve()).rejects.toMatchObject({ code: "token-invalid" });
    expect(seen).toHaveLength(2);
  });

  test("a token answer that does not end is an error", async () => {
    const { resolve } = await fake(ownRealm, `{"token":"${"x".repeat(1024 * 1024)}"}`);
    await expect(resolve()).rejects.toMatchObject({ code: "too-large" });
  });

  test("a token that is not taken is asked for anew once, and then it is an error", async () => {
    const { seen, resolve } = await fake(ownRealm, '{"token":"bad"}');
    await expect(resolve()).rejects.toMatchObject(unauthorized);
    expect(seen.map((each) => each.url.split("?")[0])).toEqual([
      "/v2/shop/manifests/v1",
      "/token",
      "/v2/shop/manifests/v1",
    ]);
  });

  test("several challenges in any case: Bearer is taken", async () => {
    const { resolve } = await fake(
      (host) => `Negotiate, BASIC realm="x", bEARER REALM="http://${host}/token"`,
      '{"token":"good"}',
    );
    expect(await resolve()).toBeUndefined();
  });

  test("the scopes that the registry names are asked for as well", async () => {
    const { seen, resolve } = await fake(
      (host) => `${ownRealm(host)},scope="repository:shop:pull registry:catalog:*"`,
      '{"token":"good"}',
    );
    await resolve();
    expect(new URL(`http://x${seen[1]?.url}`).searchParams.getAll("scope")).toEqual([
      "repository:shop:pull",
      "registry:catalog:*",
    ]);
  });

  test.each([401, 403])(
    "a token for too little (%d, insufficient_scope) is asked for again with what the registry names, and so from then on",
    async (status) => {
      const seen: string[] = [];
      const host = await http((request, response) => {
        const { authorization, host: own } = request.headers;
        const { pathname, searchParams } = new URL(`http://x${request.url}`);
        const scopes = searchParams.getAll("scope").join(" ");
        seen.push(pathname === "/token" ? scopes : `${pathname} ${authorization ?? "nobody"}`);
        if (pathname === "/token")
          response.end(JSON.stringify({ token: scopes.includes("extra") ? "wide" : "narrow" }));
        else if (authorization === "Bearer wide") response.writeHead(404).end();
        else {
          const challenge = `Bearer realm="http://${own}/token"`;
          const more = ',error="insufficient_scope",scope="repository:extra:pull repository:shop:pull"';
          const isNarrow = authorization === "Bearer narrow";
          response.writeHead(isNarrow ? status : 401, { "WWW-Authenticate": challenge + (isNarrow ? more : "") }).end();
        }
      });
      const made = await clientWith({ [host]: login("me:secret") });
      const reference = { registry: host, name: "shop", tag: "v1" };
      expect(await made.resolve(reference)).toBeUndefined();
      const target = "/v2/shop/manifests/v1";
      expect(seen).toEqual([
        `${target} nobody`,
        "repository:shop:pull",
        `${target} Bearer narrow`,
        "repository:shop:pull repository:extra:pull",
        `${target} Bearer wide`,
      ]);
      seen.length = 0;
      expect(await made.resolve(reference)).toBeUndefined();
      expect(seen).toEqual([`${target} Bearer wide`]);
    },
  );

  test("who lacks the right gets no second token for the same scopes, and a 403 without more is an answer", async () => {
    for (const status of [401, 403]) {
      const seen: string[] = [];
      const host = await http((request, response) => {
        const { host: own } = request.headers;
        seen.push(new URL(`http://x${request.url}`).pathname);
        if (seen.at(-1) === "/token") return void response.end('{"token":"little"}');
        const challenge = `Bearer realm="http://${own}/token",scope="repository:shop:pull",error="insufficient_scope"`;
        response.writeHead(seen.length === 1 ? 401 : status, { "WWW-Authenticate": challenge }).end();
      });
      const made = await clientWith({ [host]: login("me:secret") });
      await expect(made.resolve({ registry: host, name: "shop", tag: "v1" })).rejects.toMatchObject(unauthorized);
      expect(seen).toEqual(["/v2/shop/manifests/v1", "/token", "/v2/shop/manifests/v1"]);
    }
  });

  test("who asks for another scope each time gets three tries", async () => {
    let tokens = 0;
    let requests = 0;
    const host = await http((request, response) => {
      if (request.url?.startsWith("/token") === true) return void response.end(`{"token":"t${++tokens}"}`);
      const challenge = `Bearer realm="http://${request.headers.host}/token",scope="repository:r${++requests}:pull",error="insufficient_scope"`;
      response.writeHead(requests % 2 === 0 ? 403 : 401, { "WWW-Authenticate": challenge }).end();
    });
    const made = await clientWith({ [host]: login("me:secret") });
    await expect(made.resolve({ registry: host, name: "shop", tag: "v1" })).rejects.toMatchObject(unauthorized);
    expect({ requests, tokens }).toEqual({ requests: 3, tokens: 2 });
  });

  test("a 401 without a challenge is an answer, and the login stays here", async () => {
    const seen: (string | undefined)[] = [];
    const host = await http((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(401).end();
    });
    const made = await clientWith({ [host]: login("me:secret") });
    await expect(made.resolve({ registry: host, name: "shop", tag: "v1" })).rejects.toMatchObject(unauthorized);
    expect(seen).toEqual([undefined]);
  });

  test("a kind of login that is not known is an error", async () => {
    const { resolve } = await fake(() => "Negotiate", "{}");
    await expect(resolve()).rejects.toMatchObject({ code: "registry-error" });
  });

  test("a 401 from where it redirects to does not get the login", async () => {
    const seen: (string | undefined)[] = [];
    const storage = await http((request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(401, { "WWW-Authenticate": 'Basic realm="storage"' }).end();
    });
    const host = await http(
      (_request, response) => void response.writeHead(307, { location: `http://${storage}/blob` }).end(),
    );
    const made = await clientWith({ [host]: login("me:secret"), [storage]: login("other:secret") });
    await expect(made.resolve({ registry: host, name: "shop", tag: "v1" })).rejects.toMatchObject(unauthorized);
    expect(seen).toEqual([undefined]);
  });

  test("an upload location at another host does not get the login", async () => {
    const seen: (string | undefined)[] = [];
    const storage = await http((request, response) => {
      seen.push(request.headers.authorization);
      request.resume();
      response.writeHead(201).end();
    });
    const server = await registry({
      auth: { kind: "basic", users },
      faults: [{ method: "POST", action: { kind: "headers", set: { Location: `http://${storage}/upload` } } }],
    });
    const made = await clientWith({ [server.host]: login("me:secret"), [storage]: login("other:secret") });
    const [blob] = buildImage().blobs;
    if (blob === undefined) throw new Error("no blob");
    await made.pushBlob({ registry: server.host, name: "shop" }, blob.descriptor, () => blob.bytes);
    expect(seen).toEqual([undefined]);
  });
});
