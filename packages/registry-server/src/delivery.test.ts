import { type IncomingHttpHeaders, request } from "node:http";
import { connect } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type FaultAction, type RegistryServer, startRegistry } from "./server.ts";
import { describeContent, digestOf, imageType, putBlob, putImage, renderManifest, sendManifest } from "./testing.ts";

const content = "0123456789".repeat(20_000);

/** What a client gets to see: as much of the answer as came, and how it ended. */
interface Observation {
  status?: number;
  headers: IncomingHttpHeaders;
  body: string;
  end: "whole" | "broken" | "silent";
}

/** One request on a connection of its own; given up as `silent` once nothing has come for `patience` milliseconds. */
function observe(url: string, { method = "GET", patience = 10_000 } = {}): Promise<Observation> {
  return new Promise((resolve) => {
    const seen: Observation = { headers: {}, body: "", end: "broken" };
    const finish = (end: Observation["end"]) => {
      resolve({ ...seen, end });
      outgoing.destroy();
    };
    const outgoing = request(url, { method, agent: false }, (answer) => {
      seen.status = answer.statusCode ?? 0;
      seen.headers = answer.headers;
      answer.setEncoding("latin1");
      answer.on("data", (chunk: string) => {
        seen.body += chunk;
      });
      answer.on("end", () => finish(answer.complete ? "whole" : "broken"));
      answer.on("error", () => finish("broken"));
    });
    outgoing.setTimeout(patience, () => finish("silent"));
    outgoing.on("error", () => finish("broken"));
    outgoing.end();
  });
}

