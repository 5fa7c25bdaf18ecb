import { createHash } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import type { SignedEnvelope } from "@goldenpath/core/signing/schemes/keyless/log";
import { writeToLog } from "@goldenpath/core/signing/schemes/keyless/log";
import { bundleFromJSON, bundleToJSON } from "@sigstore/bundle";
import { dsse } from "@sigstore/core";
import { toSignedEntity, Verifier } from "@sigstore/verify";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SigstoreStandIn, startSigstore } from "../../scripts/tools/sigstore-stand-in.ts";

// The log's first version, which GitHub's and the public instance have. The real one needs databases that can't be had
// in a test: it is a stand-in of the field's own pieces here, and its entries hold by its trusted root.

let sigstore: SigstoreStandIn;
beforeAll(async () => {
  sigstore = await startSigstore();
});
afterAll(() => sigstore?.close());

const surroundings = {
  ports: { log: { debug() {}, info() {}, warning() {}, error() {} }, mask() {} },
  env: {},
  signal: new AbortController().signal,
} as unknown as Parameters<typeof writeToLog>[2];

/** A bundle of another client, and what it is of. */
async function makeSigned(): Promise<{ bundle: ReturnType<typeof bundleFromJSON>; signed: SignedEnvelope }> {
  const text = await sigstore.sign(Buffer.from("a statement"), { subject: "me", issuer: "https://i" }, "statement");
  const bundle = bundleFromJSON(JSON.parse(text));
  const { content, verificationMaterial } = bundle;
  if (content.$case !== "dsseEnvelope" || verificationMaterial.content.$case !== "certificate") throw new TypeError();
  const { payload, payloadType, signatures } = content.dsseEnvelope;
  const der = verificationMaterial.content.certificate.rawBytes.toString("base64");
  const envelope = JSON.stringify((bundleToJSON(bundle) as { dsseEnvelope: object }).dsseEnvelope);
  return {
    bundle,
    signed: {
      signed: dsse.preAuthEncoding(payloadType, payload),
      signature: signatures[0]?.sig ?? Buffer.alloc(0),
      certificate: `-----BEGIN CERTIFICATE-----\n${der}\n-----END CERTIFICATE-----\n`,
      envelope,
    },
  };
}

/** A server that gives one answer, or asks the stand-in. */
async function serve(listener: RequestListener): Promise<{ url: string; close(): void }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => void server.close() };
}

describe("an answer that is no entry", () => {
  test.each([
    ["nothing", "{}"],
    ["two entries", JSON.stringify({ a: {}, b: {} })],
    ["no JSON", "<html>"],
    ["an entry without a body", JSON.stringify({ a: { logID: "", logIndex: 1, integratedTime: 1, verification: {} } })],
    [
      "an entry whose body says nothing",
      JSON.stringify({ a: { body: "AA==", logID: "", logIndex: 1, integratedTime: 1, verification: {} } }),
    ],
  ])("%s", async (_what, answer) => {
    const { signed } = await makeSigned();
    const log = await serve((_request, response) => void response.writeHead(201).end(answer));
    try {
      await expect(writeToLog(signed, { rekor: log.url, rekorVersion: 1 }, surroundings)).rejects.toMatchObject({
        code: "sigstore-unavailable",
      });
    } finally {
      log.close();
    }
  });

  test("a refusal is said as one, with what the log says", async () => {
    const { signed } = await makeSigned();
    const log = await serve((_request, response) => void response.writeHead(400).end("no such kind"));
    try {
      await expect(writeToLog(signed, { rekor: log.url, rekorVersion: 1 }, surroundings)).rejects.toMatchObject({
        code: "sigstore-refused",
        message: expect.stringContaining("no such kind"),
      });
    } finally {
      log.close();
    }
  });
});

/**
 * A log as the real one answers: it keeps of an envelope the digests, and its signatures with their certificates
 * (rekor's pkg/types/dsse/v0.0.1), where the stand-in keeps what it is sent. What it has already it names.
 */
async function serveLog(hasAlready: boolean): Promise<{ url: string; asked: string[]; close(): void }> {
  const asked: string[] = [];
  let proposal = "";
  const log = await serve(async (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    if (request.method === "POST") proposal = Buffer.concat(parts).toString();
    if (request.method === "POST" && hasAlready)
      return void response.writeHead(409, { location: `/api/v1/log/entries/${entryId}` }).end("exists");
    const { envelope, verifiers } = JSON.parse(proposal).spec.proposedContent;
    const { payload, signatures } = JSON.parse(envelope);
    const digest = (bytes: Uint8Array | string) => ({
      algorithm: "sha256",
      value: createHash("sha256").update(bytes).digest("hex"),
    });
    const spec = {
      envelopeHash: digest(envelope),
      payloadHash: digest(Buffer.from(payload, "base64")),
      signatures: signatures.map(({ sig }: { sig: string }) => ({ signature: sig, verifier: verifiers[0] })),
    };
    const body = JSON.stringify({ apiVersion: "0.0.1", kind: "dsse", spec });
    const answer = await fetch(`${sigstore.url}/api/v1/log/entries`, { method: "POST", body });
    response.writeHead(request.method === "POST" ? 201 : 200).end(await answer.text());
  });
  return { ...log, asked };
}
const entryId = "a".repeat(80);

describe("an entry holds by the log's own key", () => {
  test.each([
    ["that was just written", false, ["POST /api/v1/log/entries"]],
    [
      "whose first answer was lost, read from where the log says that it is",
      true,
      ["POST /api/v1/log/entries", `GET /api/v1/log/entries/${entryId}`],
    ],
  ])("%s; and for no other signature", async (_what, hasAlready, asked) => {
    const [{ bundle, signed }, other] = [await makeSigned(), await makeSigned()];
    const log = await serveLog(hasAlready);
    try {
      const entry = await writeToLog(signed, { rekor: log.url, rekorVersion: 1 }, surroundings);
      bundle.verificationMaterial.tlogEntries = [entry];
      other.bundle.verificationMaterial.tlogEntries = [entry];
    } finally {
      log.close();
    }
    expect(log.asked).toEqual(asked);
    const verifier = new Verifier(sigstore.trust);
    expect(() => verifier.verify(toSignedEntity(other.bundle))).toThrow();
    expect(() => verifier.verify(toSignedEntity(bundle))).not.toThrow();
  });
});
