import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import type { ServerResponse } from "node:http";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { http } from "@goldenpath/testing/servers";
import { Key, Metadata, MetaFile, Root, Signature, Snapshot, TargetFile, Targets, Timestamp } from "@tufjs/models";

// A repository by The Update Framework in the shape that Sigstores have theirs: consistent snapshots, a role a key, and
// the trusted root as a target. Its metadata is made by the field's own models.

const roles = ["root", "timestamp", "snapshot", "targets"] as const;
type Role = (typeof roles)[number];

interface RoleKey {
  key: Key;
  privateKey: KeyObject;
}

function makeRoleKey(): RoleKey {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32).toString("hex");
  const parts = { keyType: "ed25519", scheme: "ed25519", keyVal: { public: raw } };
  const keyID = createHash("sha256")
    .update(JSON.stringify({ keytype: "ed25519", keyval: parts.keyVal, scheme: "ed25519" }))
    .digest("hex");
  return { key: new Key({ keyID, ...parts }), privateKey };
}

/** What is false of a state, or when it ends. */
export interface Publication {
  expires?: Partial<Record<Role, Date>>;
  /** Roles that somebody else signs. */
  byStranger?: readonly Role[];
  /** Instead of the last one's number and one. */
  version?: number;
}

export interface TufRepository {
  url: string;
  /** By path: what the server gives. */
  files: Map<string, Uint8Array>;
  /** Paths that were asked for. */
  asked: string[];
  /** What answers in the server's place. */
  answer: ((path: string, response: ServerResponse) => boolean) | undefined;
  /** The first root, and its digest. */
  root: Uint8Array;
  rootDigest: string;
  /** A new state that has these targets. */
  publish(targets: Readonly<Record<string, string>>, publication?: Publication): void;
  /** Another root, with keys of its own for all roles but its own. */
  rotateRoot(publication?: Publication): void;
}

const inAYear = (): Date => new Date(Date.now() + 365 * 86_400_000);
/** Without parts of a second, as the specification has it. */
const dayOf = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, "Z");
const spec = { specVersion: "1.0.31" };
const bytesOf = (metadata: Metadata<Root | Timestamp | Snapshot | Targets>): Buffer =>
  Buffer.from(JSON.stringify(metadata.toJSON()));
const metaOf = (bytes: Buffer, version: number): MetaFile =>
  new MetaFile({ version, length: bytes.length, hashes: { sha256: createHash("sha256").update(bytes).digest("hex") } });

/** On a server that ends with the test. */
export async function openTufRepository(): Promise<TufRepository> {
  const keys = Object.fromEntries(roles.map((role) => [role, makeRoleKey()])) as Record<Role, RoleKey>;
  const stranger = makeRoleKey();
  const files = new Map<string, Uint8Array>();
  let version = 0;
  let rootVersion = 0;

  function seal<T extends Root | Timestamp | Snapshot | Targets>(role: Role, signed: T, by: Publication): Buffer {
    const metadata = new Metadata(signed);
    const { key, privateKey } = by.byStranger?.includes(role) === true ? stranger : keys[role];
    metadata.sign((data) => new Signature({ keyID: key.keyID, sig: sign(null, data, privateKey).toString("hex") }));
    return bytesOf(metadata);
  }

  function writeRoot(publication: Publication): Buffer {
    rootVersion += 1;
    const expires = publication.expires?.root ?? inAYear();
    const signed = new Root({
      ...spec,
      version: rootVersion,
      expires: dayOf(expires),
      consistentSnapshot: true,
    });
    for (const role of roles) signed.addKey(keys[role].key, role);
    const bytes = seal("root", signed, publication);
    files.set(`/${rootVersion}.root.json`, bytes);
    return bytes;
  }

  const root = writeRoot({});
  const repository: TufRepository = {
    url: "",
    files,
    asked: [],
    answer: undefined,
    root,
    rootDigest: digestOf(root),
    publish(targets, publication = {}) {
      version = publication.version ?? version + 1;
      const dated = (role: Role) => ({
        ...spec,
        version,
        expires: dayOf(publication.expires?.[role] ?? inAYear()),
      });
      const listed = new Targets(dated("targets"));
      for (const [path, text] of Object.entries(targets)) {
        const bytes = Buffer.from(text);
        const sha256 = createHash("sha256").update(bytes).digest("hex");
        listed.addTarget(new TargetFile({ path, length: bytes.length, hashes: { sha256 } }));
        files.set(`/targets/${sha256}.${path}`, bytes);
      }
      const targetsBytes = seal("targets", listed, publication);
      const meta = { "targets.json": metaOf(targetsBytes, version) };
      const snapshotBytes = seal("snapshot", new Snapshot({ ...dated("snapshot"), meta }), publication);
      const snapshotMeta = metaOf(snapshotBytes, version);
      files.set(`/${version}.targets.json`, targetsBytes);
      files.set(`/${version}.snapshot.json`, snapshotBytes);
      files.set(
        "/timestamp.json",
        seal("timestamp", new Timestamp({ ...dated("timestamp"), snapshotMeta }), publication),
      );
    },
    rotateRoot(publication = {}) {
      for (const role of ["timestamp", "snapshot", "targets"] as const) keys[role] = makeRoleKey();
      writeRoot(publication);
    },
  };
  const host = await http((request, response) => {
    const path = request.url ?? "";
    repository.asked.push(path);
    if (repository.answer?.(path, response) === true) return;
    const bytes = files.get(path);
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  repository.url = `http://${host}`;
  return repository;
}
