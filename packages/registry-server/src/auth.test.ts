import { afterEach, describe, expect, it } from "vitest";
import { type AuthOptions, type RegistryServer, startRegistry } from "./server.ts";
import { digestOf, errorCodes } from "./testing.ts";

const users = { joe: "secret: with a colon" };
const basic = (name: string, password: string) => ({
  Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`,
});
const joe = basic("joe", users.joe);

let server: RegistryServer;
const start = async (auth: AuthOptions) => {
  server = await startRegistry({ auth });
};
afterEach(() => server.close());

const call = (path: string, headers: Record<string, string> = {}, method = "GET") =>
  fetch(`${server.url}${path}`, { method, headers });
const upload = (name: string, headers: Record<string, string>, query = "") =>
  call(`/v2/${name}/blobs/uploads/${query}`, headers, "POST");
const expectRefused = async (answer: Response, challenge: string) => {
  expect([answer.status, answer.headers.get("WWW-Authenticate")]).toEqual([401, challenge]);
  expect(await errorCodes(answer)).toEqual(["UNAUTHORIZED"]);
};

describe("basic authentication", () => {
  it("refuses everybody else, everywhere", async () => {
    await start({ kind: "basic", users });
    const wrong = [
      {},
      basic("joe", "wrong"),
      basic("joe", ""),
      basic("jane", users.joe),
      basic("constructor", ""),
      { Authorization: "Basic !" },
      { Authorization: "Bearer x" },
    ];
    for (const headers of wrong) {
      for (const path of ["/v2/", "/v2/_catalog", "/v2/shop/tags/list"])
        await expectRefused(await call(path, headers), 'Basic realm="goldenpath-registry"');
      await expectRefused(await upload("shop", headers), 'Basic realm="goldenpath-registry"');
    }
    expect((await call("/token", joe)).status).toBe(404);
  });

  it("lets who may only pull do that, and nothing else", async () => {
    await start({ kind: "basic", users, readers: { eve: "reads" } });
    const eve = basic("eve", "reads");
    for (const refused of [await upload("shop", eve), await call("/v2/shop/manifests/v1", eve, "DELETE")]) {
      expect(refused.status).toBe(403);
      expect(await errorCodes(refused)).toEqual(["DENIED"]);
    }
    expect((await call("/v2/_catalog", eve)).status).toBe(403);
    expect((await call("/v2/", eve)).status).toBe(200);
    expect((await call("/v2/shop/tags/list", eve)).status).toBe(404);
    expect((await upload("shop", basic("joe", users.joe))).status).toBe(202);
  });

  it("lets its users in", async () => {
    await start({ kind: "basic", users });
    expect((await call("/v2/", joe)).status).toBe(200);
    expect((await upload("shop", joe)).status).toBe(202);
  });
});

describe("bearer authentication", () => {
  const realm = () => `Bearer realm="${server.url}/token",service="goldenpath-registry"`;
  const getToken = async (query: string, headers: Record<string, string> = joe) => {
    const answer = await call(`/token?service=goldenpath-registry&${query}`, headers);
    expect(answer.status).toBe(200);
    return (await answer.json()) as {
      token: string;
      access_token: string;
      expires_in: number;
      issued_at: string;
      refresh_token?: string;
    };
  };
  const bearer = async (query: string, headers?: Record<string, string>) => ({
    Authorization: `Bearer ${(await getToken(query, headers)).token}`,
  });
  const postToken = (form: Record<string, string>) =>
    fetch(`${server.url}/token`, { method: "POST", body: new URLSearchParams(form) });

  it("says which scope it wants", async () => {
    await start({ kind: "bearer", users });
    await expectRefused(await call("/v2/"), realm());
    await expectRefused(await call("/v2/shop/tags/list"), `${realm()},scope="repository:shop:pull"`);
    await expectRefused(await upload("shop", {}), `${realm()},scope="repository:shop:pull,push"`);
    await expectRefused(await call("/v2/shop/manifests/v1", {}, "DELETE"), `${realm()},scope="repository:shop:delete"`);
    await expectRefused(await call("/v2/_catalog"), `${realm()},scope="registry:catalog:*"`);
    await expectRefused(await call("/v2/", { Authorization: "Bearer made-up" }), `${realm()},error="invalid_token"`);
    await expectRefused(await call("/v2/", joe), `${realm()},error="invalid_token"`);
  });

  it("gives no token to strangers", async () => {
    await start({ kind: "bearer", users });
    for (const headers of [{}, basic("joe", "wrong"), basic("jane", "")])
      await expectRefused(await call("/token", headers), 'Basic realm="goldenpath-registry"');
    for (const form of [
      {},
      { grant_type: "password", username: "joe", password: "wrong" },
      { grant_type: "refresh_token", refresh_token: "made-up" },
      { grant_type: "refresh_token", username: "joe", password: users.joe },
    ] as Record<string, string>[]) {
      await expectRefused(await postToken(form), 'Basic realm="goldenpath-registry"');
    }
  });

  it("holds a token to its scopes", async () => {
    await start({ kind: "bearer", users });
    const pull = await bearer("scope=repository:shop:pull");
    expect((await call("/v2/", pull)).status).toBe(200);
    expect((await call("/v2/shop/tags/list", pull)).status).toBe(404);
    await expectRefused(
      await upload("shop", pull),
      `${realm()},scope="repository:shop:pull,push",error="insufficient_scope"`,
    );
    await expectRefused(
      await call("/v2/other/tags/list", pull),
      `${realm()},scope="repository:other:pull",error="insufficient_scope"`,
    );
    await expectRefused(
      await call("/v2/_catalog", pull),
      `${realm()},scope="registry:catalog:*",error="insufficient_scope"`,
    );
    const push = await bearer("scope=repository:shop:pull,push");
    expect((await upload("shop", push)).status).toBe(202);
    expect((await call("/v2/shop/manifests/v1", push, "DELETE")).status).toBe(401);
    expect((await upload("shop", await bearer("scope=repository:shop:push"))).status).toBe(401);
    expect((await call("/v2/_catalog", await bearer("scope=registry:catalog:*"))).status).toBe(200);
    expect((await call("/v2/shop/tags/list", await bearer("scope=shop"))).status).toBe(401);
    const several = await bearer("scope=repository:a:pull&scope=repository:b:pull%20repository:c:pull");
    for (const name of ["a", "b", "c"]) expect((await call(`/v2/${name}/tags/list`, several)).status).toBe(404);
  });

  it("mounts only what the token may pull", async () => {
    await start({ kind: "bearer", users });
    const digest = digestOf("content");
    const both = await bearer("scope=repository:secret:pull,push&scope=repository:shop:pull,push");
    await fetch(`${server.url}/v2/secret/blobs/uploads/?digest=${digest}`, {
      method: "POST",
      body: "content",
      headers: both,
    });
    const mount = `?mount=${digest}&from=secret`;
    expect((await upload("shop", await bearer("scope=repository:shop:pull,push"), mount)).status).toBe(202);
    expect((await server.snapshot()).shop).toBeUndefined();
    expect((await upload("shop", both, mount)).status).toBe(201);
  });

  it("takes no token that has expired", async () => {
    await start({ kind: "bearer", users, expiresIn: 0 });
    await expectRefused(await call("/v2/", await bearer("")), `${realm()},error="invalid_token"`);
  });

  it("gives strangers tokens to pull with, where told to", async () => {
    await start({ kind: "bearer", users, anonymousPull: true });
    const anonymous = await bearer("scope=repository:shop:pull,push", {});
    expect((await call("/v2/shop/tags/list", anonymous)).status).toBe(404);
    expect((await upload("shop", anonymous)).status).toBe(401);
    expect((await call("/v2/_catalog", await bearer("scope=registry:catalog:*", {}))).status).toBe(401);
    await expectRefused(await call("/token", basic("joe", "wrong")), 'Basic realm="goldenpath-registry"');
  });

  it("writes a token both ways, with its life", async () => {
    await start({ kind: "bearer", users, expiresIn: 120 });
    const token = await getToken("");
    expect(token).toMatchObject({
      access_token: token.token,
      expires_in: 120,
      issued_at: expect.stringMatching(/^\d{4}-.*Z$/),
    });
    expect(token).not.toHaveProperty("refresh_token");
  });

  it("gives tokens by POST, for a password and for a refresh token", async () => {
    await start({ kind: "bearer", users });
    const answer = await postToken({
      grant_type: "password",
      username: "joe",
      password: users.joe,
      access_type: "offline",
      scope: "repository:shop:pull",
    });
    const { access_token, refresh_token } = (await answer.json()) as { access_token: string; refresh_token: string };
    expect((await call("/v2/shop/tags/list", { Authorization: `Bearer ${access_token}` })).status).toBe(404);
    const again = await postToken({ grant_type: "refresh_token", refresh_token, scope: "repository:other:pull" });
    const next = (await again.json()) as { access_token: string };
    expect((await call("/v2/other/tags/list", { Authorization: `Bearer ${next.access_token}` })).status).toBe(404);
    expect((await call("/v2/shop/tags/list", { Authorization: `Bearer ${next.access_token}` })).status).toBe(401);
    expect(await getToken("offline_token=true")).toHaveProperty("refresh_token");
  });
});
