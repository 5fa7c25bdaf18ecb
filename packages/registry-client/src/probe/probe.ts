import { InfrastructureError } from "@goldenpath/foundation/errors";
import { printable } from "../answers.ts";
import { parseChallenges } from "../challenge.ts";
import type { RegistryClientOptions } from "../client.ts";
import { plainHttpRules } from "../host-settings.ts";
import { type Manifest, mediaTypes } from "../oci/manifest.ts";
import type { Reference } from "../oci/reference.ts";
import { type Cleanup, cleanUp } from "./cleanup.ts";
import type { LoginKind, Made, ProbeFacts } from "./facts.ts";
import { gatherBlobs, gatherRange } from "./gather-blobs.ts";
import {
  gatherConditions,
  gatherDeletion,
  gatherManifests,
  gatherMove,
  gatherReferrers,
  gatherTags,
  makeManifest,
  tagsOf,
} from "./gather-manifests.ts";
import { judgeProbe } from "./judge.ts";
import { judgeQuarantine } from "./judge-quarantine.ts";
import { type LoadBounds, type LoadTarget, runLoad } from "./load.ts";
import type { ProbeReport } from "./probe-report.ts";
import { gatherQuarantine } from "./quarantine.ts";
import { type LoadReport, summariseLoad } from "./summarise-load.ts";
import type { ProbeTarget } from "./target.ts";
import { createWire, noCredentials, openManifest, seenOf, type Wire } from "./wire.ts";
import { makeBlob, pull, putBlob, putManifest, type Workspace } from "./workspace.ts";

export interface ProbeOptions extends RegistryClientOptions {
  target: ProbeTarget;
  /** Writes, in the target's repository alone, and takes away again what it made. */
  write: boolean;
  /** Absent: no load. */
  load?: LoadBounds;
  /** Absent: quarantine is not looked at. */
  quarantine?: { image: Reference; pullConfig?: string; vetted?: Reference };
  now(): Date;
}

/** How long cleaning up may take when everything else was broken off. Milliseconds. */
const cleanupTime = 30_000;
/** The blob that the load reads. Bytes. */
const loadBlobSize = 64 * 1024;
/** The largest blob of an image of somebody else's that is read. Bytes. */
const largestForeignBlob = 16 * 1024 * 1024;

/**
 * Asks a registry for what it serves, how it holds, and whether production can read quarantine. What was written is
 * deleted in the end, also when the work is broken off; what the registry does not delete is in the report.
 * @throws InfrastructureError `registry-unreachable` (no answer at all), `aborted`; UserError `docker-config-invalid`,
 *   `credential-helper-failed`
 */
export async function probeRegistry(options: ProbeOptions): Promise<ProbeReport> {
  const { target, ports } = options;
  const made: Made[] = [];
  const settings = { ...options, plainHttp: target.plainHttp, hosts: { ...options.hosts, ...target.hosts } };
  const wire = createWire(settings);
  const workspace: Workspace = {
    wire,
    repository: target.repository,
    mountSource: target.mountSource,
    id: target.id,
    made,
  };
  const startedAt = options.now().toISOString();
  let facts: ProbeFacts;
  let load: LoadReport | undefined;
  try {
    const { logins, version } = await askVersion(settings, target);
    facts = {
      registry: target.registry,
      endpoint: target.endpoint.href,
      repository: target.repository.name,
      write: options.write,
      version,
      logins,
      login: seenOf(await wire.ask({ method: "GET", path: "", access: pull(target.repository), as: "GET /v2/" })),
    };
    ports.log.info(
      options.write
        ? `probing ${target.registry}, writing to ${target.repository.name}`
        : `probing ${target.registry}, only reading`,
    );
    const gathered = options.write
      ? await gatherByWriting(workspace, settings)
      : await gatherByReading(workspace, settings);
    facts = { ...facts, ...gathered.facts };
    if (options.load !== undefined)
      load = await putLoad(workspace, settings, options.load, { ...gathered, write: options.write });
  } catch (error) {
    throw await cleanUpAfter(error, settings, target, made);
  } finally {
    await wire.close();
  }
  if (options.signal?.aborted === true) throw await cleanUpAfter(abortedError(options.signal), settings, target, made);
  const cleanup = await runCleanup(settings, target, made);
  const quarantine =
    options.quarantine === undefined
      ? undefined
      : judgeQuarantine(await gatherQuarantine({ ...settings, ...options.quarantine }));
  return {
    schemaVersion: "1.0",
    registry: facts.registry,
    endpoint: facts.endpoint,
    repository: facts.repository,
    startedAt,
    write: options.write,
    checks: judgeProbe(facts),
    ...(load === undefined ? {} : { load }),
    ...(quarantine === undefined ? {} : { quarantine }),
    // An upload's address may hold what only its owner should know.
    left: cleanup.left.map(({ kind, repository, reference }) => ({
      kind,
      repository,
      reference: kind === "upload" ? "" : reference,
    })),
  };
}