describe("a scripted fault", () => {
  let server: RegistryServer;
  let blob: string;
  let digest: string;
  beforeEach(async () => {
    server = await startRegistry();
    digest = (await putBlob(server.url, "shop", content)).digest;
    blob = `${server.url}/v2/shop/blobs/${digest}`;
    server.requests.length = 0;
  });
  afterEach(() => server.close());
  const script = (action: FaultAction) => {
    server.faults = [{ times: 1, action }];
  };
  /** The fault has passed: the same request is answered rightly. */
  const expectRecovery = async () =>
    expect(await observe(blob)).toMatchObject({ status: 200, body: content, end: "whole" });

  it("answers with a status, headers and a body in the registry's place", async () => {
    script({ kind: "status", status: 429, headers: { "Retry-After": "7" } });
    const limited = await observe(blob);
    expect(limited).toMatchObject({ status: 429, headers: { "retry-after": "7" }, end: "whole" });
    expect(JSON.parse(limited.body)).toMatchObject({ errors: [{ code: "TOOMANYREQUESTS" }] });
    script({ kind: "status", status: 502, body: "<html>" });
    expect(await observe(blob)).toMatchObject({ status: 502, body: "<html>" });
    expect(server.requests.map(({ status, fault }) => [status, fault])).toEqual([
      [429, "status"],
      [502, "status"],
    ]);
    await expectRecovery();
  });

  it.each<FaultAction>([{ kind: "status", status: 503 }, { kind: "reset" }])(
    "comes before the registry does anything: %j",
    async (action) => {
      script(action);
      expect((await observe(blob, { method: "DELETE" })).status).not.toBe(202);
      await expectRecovery();
    },
  );

  it.each<FaultAction>([
    { kind: "status", status: 503, processed: true },
    { kind: "reset", processed: true },
    { kind: "reset-headers" },
    { kind: "reset-request", afterBytes: 0 },
  ])("loses the answer to what was done: %j", async (action) => {
    script(action);
    expect((await observe(blob, { method: "DELETE" })).status).not.toBe(202);
    expect((await observe(blob)).status).toBe(404);
  });

  it.each<FaultAction>([{ kind: "reset" }, { kind: "reset-headers" }])(
    "breaks off before the answer is one: %j",
    async (action) => {
      script(action);
      expect(await observe(blob)).toEqual({ headers: {}, body: "", end: "broken" });
      expect(server.requests[0]).toMatchObject({ status: 0, fault: action.kind });
      await expectRecovery();
    },
  );

  it.each([0, 1, 100_000, content.length - 1])("breaks off after %d bytes of the body", async (afterBytes) => {
    for (const kind of ["reset-body", "truncate"] as const) {
      script({ kind, afterBytes });
      const seen = await observe(blob);
      expect(seen).toMatchObject({ status: 200, headers: { "content-length": String(content.length) }, end: "broken" });
      expect(seen.body).toBe(content.slice(0, afterBytes));
      expect(server.requests.at(-1)).toMatchObject({ status: 200, bytesOut: afterBytes });
    }
    await expectRecovery();
  });

  it("turns one byte over, and nothing else", async () => {
    script({ kind: "corrupt", at: 70_000 });
    const seen = await observe(blob);
    expect(seen).toMatchObject({ status: 200, headers: { "docker-content-digest": digest }, end: "whole" });
    expect(seen.body.length).toBe(content.length);
    expect([...seen.body].flatMap((char, index) => (char === content[index] ? [] : [index]))).toEqual([70_000]);
    await expectRecovery();
  });

  it("falls silent after some bytes, for good or for a while", async () => {
    script({ kind: "stall", afterBytes: 100 });
    expect(await observe(blob, { patience: 200 })).toMatchObject({
      status: 200,
      body: content.slice(0, 100),
      end: "silent",
    });
    script({ kind: "stall" });
    expect(await observe(blob, { patience: 200 })).toMatchObject({ status: 200, body: "", end: "silent" });
    script({ kind: "stall", afterBytes: 100, milliseconds: 50 });
    expect(await observe(blob)).toMatchObject({ body: content, end: "whole" });
    script({ kind: "delay", milliseconds: 50 });
    expect(await observe(blob)).toMatchObject({ body: content, end: "whole" });
  });

  it("ends a stall when the registry is closed", async () => {
    script({ kind: "stall", afterBytes: 100 });
    const pending = observe(blob);
    while (server.requests.at(-1)?.bytesOut !== 100) await new Promise((resolve) => setTimeout(resolve, 5));
    await server.close();
    expect(await pending).toMatchObject({ body: content.slice(0, 100), end: "broken" });
    server = await startRegistry();
  });

  it("lies about the digest, the length and other headers", async () => {
    script({ kind: "wrong-digest" });
    expect(await observe(blob)).toMatchObject({
      headers: { "docker-content-digest": `sha256:${"0".repeat(64)}` },
      body: content,
      end: "whole",
    });
    script({ kind: "wrong-digest", digest: digestOf("other") });
    expect((await observe(blob)).headers["docker-content-digest"]).toBe(digestOf("other"));
    script({ kind: "headers", set: { "content-type": "text/html", "Docker-Content-Digest": null } });
    const seen = await observe(blob);
    expect([seen.headers["content-type"], seen.headers["docker-content-digest"], seen.body]).toEqual([
      "text/html",
      undefined,
      content,
    ]);
    script({ kind: "content-length", by: 5 });
    expect(await observe(blob)).toMatchObject({
      headers: { "content-length": String(content.length + 5) },
      body: content,
      end: "broken",
    });
    script({ kind: "content-length", by: -5 });
    expect(await observe(blob)).toMatchObject({
      headers: { "content-length": String(content.length - 5) },
      body: content.slice(0, -5),
    });
    await expectRecovery();
  });

  it("sends the client elsewhere", async () => {
    script({ kind: "redirect", location: "http://elsewhere.test{path}", status: 302 });
    expect(await observe(`${blob}?a=b`)).toMatchObject({
      status: 302,
      headers: { location: `http://elsewhere.test/v2/shop/blobs/${digest}?a=b` },
    });
  });

  it("puts another body into the registry's answer", async () => {
    const image = await putImage(server.url, "shop", "v1");
    const url = `${server.url}/v2/shop/manifests/v1`;
    script({ kind: "replace", body: '{"schemaVersion":' });
    expect(await observe(url)).toMatchObject({
      status: 200,
      headers: { "content-type": imageType, "docker-content-digest": image.digest },
      body: '{"schemaVersion":',
      end: "whole",
    });
    script({ kind: "replace", body: " ", repeat: 5_000_000, headers: { "Content-Type": "text/html" } });
    const seen = await observe(url);
    expect([seen.body.length, seen.headers["content-type"]]).toEqual([5_000_000, "text/html"]);
  });

  it("claims a subject whose referrers it doesn't list", async () => {
    for (const referrers of [true, false]) {
      await server.close();
      server = await startRegistry({ referrers, faults: [{ action: { kind: "subject-without-referrers" } }] });
      const config = await putBlob(server.url, "shop", "{}");
      const subject = describeContent("subject", imageType);
      const manifest = renderManifest({ config, layers: [], subject });
      expect((await sendManifest(server.url, "shop", digestOf(manifest), manifest)).headers.get("OCI-Subject")).toBe(
        subject.digest,
      );
      const unrelated = renderManifest({ config, layers: [] });
      expect((await sendManifest(server.url, "shop", digestOf(unrelated), unrelated)).headers.has("OCI-Subject")).toBe(
        false,
      );
      const list = await observe(`${server.url}/v2/shop/referrers/${subject.digest}`);
      expect([list.status, JSON.parse(list.body).manifests]).toEqual([200, []]);
    }
  });
});

it("answers requests that come on one connection before it is done with the answer to the last", async () => {
  const server = await startRegistry();
  try {
    const { port } = new URL(server.url);
    const socket = connect(Number(port), "127.0.0.1");
    const request = "GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n";
    socket.write(request.repeat(3));
    let seen = "";
    for await (const chunk of socket.setTimeout(10_000, () => socket.destroy())) {
      seen += String(chunk);
      if (seen.split("HTTP/1.1 200 OK").length === 4) break;
    }
    expect(seen.split("HTTP/1.1 200 OK")).toHaveLength(4);
    expect(server.requests.map(({ status }) => status)).toEqual([200, 200, 200]);
  } finally {
    await server.close();
  }
});
