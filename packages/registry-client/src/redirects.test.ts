import { createServer, type RequestListener } from "node:http";
import { silentPorts } from "@goldenpath/foundation/ports";
import { listen, patientTransport, registry, useCleanups } from "@goldenpath/testing/servers";
import { describe, expect, test } from "vitest";

useCleanups();

const http = (listener: RequestListener): Promise<number> => listen(createServer(listener));
const get = (url: string) => ({ method: "GET" as const, url: new URL(url), readUpTo: 1000 });

describe("redirects", () => {
  const withLogin = (url: string) => ({ ...get(url), headers: { authorization: "Basic c2VjcmV0" } });

  test("the login goes along on the same host and port, and to no other", async () => {
    const other = await registry();
    const first = await registry({
      faults: [{ path: "^/v2/a/", action: { kind: "redirect", location: `${other.url}/v2/` } }],
    });
    expect((await patientTransport().send(withLogin(`${first.url}/v2/a/x`))).url.host).toBe(new URL(other.url).host);
    expect(first.requests[0]?.headers.authorization).toBe("Basic c2VjcmV0");
    expect(other.requests).toHaveLength(1);
    expect(other.requests[0]?.headers).not.toHaveProperty("authorization");

    first.faults = [{ path: "^/v2/a/", action: { kind: "redirect", location: "/v2/" } }];
    first.requests.length = 0;
    await patientTransport().send(withLogin(`${first.url}/v2/a/x`));
    expect(first.requests.map((request) => request.headers.authorization)).toEqual([
      "Basic c2VjcmV0",
      "Basic c2VjcmV0",
    ]);
  });

  test("the login does not come back on the way home", async () => {
    const first = await registry();
    const other = await registry({ faults: [{ action: { kind: "redirect", location: `${first.url}/v2/` } }] });
    first.faults = [{ path: "^/v2/a/", action: { kind: "redirect", location: `${other.url}/x` } }];
    await patientTransport().send(withLogin(`${first.url}/v2/a/x`));
    expect(first.requests.map((request) => request.headers.authorization)).toEqual(["Basic c2VjcmV0", undefined]);
  });

  test.each(["http://registry.example.com/x", "ftp://localhost/x", "http://"])("to %s is refused", async (location) => {
    const server = await registry({ faults: [{ action: { kind: "redirect", location } }] });
    await expect(patientTransport().send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "redirect-refused" });
  });

  test("in a circle end in an error", async () => {
    const server = await registry({ faults: [{ action: { kind: "redirect", location: "{path}" } }] });
    await expect(patientTransport().send(get(`${server.url}/v2/`))).rejects.toMatchObject({ code: "redirect-refused" });
    expect(server.requests).toHaveLength(11);
  });

  test("a PUT follows a 307 with its body, and a POST with a body does not go to another host", async () => {
    const bodies: string[] = [];
    const port = await http(async (request, response) => {
      let text = "";
      for await (const chunk of request) text += chunk;
      bodies.push(`${request.method} ${text}`);
      response.writeHead(201).end();
    });
    const server = await registry({
      faults: [{ action: { kind: "redirect", location: `http://127.0.0.1:${port}/x` } }],
    });
    const body = new TextEncoder().encode("content");
    expect((await patientTransport().send({ method: "PUT", url: new URL(`${server.url}/v2/a`), body })).status).toBe(
      201,
    );
    await expect(
      patientTransport().send({ method: "POST", url: new URL(`${server.url}/v2/a`), body }),
    ).rejects.toMatchObject({
      code: "redirect-refused",
    });
    expect(bodies).toEqual(["PUT content"]);
  });

  test("what only the host itself can do does not follow to another one, and does within it", async () => {
    const other = await registry();
    const elsewhere = { kind: "redirect" as const, location: `${other.url}{path}` };
    const server = await registry({ faults: [{ action: elsewhere }] });
    for (const method of ["POST", "DELETE", "PUT"] as const) {
      const request = { method, url: new URL(`${server.url}/v2/a`), staysOnHost: method === "PUT" };
      await expect(patientTransport().send(request)).rejects.toMatchObject({ code: "redirect-refused" });
      expect(other.requests).toEqual([]);
      server.faults = [{ times: 1, action: { ...elsewhere, location: "{path}" } }];
      expect((await patientTransport().send(request)).url.host).toBe(new URL(server.url).host);
      server.faults = [{ action: elsewhere }];
    }
  });

  test("a 303 is followed by a GET without the content", async () => {
    const seen: string[] = [];
    const port = await http((request, response) => {
      seen.push(
        `${request.method} ${request.headers["content-length"] ?? "nothing"} ${request.headers["content-type"] ?? "nothing"}`,
      );
      if (request.method === "PUT") response.writeHead(303, { location: "/b" });
      request.resume().on("end", () => response.end());
    });
    const headers = { "content-type": "text/plain" };
    const request = {
      method: "PUT" as const,
      url: new URL(`http://127.0.0.1:${port}/a`),
      headers,
      body: new Uint8Array(1),
    };
    expect((await patientTransport().send(request)).status).toBe(200);
    expect(seen).toEqual(["PUT 1 text/plain", "GET nothing nothing"]);
  });

  test.each([301, 302])("a PUT does not follow a %d", async (status) => {
    const server = await registry({ faults: [{ action: { kind: "redirect", location: "/v2/", status } }] });
    const request = { method: "PUT" as const, url: new URL(`${server.url}/v2/a`), body: new Uint8Array(1) };
    await expect(patientTransport().send(request)).rejects.toMatchObject({ code: "redirect-refused" });
    expect(server.requests).toHaveLength(1);
  });
});

