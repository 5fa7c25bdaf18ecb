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
  readonly id: string;
  readonly name: string;
  readonly upload: Upload;
  /**
   * Requests on one upload take their turn: a client that lost its connection may be back before the server has
   * noticed.
   */
  last: Promise<unknown>;
  touchedAt: number;
}

/** The uploads under way, and what they are made of. */
interface Room {
  readonly store: Store;
  readonly repositories: Repositories;
  readonly settings: RegistrySettings;
  readonly chunkMinLength: number | undefined;
  readonly sessions: Map<string, Session>;
}

/** Uploads on which nothing happened for so long are given up. Milliseconds. */
const abandonedAfter = 60 * 60 * 1000;

export function createUploads(
  store: Store,
  repositories: Repositories,
  settings: RegistrySettings,
  chunkMinLength: number | undefined,
): Uploads {
  const room: Room = { store, repositories, settings, chunkMinLength, sessions: new Map() };
  return {
    start: (exchange, name, mayPullFrom) => start(room, exchange, name, mayPullFrom),
    async proceed(exchange, name, id) {
      const session = room.sessions.get(id);
      if (session === undefined || session.name !== name) return refuseUnknownUpload(name, id);
      session.touchedAt = Date.now();
      const turn = session.last.then(() =>
        room.sessions.has(id) ? proceed(room, exchange, session) : refuseUnknownUpload(name, id),
      );
      session.last = turn.catch(() => {});
      return turn;
    },
  };
}

async function start(
  room: Room,
  exchange: Exchange,
  name: string,
  mayPullFrom: (source: string) => boolean,
): Promise<Reply> {
  const { query } = exchange;
  const mount = query.get("mount");
  const from = query.get("from");
  // Without `from` nothing is mounted: whoever knows a digest could otherwise take a blob out of a repository that they
  // can't read.
  if (isDigest(mount) && from !== null && (await mountBlob(room, name, mount, from, mayPullFrom))) {
    return emptyReply(201, { Location: `/v2/${name}/blobs/${mount}`, "Docker-Content-Digest": mount });
  }
  const wanted = query.get("digest");
  if (wanted !== null && mount === null) return uploadAtOnce(room, exchange, name, parseDigest(wanted));
  const algorithm = query.get("digest-algorithm") ?? (isDigest(mount) ? algorithmOf(mount) : "sha256");
  if (!isAlgorithm(algorithm)) return refuse(400, "DIGEST_INVALID", `'${algorithm}' is neither sha256 nor sha512`);
  return emptyReply(202, describeState(room, await open(room, name, algorithm)));
}

async function mountBlob(
  { repositories, settings }: Room,
  name: string,
  digest: Digest,
  from: string,
  mayPullFrom: (source: string) => boolean,
): Promise<boolean> {
  if (!settings.mount || !mayPullFrom(from)) return false;
  return repositories.mountBlob(name, digest, from, (size) =>
    checkQuotas(settings, name, digest, size, repositories.holdings),
  );
}

async function uploadAtOnce(room: Room, exchange: Exchange, name: string, digest: Digest): Promise<Reply> {
  const session = await open(room, name, algorithmOf(digest));
  try {
    await session.upload.append(exchange.body);
    return await finish(room, session, digest);
  } finally {
    // The client never learnt its location, so what is left of it after a failure is of no use.
    if (room.sessions.has(session.id)) await drop(room, session);
  }
}

async function open(room: Room, name: string, algorithm: Algorithm): Promise<Session> {
  const now = Date.now();
  for (const session of room.sessions.values()) if (now - session.touchedAt > abandonedAfter) await drop(room, session);
  const id = randomUUID();
  const session = {
    id,
    name,
    upload: await room.store.createUpload(id, algorithm),
    last: Promise.resolve(),
    touchedAt: now,
  };
  room.sessions.set(id, session);
  return session;
}

async function drop({ sessions }: Room, { id, upload }: Session): Promise<void> {
  sessions.delete(id);
  await upload.discard();
}

async function proceed(room: Room, exchange: Exchange, session: Session): Promise<Reply> {
  switch (exchange.method) {
    case "GET":
    case "HEAD":
      if (!room.settings.uploadResume)
        return refuse(405, "UNSUPPORTED", "an upload's state is not told", {
          headers: { Allow: "PATCH, PUT, DELETE" },
        });
      return emptyReply(204, describeState(room, session));
    case "PATCH":
      await appendOrLose(room, exchange, session);
      return emptyReply(202, describeState(room, session));
    case "PUT": {
      const digest = parseDigest(exchange.query.get("digest") ?? "");
      await appendOrLose(room, exchange, session);
      return finish(room, session, digest);
    }
    case "DELETE":
      await drop(room, session);
      return emptyReply(204);
    default:
      return refuse(405, "UNSUPPORTED", `an upload takes no ${exchange.method}`, {
        headers: { Allow: "GET, HEAD, PATCH, PUT, DELETE" },
      });
  }
}

/** As a registry behind several machines does it that share nothing of an upload under way: what broke off is lost. */
async function appendOrLose(room: Room, exchange: Exchange, session: Session): Promise<void> {
  await append(room, exchange, session).catch(async (error) => {
    if (!room.settings.uploadResume) await drop(room, session);
    throw error;
  });
}

async function append(room: Room, exchange: Exchange, session: Session): Promise<void> {
  const { upload } = session;
  const header = exchange.headers["content-range"];
  if (header === undefined) return upload.append(exchange.body);
  const { first, last } = parseContentRange(header);
  if (first !== upload.size) {
    return refuse(416, "BLOB_UPLOAD_INVALID", `the chunk starts at ${first}, and the next byte is ${upload.size}`, {
      headers: describeState(room, session),
    });
  }
  const length = last - first + 1;
  const announced = exchange.headers["content-length"];
  const mismatch = (): never => refuse(400, "SIZE_INVALID", `Content-Range '${header}' does not fit the body`);
  if (announced !== undefined && Number(announced) !== length) return mismatch();
  await upload
    .append(exchange.body, length)
    .catch((error) => (error instanceof BodyTooLongError ? mismatch() : Promise.reject(error)));
  if (upload.size !== last + 1) return mismatch();
}

async function finish(room: Room, session: Session, digest: Digest): Promise<Reply> {
  const { repositories, settings } = room;
  const { name, upload } = session;
  const actual = await upload.digest(algorithmOf(digest));
  if (actual !== digest) {
    await drop(room, session);
    return refuse(400, "DIGEST_INVALID", `the bytes have the digest ${actual}, not ${digest}`, {
      detail: { digest, actual },
    });
  }
  const { size } = upload;
  try {
    await repositories.addUpload(name, digest, upload, () =>
      checkQuotas(settings, name, digest, size, repositories.holdings),
    );
  } catch (error) {
    await drop(room, session);
    throw error;
  }
  room.sessions.delete(session.id);
  return emptyReply(201, { Location: `/v2/${name}/blobs/${digest}`, "Docker-Content-Digest": digest });
}

function describeState({ chunkMinLength }: Room, { id, name, upload }: Session): Record<string, string> {
  return {
    Location: `/v2/${name}/blobs/uploads/${id}`,
    // An empty upload can't be told in this form; CNCF distribution writes it so.
    Range: `0-${Math.max(upload.size - 1, 0)}`,
    "Docker-Upload-UUID": id,
    ...(chunkMinLength === undefined ? {} : { "OCI-Chunk-Min-Length": String(chunkMinLength) }),
  };
}

function refuseUnknownUpload(name: string, id: string): never {
  return refuse(404, "BLOB_UPLOAD_UNKNOWN", `${name} has no upload '${id}'`);
}