/** Undefined where it was broken off. */
async function putLoad(
  { repository, id, made }: Workspace,
  settings: RegistryClientOptions,
  bounds: LoadBounds,
  { facts, image, write }: Gathered & { write: boolean },
): Promise<LoadReport | undefined> {
  const { log } = settings.ports;
  log.info(`${bounds.clients} clients for ${bounds.duration / 1000} s`);
  // What a registry keeps for good is not made by the hundred.
  const deletes = facts.deletion?.manifest?.after.status === 404;
  if (write && !deletes) log.info("manifests can't be deleted here: the clients only read");
  const pushes = deletes ? { pushes: { id, made } } : {};
  const target: LoadTarget = { repository, ...(image === undefined ? {} : { image }), ...pushes };
  const loadFacts = await runLoad(settings, target, bounds);
  return loadFacts.endedBy === "interrupt" ? undefined : summariseLoad(loadFacts);
}

/** As nobody, to see which logins are offered. @throws InfrastructureError `registry-unreachable` */
async function askVersion(
  settings: RegistryClientOptions,
  target: ProbeTarget,
): Promise<{ version: ProbeFacts["version"]; logins: LoginKind[] }> {
  const wire = createWire({ ...settings, credentials: noCredentials });
  try {
    // Not by way of the authorized transport's answer to a challenge: that would ask for a token first.
    const answer = await wire.ask({
      method: "GET",
      path: target.endpoint,
      access: pull({ registry: "localhost:0", name: "none" }),
      as: "GET /v2/",
    });
    if (answer.status === undefined) {
      throw new InfrastructureError(
        `${target.endpoint.href} gives no answer: ${answer.problem ?? answer.failure ?? ""}`,
        {
          code: answer.failure ?? "registry-unreachable",
          wayOut: "Check its name, whether it speaks https or plain http (--plain-http), and its certificate (--ca).",
        },
      );
    }
    const logins = parseChallenges(answer.challenges).map(({ scheme, parameters }) => {
      const realm = parameters.get("realm");
      const service = parameters.get("service");
      return {
        scheme: printable(scheme),
        ...(realm === undefined ? {} : { realm: printable(realm) }),
        ...(service === undefined ? {} : { service: printable(service) }),
      };
    });
    return { version: seenOf(answer), logins };
  } finally {
    await wire.close();
  }
}

interface Gathered {
  facts: Partial<ProbeFacts>;
  /** What the load reads. */
  image?: NonNullable<LoadTarget["image"]>;
}

async function gatherByWriting(workspace: Workspace, settings: RegistryClientOptions): Promise<Gathered> {
  const { repository, wire, id } = workspace;
  const plainHttp = plainHttpRules(settings);
  const blob = makeBlob(loadBlobSize);
  const { descriptor } = blob;
  const facts: Partial<ProbeFacts> = { blobs: await gatherBlobs(workspace, blob) };
  if (facts.blobs?.upload.kept !== "right") return { facts };
  facts.range = await gatherRange(wire, repository, descriptor, plainHttp, blob.bytes);
  const image = makeManifest(workspace, descriptor, "image");
  facts.manifests = await gatherManifests(workspace, descriptor, image);
  if (facts.manifests.kinds["oci-image"]?.kept !== "right") return { facts };
  facts.referrers = await gatherReferrers(workspace, descriptor, image.descriptor);
  const tag = (name: string): string => `goldenpath-probe-${id}-${name}`;
  const tags = [tag("one"), tag("two"), tag("move"), tag("compare")];
  for (const each of tags.slice(0, 2))
    await putManifest(workspace, each, image.bytes, image.descriptor.mediaType, "PUT of a new tag");
  const move = await gatherMove(workspace, descriptor, tag("move"));
  facts.conditions = await gatherConditions(workspace, descriptor, tag("compare"));
  facts.tags = { ...(await gatherTags(workspace, plainHttp, tags)), move };
  const spare = makeBlob(200);
  await putBlob(workspace, repository, spare, "PUT of a blob to delete");
  facts.deletion = await gatherDeletion(workspace, descriptor, spare.descriptor, tag("delete"));
  return {
    facts,
    image: { manifest: image.descriptor, blob: descriptor, isRedirected: facts.range.redirectedTo !== undefined },
  };
}

