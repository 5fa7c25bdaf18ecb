import { createHash } from "node:crypto";
import { request } from "node:http";
import type { Algorithm, Digest } from "./grammar.ts";

/** What tests put into a registry, by plain HTTP: a client of its own would hide what goes over the wire. */
export const imageType = "application/vnd.oci.image.manifest.v1+json";
export const indexType = "application/vnd.oci.image.index.v1+json";
export const configType = "application/vnd.oci.image.config.v1+json";
export const layerType = "application/vnd.oci.image.layer.v1.tar";

export interface TestDescriptor {
  mediaType: string;
  digest: Digest;
  size: number;
  [more: string]: unknown;
}

export function digestOf(content: string | Uint8Array, algorithm: Algorithm = "sha256"): Digest {
  return `${algorithm}:${createHash(algorithm).update(content).digest("hex")}`;
}

export function describeContent(
  content: string | Uint8Array,
  mediaType: string,
  more: Record<string, unknown> = {},
): TestDescriptor {
  return { mediaType, digest: digestOf(content), size: Buffer.byteLength(content), ...more };
}

/** One POST. @throws Error when it isn't answered with 201 */
export async function putBlob(
  url: string,
  name: string,
  content: string | Uint8Array,
  mediaType: string = layerType,
): Promise<TestDescriptor> {
  const descriptor = describeContent(content, mediaType);
  const answer = await fetch(`${url}/v2/${name}/blobs/uploads/?digest=${descriptor.digest}`, {
    method: "POST",
    body: Buffer.from(content),
  });
  if (answer.status !== 201) throw new Error(`blob: ${answer.status} ${await answer.text()}`);
  return descriptor;
}

export function renderManifest(fields: Record<string, unknown>): string {
  return JSON.stringify({ schemaVersion: 2, mediaType: imageType, ...fields });
}

export function sendManifest(
  url: string,
  name: string,
  reference: string,
  manifest: string | Uint8Array,
  headers: Record<string, string> = { "Content-Type": imageType },
): Promise<Response> {
  return fetch(`${url}/v2/${name}/manifests/${reference}`, { method: "PUT", headers, body: Buffer.from(manifest) });
}

/** Config, layer and manifest, under a tag or (without one) its digest. @throws Error when one of them is refused */
export async function putImage(
  url: string,
  name: string,
  tag?: string,
  fields: Record<string, unknown> = {},
): Promise<TestDescriptor & { manifest: string }> {
  const config = await putBlob(url, name, '{"os":"linux"}', configType);
  const layers = [await putBlob(url, name, "a layer")];
  const manifest = renderManifest({ config, layers, ...fields });
  const descriptor = describeContent(manifest, imageType);
  const answer = await sendManifest(url, name, tag ?? descriptor.digest, manifest);
  if (answer.status !== 201) throw new Error(`manifest: ${answer.status} ${await answer.text()}`);
  return { ...descriptor, manifest };
}

/** The codes of an error's body, in order. */
export async function errorCodes(answer: Response): Promise<string[]> {
  const { errors } = (await answer.json()) as { errors: { code: string }[] };
  return errors.map((error) => error.code);
}

/** A request whose target goes out as it is: `fetch` would take `..` out of it. */
export function requestRaw(url: string, method: string, target: string): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, method, path: target }, (answer) => {
      let body = "";
      answer.setEncoding("utf8");
      answer.on("data", (chunk: string) => {
        body += chunk;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
      answer.on("error", reject);
    });
    outgoing.on("error", reject);
    outgoing.end();
  });
}