describe("proxies", () => {
  test("https goes through HTTPS_PROXY, but not to a host of NO_PROXY; localhost goes through none", async () => {
    const seen: string[] = [];
    const proxy = createServer((request, response) => {
      seen.push(request.url ?? "");
      response.writeHead(500).end();
    });
    proxy.on("connect", (request, socket) => {
      seen.push(request.url ?? "");
      socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
    });
    const url = `http://127.0.0.1:${await listen(proxy)}`;
    const server = await registry();
    const made = patientTransport({
      attempts: 1,
      env: { HTTPS_PROXY: url, HTTP_PROXY: url, NO_PROXY: "direct.invalid" },
    });
    await expect(made.send(get("https://registry.invalid/v2/"))).rejects.toMatchObject({
      code: "registry-unreachable",
    });
    await expect(made.send(get("https://direct.invalid/v2/"))).rejects.toMatchObject({
      message: expect.stringContaining("direct.invalid"),
    });
    expect((await made.send(get(`${server.url}/v2/`))).status).toBe(200);
    expect(seen).toEqual(["registry.invalid:443"]);
  });

  test.each(["127.0.0.1:PORT", "localhost:PORT", "me:pass@127.0.0.1:PORT", " http://127.0.0.1:PORT "])(
    "a proxy may be written as %j",
    async (form) => {
      const seen: string[] = [];
      const proxy = createServer();
      proxy.on("connect", (asked, socket) => {
        seen.push(asked.url ?? "");
        socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
      });
      const value = form.replace("PORT", String(await listen(proxy)));
      const made = patientTransport({
        attempts: 1,
        env: { HTTPS_PROXY: value, https_proxy: "", NO_PROXY: "10.0.0.0/8" },
      });
      await expect(made.send(get("https://registry.invalid/v2/"))).rejects.toMatchObject({
        code: "registry-unreachable",
      });
      expect(seen).toEqual(["registry.invalid:443"]);
    },
  );

  test("a proxy's password is masked, and a proxy that is no URL is an error that does not repeat it", () => {
    const masked: string[] = [];
    const ports = { ...silentPorts(), mask: (secret: string) => void masked.push(secret) };
    patientTransport({ ports, env: { https_proxy: "http://me:se%20cret@proxy.corp:3128" } });
    expect(masked.sort()).toEqual(["se cret", "se%20cret"]);
    expect(() => patientTransport({ env: { HTTPS_PROXY: "me:hunter2@proxy" } })).toThrow(
      /HTTPS_PROXY is not the http or https URL of a proxy/,
    );
    expect(() => patientTransport({ env: { HTTPS_PROXY: "me:hunter2@proxy" } })).not.toThrow(/hunter2/);
    for (const login of ["me:100%", "m%e:secret"]) {
      expect(() => patientTransport({ env: { HTTPS_PROXY: `http://${login}@proxy.corp:3128` } })).toThrow(
        /is not the http or https URL of a proxy/,
      );
    }
  });
});