async function gatherByReading(workspace: Workspace, settings: RegistryClientOptions): Promise<Gathered> {
  const { repository, wire } = workspace;
  const plainHttp = plainHttpRules(settings);
  const nobody = makeBlob(100).descriptor;
  const facts: Partial<ProbeFacts> = { tags: await gatherTags(workspace, plainHttp, []) };
  const found = await findImage(workspace);
  facts.referrers = await gatherReferrers(
    workspace,
    undefined,
    found === undefined ? nobody : { ...nobody, digest: found.digest },
  );
  const blob =
    found === undefined
      ? undefined
      : [...found.manifest.layers, found.manifest.config].find(({ size }) => size > 1 && size <= largestForeignBlob);
  if (found === undefined || blob === undefined) return { facts };
  facts.range = await gatherRange(wire, repository, blob, plainHttp);
  const manifest = { mediaType: found.mediaType, digest: found.digest, size: found.bytes.byteLength };
  return { facts, image: { manifest, blob, isRedirected: facts.range.redirectedTo !== undefined } };
}

/** Any image of the repository: the first tag's, or the first child of its index. */
async function findImage({ wire, repository }: Workspace): Promise<(Manifest & { kind: "image" }) | undefined> {
  const list = await wire.ask({ method: "GET", path: `${repository.name}/tags/list?n=1`, access: pull(repository) });
  let reference: string | undefined = tagsOf(list)?.[0];
  const accept = [
    mediaTypes.ociManifest,
    mediaTypes.ociIndex,
    mediaTypes.dockerManifest,
    mediaTypes.dockerManifestList,
  ].join(", ");
  for (let depth = 0; depth < 2 && reference !== undefined && /^[\w.:-]+$/.test(reference); depth++) {
    const path = `${repository.name}/manifests/${reference}`;
    const manifest = openManifest(
      await wire.ask({ method: "GET", path, access: pull(repository), headers: { accept }, readUpTo: 4 * 1024 * 1024 }),
    );
    if (manifest?.kind === "image") return manifest;
    reference = manifest?.manifest.manifests[0]?.digest;
  }
  return undefined;
}

/** With a transport of its own: the other one is closed, and may have been broken off. */
async function runCleanup(
  settings: RegistryClientOptions,
  target: ProbeTarget,
  made: readonly Made[],
): Promise<Cleanup> {
  if (made.length === 0) return { removed: 0, left: [] };
  const wire: Wire = createWire({ ...settings, signal: AbortSignal.timeout(cleanupTime + made.length * 100) });
  try {
    return await cleanUp(wire, target.registry, made);
  } finally {
    await wire.close();
  }
}

/** The error to throw, after cleaning up: it says what is left. */
async function cleanUpAfter(
  error: unknown,
  settings: RegistryClientOptions,
  target: ProbeTarget,
  made: readonly Made[],
): Promise<unknown> {
  if (made.length === 0) return error;
  let left = made.length;
  try {
    left = (await runCleanup(settings, target, made)).left.length;
  } catch (failure) {
    settings.ports.log.debug(`cleaning up failed: ${failure instanceof Error ? failure.message : String(failure)}`);
  }
  if (left > 0)
    settings.ports.log.warning(
      `${left} things that the probe made are left in ${target.registry}/${target.repository.name}`,
    );
  return error;
}

function abortedError(signal: AbortSignal): InfrastructureError {
  return new InfrastructureError("the probe was given up", { code: "aborted", cause: signal.reason });
}
