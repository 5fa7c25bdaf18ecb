import { randomUUID } from "node:crypto";
import { parseContentRange } from "./conditions.ts";
import { refuse } from "./errors.ts";
import { type Algorithm, algorithmOf, type Digest, isAlgorithm, isDigest } from "./grammar.ts";
import { type Exchange, emptyReply, type Reply } from "./reply.ts";
import type { Repositories } from "./repositories.ts";
import { parseDigest } from "./routes-blobs.ts";
import { checkQuotas, type RegistrySettings } from "./settings.ts";
import { BodyTooLongError, type Store, type Upload } from "./store.ts";

export interface Uploads {
  /** POST: a whole blob at once (`digest`), a mount (`mount`, `from`), or the start of an upload. */
  start(exchange: Exchange, name: string, mayPullFrom: (source: string) => boolean): Promise<Reply>;
  /** GET, PATCH, PUT and DELETE of an upload's location. */
  proceed(exchange: Exchange, name: string, id: string): Promise<Reply>;
}

interface Session {
  name: string;
  upload: Upload;
  /** Requests on one upload take their turn: a client that lost its connection may be back before the server has noticed. */
  last: Promise<unknown>;
  touchedAt: number;
}

/** Uploads on which nothing happened for so long are given up. Milliseconds. */
const abandonedAfter = 60 * 60 * 1000;

export function createUploads(
  store: Store,
  repositories: Repositories,
  settings: RegistrySettings,
  chunkMinLength: number | undefined,
): Uploads {
  const sessions = new Map<string, Session>();

  const open = async (name: string, algorithm: Algorithm): Promise<{ id: string; session: Session }> => {
    const now = Date.now();
    for (const [id, session] of sessions) if (now - session.touchedAt > abandonedAfter) await drop(id, session);
    const id = randomUUID();
    const session = { name, upload: await store.createUpload(id, algorithm), last: Promise.resolve(), touchedAt: now };
    sessions.set(id, session);
    return { id, session };
  };
  const drop = async (id: string, session: Session) => {
    sessions.delete(id);
    await session.upload.discard();
  };
  const finish = async (name: string, id: string, session: Session, digest: Digest): Promise<Reply> => {
    const actual = await session.upload.digest(algorithmOf(digest));
    if (actual !== digest) {
      await drop(id, session);
      return refuse(400, "DIGEST_INVALID", `the bytes have the digest ${actual}, not ${digest}`, { detail: { digest, actual } });
    }
    const { size } = session.upload;
    try {
      await repositories.addUpload(name, digest, session.upload, () => checkQuotas(settings, name, digest, size, repositories.holdings));
    } catch (error) {
      await drop(id, session);
      throw error;
    }
    sessions.delete(id);
    return emptyReply(201, { Location: `/v2/${name}/blobs/${digest}`, "Docker-Content-Digest": digest });
  };
  const state = (name: string, id: string, upload: Upload): Record<string, string> => ({
    Location: `/v2/${name}/blobs/uploads/${id}`,
    // An empty upload can't be told in this form; CNCF distribution writes it so.
    Range: `0-${Math.max(upload.size - 1, 0)}`,
    "Docker-Upload-UUID": id,
    ...(chunkMinLength === undefined ? {} : { "OCI-Chunk-Min-Length": String(chunkMinLength) }),
  });
  const append = async (exchange: Exchange, name: string, id: string, upload: Upload): Promise<void> => {
    const header = exchange.headers["content-range"];
    if (header === undefined) return upload.append(exchange.body);
    const { first, last } = parseContentRange(header);
    if (first !== upload.size) {
      return refuse(416, "BLOB_UPLOAD_INVALID", `the chunk starts at ${first}, and the next byte is ${upload.size}`, {
        headers: state(name, id, upload),
      });
    }
    const length = last - first + 1;
    const announced = exchange.headers["content-length"];
    const mismatch = (): never => refuse(400, "SIZE_INVALID", `Content-Range '${header}' does not fit the body`);
    if (announced !== undefined && Number(announced) !== length) return mismatch();
    await upload.append(exchange.body, length).catch((error) => (error instanceof BodyTooLongError ? mismatch() : Promise.reject(error)));
    if (upload.size !== last + 1) return mismatch();
  };

  /** As a registry behind several machines does it that share nothing of an upload under way: what broke off is lost. */
  const appendOrLose = async (exchange: Exchange, name: string, id: string, session: Session): Promise<void> => {
    await append(exchange, name, id, session.upload).catch(async (error) => {
      if (!settings.uploadResume) await drop(id, session);
      throw error;
    });
  };

  const proceedWith = async (exchange: Exchange, name: string, id: string, session: Session): Promise<Reply> => {
    const { upload } = session;
    switch (exchange.method) {
      case "GET":
      case "HEAD":
        if (!settings.uploadResume)
          return refuse(405, "UNSUPPORTED", "an upload's state is not told", { headers: { Allow: "PATCH, PUT, DELETE" } });
        return emptyReply(204, state(name, id, upload));
      case "PATCH":
        await appendOrLose(exchange, name, id, session);
        return emptyReply(202, state(name, id, upload));
      case "PUT": {
        const digest = parseDigest(exchange.query.get("digest") ?? "");
        await appendOrLose(exchange, name, id, session);
        return finish(name, id, session, digest);
      }
      case "DELETE":
        await drop(id, session);
        return emptyReply(204);
      default:
        return refuse(405, "UNSUPPORTED", `an upload takes no ${exchange.method}`, { headers: { Allow: "GET, HEAD, PATCH, PUT, DELETE" } });
    }
  };

  return {
    async start(exchange, name, mayPullFrom) {
      const { query } = exchange;
      const mount = query.get("mount");
      const from = query.get("from");
      // Without `from` nothing is mounted: whoever knows a digest could otherwise take a blob out of a repository that they can't read.
      const isMounted =
        settings.mount &&
        isDigest(mount) &&
        from !== null &&
        mayPullFrom(from) &&
        (await repositories.mountBlob(name, mount, from, (size) => checkQuotas(settings, name, mount, size, repositories.holdings)));
      if (isMounted) {
        return emptyReply(201, { Location: `/v2/${name}/blobs/${mount}`, "Docker-Content-Digest": mount });
      }
      const wanted = query.get("digest");
      if (wanted !== null && mount === null) {
        const digest = parseDigest(wanted);
        const { id, session } = await open(name, algorithmOf(digest));
        try {
          await session.upload.append(exchange.body);
          return await finish(name, id, session, digest);
        } finally {
          // The client never learnt its location, so what is left of it after a failure is of no use.
          if (sessions.has(id)) await drop(id, session);
        }
      }
      const algorithm = query.get("digest-algorithm") ?? (isDigest(mount) ? algorithmOf(mount) : "sha256");
      if (!isAlgorithm(algorithm)) return refuse(400, "DIGEST_INVALID", `'${algorithm}' is neither sha256 nor sha512`);
      const { id, session } = await open(name, algorithm);
      return emptyReply(202, state(name, id, session.upload));
    },
    async proceed(exchange, name, id) {
      const session = sessions.get(id);
      if (session === undefined || session.name !== name) return refuseUnknownUpload(name, id);
      session.touchedAt = Date.now();
      const turn = session.last.then(() => (sessions.has(id) ? proceedWith(exchange, name, id, session) : refuseUnknownUpload(name, id)));
      session.last = turn.catch(() => {});
      return turn;
    },
  };
}

function refuseUnknownUpload(name: string, id: string): never {
  return refuse(404, "BLOB_UPLOAD_UNKNOWN", `${name} has no upload '${id}'`);
}
