import { createWriteStream } from "node:fs";
import { chmod } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { connect, createServer } from "node:net";
import { pipeline } from "node:stream/promises";
import { describeError, InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import type { Context } from "@goldenpath/foundation/ports";
import { parseJson } from "@goldenpath/foundation/text/json";
import type { CredentialStore } from "@goldenpath/registry-client/credentials";
import type { Credential } from "@goldenpath/registry-client/docker-config";
import { formatReference, type PinnedReference } from "@goldenpath/registry-client/oci/reference";

/** A Docker daemon of this machine, by its own interface (Docker Engine API 1.24 and later); no client is needed. */
export interface DockerDaemon {
  version: string;
  /**
   * Has the daemon fetch an image by its digest. The login is handed over for this once.
   * @throws InfrastructureError `docker-failed`
   */
  pull(reference: PinnedReference, store: CredentialStore): Promise<void>;
  has(name: string): Promise<boolean>;
  /** Writes an image as `docker save` does. @throws InfrastructureError `docker-failed` also for a larger one */
  save(name: string, path: string, maxBytes: number): Promise<void>;
  /** Nothing where it is not there. */
  remove(name: string): Promise<void>;
  /** A socket of ours that leads to the daemon, for who may not open the daemon's own. */
  openRelay(path: string): Promise<{ close(): Promise<void> }>;
}

const maxAnswer = 1024 * 1024;
/** Of an image that is saved, what may wait to be written, and is then written at once. Bytes. */
const writeAhead = 4 * 1024 * 1024;
/** Of a line of progress, of which only errors are read. Characters. */
const maxProgress = 64 * 1024;

/**
 * The daemon that `DOCKER_HOST` names, or the one at the usual place.
 * @throws UserError `docker-unavailable`
 */
export async function findDaemon({ env, signal }: Pick<Context, "env" | "signal">): Promise<DockerDaemon> {
  const host = env["DOCKER_HOST"] || "unix:///var/run/docker.sock";
  const socket = /^unix:\/\/(\/.+)$/.exec(host)?.[1];
  if (socket === undefined) throw unavailable(host, "only one of this machine can be used (unix://…)");
  const send = (method: string, path: string, headers: Record<string, string> = {}): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      const sent = request({ socketPath: socket, method, path, headers: { host: "docker", ...headers }, signal });
      sent.on("response", resolve).on("error", reject).end();
    });
  let version: string;
  try {
    const answer = (await readAnswer(await send("GET", "/version"), "tell its version")) as { Version?: unknown };
    version = String(answer.Version);
  } catch (error) {
    signal.throwIfAborted();
    throw unavailable(host, describeError(error), error);
  }
  return {
    version,
    async pull(reference, store) {
      const { registry, name, digest } = reference;
      const query = new URLSearchParams({ fromImage: `${registry}/${name}`, tag: digest });
      const credential = await store.find(reference);
      const headers: Record<string, string> =
        credential === undefined ? {} : { "x-registry-auth": renderLogin(registry, credential) };
      const what = `fetch ${formatReference(reference)}`;
      const answer = await send("POST", `/images/create?${query}`, headers);
      await requireGood(answer, what);
      await readProgress(answer, what);
    },
    async has(name) {
      const answer = await send("GET", `/images/${encodeURIComponent(name)}/json`);
      answer.resume();
      return answer.statusCode === 200;
    },
    async save(name, path, maxBytes) {
      const answer = await send("GET", `/images/${encodeURIComponent(name)}/get`);
      await requireGood(answer, `save ${name}`);
      const file = createWriteStream(path, { flags: "wx", mode: 0o600, highWaterMark: writeAhead });
      await pipeline(bounded(answer, maxBytes), file, { signal });
    },
    async remove(name) {
      const answer = await send("DELETE", `/images/${encodeURIComponent(name)}?force=true`);
      answer.resume();
    },
    openRelay: (path) => openRelay(socket, path),
  };
}

function unavailable(host: string, why: string, cause?: unknown): UserError {
  return new UserError(`there is no Docker daemon at ${host}: ${why}`, {
    code: "docker-unavailable",
    cause,
    wayOut:
      "Build on a machine with Docker, as a user who may use it; or by the strategy buildpacks, which needs none for the same builder image.",
  });
}

function failed(what: string, why: string): InfrastructureError {
  return new InfrastructureError(`the Docker daemon could not ${what}: ${why}`, { code: "docker-failed" });
}

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxAnswer) throw failed("answer", `its answer has more than ${maxAnswer} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function requireGood(answer: IncomingMessage, what: string): Promise<void> {
  if (answer.statusCode === 200) return;
  const text = await readText(answer);
  let message = text;
  try {
    const json = parseJson(text) as { message?: unknown } | null;
    if (typeof json?.message === "string") message = json.message;
  } catch {
    // What is no JSON is shown as it is.
  }
  throw failed(what, message.trim().slice(0, 1000) || `status ${answer.statusCode}`);
}

async function readAnswer(answer: IncomingMessage, what: string): Promise<object> {
  await requireGood(answer, what);
  const json = parseJson(await readText(answer));
  if (typeof json === "object" && json !== null) return json;
  throw failed(what, "its answer is no object");
}

/** One JSON object a line; the status was good before the work began, so that an error is a line among them. */
async function readProgress(answer: IncomingMessage, what: string): Promise<void> {
  let rest = "";
  answer.setEncoding("utf8");
  for await (const chunk of answer as AsyncIterable<string>) {
    const lines = (rest + chunk).split("\n");
    rest = (lines.pop() ?? "").slice(-maxProgress);
    for (const line of lines) requireProgress(line, what);
  }
  requireProgress(rest, what);
}

function requireProgress(line: string, what: string): void {
  if (!line.includes('"error"')) return;
  const message = /"error":\s*"((?:[^"\\]|\\.){0,1000})/.exec(line)?.[1] ?? "no reason is given";
  throw failed(what, message);
}

async function* bounded(answer: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of answer) {
    size += chunk.length;
    if (size > maxBytes) throw failed("save the image", `it has more than ${maxBytes} bytes`);
    yield chunk;
  }
}

/** https://docs.docker.com/reference/api/engine/, "Authentication": JSON in base64url. */
function renderLogin(serveraddress: string, credential: Credential): string {
  return Buffer.from(JSON.stringify({ ...loginOf(credential), serveraddress })).toString("base64url");
}

function loginOf(credential: Credential): Record<string, string> {
  switch (credential.kind) {
    case "basic":
      return { username: credential.username, password: credential.password };
    case "registry-token":
      return { registrytoken: credential.token };
    case "identity-token":
      return { identitytoken: credential.token };
  }
}

function openRelay(socket: string, path: string): Promise<{ close(): Promise<void> }> {
  const open = new Set<{ destroy(): unknown }>();
  // Half open: what is attached to a container's output ends its own side first.
  const server = createServer({ allowHalfOpen: true }, (inside) => {
    const outside = connect({ path: socket, allowHalfOpen: true });
    inside.pipe(outside);
    outside.pipe(inside);
    for (const each of [inside, outside]) {
      open.add(each);
      each.on("close", () => open.delete(each));
      each.on("error", () => {
        inside.destroy();
        outside.destroy();
      });
    }
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(path, async () => {
      // Whoever gets to the folder that it is in may use it.
      await chmod(path, 0o666);
      resolve({
        close: () =>
          new Promise((done) => {
            for (const each of open) each.destroy();
            server.close(() => done());
          }),
      });
    });
  });
}
