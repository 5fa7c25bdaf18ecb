// A Sigstore of a test's own: the field's own pieces of a certificate authority, a certificate log and a transparency
// log, behind a server of this machine. What it signs holds under its own trust root and under no other.
import { createHash, generateKeyPairSync } from "node:crypto";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { bundleToJSON } from "@sigstore/bundle";
import { fulcioHandler, initializeCA, initializeCTLog, initializeTLog, rekorHandler } from "@sigstore/mock";
import { HashAlgorithm, PublicKeyDetails, TrustedRoot } from "@sigstore/protobuf-specs";
import { DSSEBundleBuilder, FulcioSigner, MessageSignatureBundleBuilder, RekorWitness } from "@sigstore/sign";
import { type TrustMaterial, toTrustMaterial } from "@sigstore/verify";

export interface SigstoreStandIn {
  /** Of all its services: the log is one of the first version. */
  url: string;
  trust: TrustMaterial;
  /** The JSON of a bundle: a signature over the bytes, or of a statement that has them. */
  sign(bytes: Uint8Array, signer: { subject: string; issuer: string }, kind?: "message" | "statement"): Promise<string>;
  close(): Promise<void>;
}

export async function startSigstore(): Promise<SigstoreStandIn> {
  const keyPair = () => generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const ctlog = await initializeCTLog(keyPair());
  const ca = await initializeCA(keyPair(), ctlog);
  const handlers = [fulcioHandler(ca)];
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const handler = handlers.find(({ path }) => path === request.url);
    if (handler === undefined) return void response.writeHead(404).end();
    const answer = await handler.fn(Buffer.concat(chunks).toString());
    response.writeHead(answer.statusCode, { "Content-Type": answer.contentType ?? "text/plain" }).end(answer.response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const tlog = await initializeTLog(url, keyPair());
  handlers.push(rekorHandler(tlog));

  const log = (publicKey: Buffer, keyId: Uint8Array) => ({
    baseUrl: url,
    hashAlgorithm: HashAlgorithm.SHA2_256,
    publicKey: {
      rawBytes: publicKey,
      keyDetails: PublicKeyDetails.PKIX_ECDSA_P256_SHA_256,
      validFor: { start: new Date(0) },
    },
    logId: { keyId: Buffer.from(keyId) },
    operator: "test",
  });
  const root: TrustedRoot = {
    ...TrustedRoot.fromJSON({ mediaType: "application/vnd.dev.sigstore.trustedroot+json;version=0.1" }),
    certificateAuthorities: [
      {
        subject: { organization: "test", commonName: "test" },
        uri: url,
        certChain: { certificates: [{ rawBytes: bytesOf(ca.rootCertificate) }] },
        validFor: { start: new Date(0) },
        operator: "test",
      },
    ],
    tlogs: [log(tlog.publicKey, createHash("sha256").update(tlog.publicKey).digest())] as TrustedRoot["tlogs"],
    ctlogs: [log(ctlog.publicKey, bytesOf(ctlog.logID))] as TrustedRoot["ctlogs"],
  };
  return {
    url,
    trust: toTrustMaterial(root),
    sign: async (bytes, { subject, issuer }, kind = "message") => {
      const token = [{ alg: "none" }, { sub: subject, iss: issuer, aud: "sigstore" }].map((part) =>
        Buffer.from(JSON.stringify(part)).toString("base64url"),
      );
      const signer = new FulcioSigner({
        fulcioBaseURL: url,
        identityProvider: { getToken: async () => `${token.join(".")}.` },
      });
      const parts = { signer, witnesses: [new RekorWitness({ rekorBaseURL: url })] };
      const builder = kind === "message" ? new MessageSignatureBundleBuilder(parts) : new DSSEBundleBuilder(parts);
      const artifact = { data: Buffer.from(bytes), ...(kind === "message" ? {} : { type: "text/plain" }) };
      return JSON.stringify(bundleToJSON(await builder.create(artifact)));
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function bytesOf(view: ArrayBufferView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}
