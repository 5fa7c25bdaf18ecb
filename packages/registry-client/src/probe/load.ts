import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { InfrastructureError } from "@goldenpath/foundation/errors";
import { registryEndpoint } from "../endpoint.ts";
import { digestAlgorithm, digestOf } from "../oci/digest.ts";
import { type Descriptor, maxManifestBytes, mediaTypes } from "../oci/manifest.ts";
import type { Repository } from "../oci/reference.ts";
import { parseRetryAfter } from "../retry.ts";
import type { Made } from "./facts.ts";
import { makeManifest } from "./gather-manifests.ts";
import type { LoadFacts, LoadSample } from "./summarise-load.ts";
import { type Answer, type Ask, createWire, isSuccess, type Wire, type WireOptions } from "./wire.ts";
import { pull, push, uploadsPath } from "./workspace.ts";

export interface LoadBounds {
  clients: number;
  /** Milliseconds. */
  duration: number;
  /** Requests on the wire, those for tokens and to where a registry redirects among them. */
  maxRequests: number;
  /** Bytes of bodies, both ways. */
  maxBytes: number;
}

/** What the clients ask for, over and over. */
export interface LoadTarget {
  repository: Repository;
  /** An image to read; without one it is the version endpoint alone. */
  image?: { manifest: Descriptor; blob: Descriptor; isRedirected: boolean };
  /** Small pushes as well: everything they make is noted here. */
  pushes?: { id: string; made: Made[] };
}

/** The body of an answer that is no success counts as so many bytes before it is there. */
const errorBody = 16 * 1024;
const pushedBytes = 4 * 1024;
/** How long a client that got a 429 without a Retry-After keeps still. Milliseconds. */
const unnamedWait = 1000;
const boundReached = "load-bound-reached";

/** Ask, what the answer's body must have as its digest, and what it will move. */
interface Step {
  kind: string;
  ask: Ask;
  digest?: Descriptor["digest"];
  bytes: number;
  /** A status that says nothing against the registry, besides those of success. */
  alsoGood?: number;
}

/** All clients together, against the bounds. */
interface Load {
  readonly target: LoadTarget;
  readonly bounds: LoadBounds;
  /** The registry's own; what comes from another was redirected. */
  readonly host: string;
  readonly facts: LoadFacts;
  readonly samples: LoadSample[];
  /** Kinds of steps that lead to another host, and are two requests each. */
  readonly redirected: Set<string>;
  /** Aborted by the caller, or when the time is over. */
  readonly over: AbortSignal;
  /** Of a part of the traffic, over all clients. */
  count(part: "requests" | "bytesReceived" | "bytesSent"): number;
  requests: number;
  /** Bytes of what is under way. */
  reserved: number;
  inFlight: number;
  /** The turn that is taken next. */
  turn: number;
}

/**
 * N clients, each sending one request after the other until the time is over or a bound is reached, whichever is first.
 * A client that gets a 429 waits for as long as it is told. What is on its way when the time is over is cut off, and
 * counts for nothing.
 */
export async function runLoad(options: WireOptions, target: LoadTarget, bounds: LoadBounds): Promise<LoadFacts> {
  const { signal } = options;
  const over = new AbortController();
  const both = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal]);
  // Each client has connections, tokens and a pace of its own, as those of as many machines have.
  const wires = Array.from({ length: bounds.clients }, () =>
    createWire({ ...options, signal: both, beforeSend: () => takeRequest(load) }),
  );
  const samples: LoadSample[] = [];
  const idle = {
    elapsed: 0,
    cutOff: 0,
    peakInFlight: 0,
    waited: 0,
    endedBy: "duration" as const,
    requests: 0,
    bytes: 0,
  };
  const load: Load = {
    target,
    bounds,
    host: registryEndpoint(target.repository.registry, []).host,
    facts: { ...bounds, ...idle, samples },
    samples,
    redirected: new Set(target.image?.isRedirected === true ? ["GET blob"] : []),
    over: both,
    count: (part) => wires.reduce((sum, { traffic }) => sum + traffic[part], 0),
    requests: 0,
    reserved: 0,
    inFlight: 0,
    turn: 0,
  };
  const { facts } = load;
  const started = performance.now();
  const timer = setTimeout(() => over.abort(), bounds.duration);
  try {
    await Promise.all(wires.map((wire) => runClient(load, wire)));
  } finally {
    clearTimeout(timer);
    over.abort();
    facts.elapsed = performance.now() - started;
    await Promise.all(wires.map((wire) => wire.close()));
  }
  if (signal?.aborted === true) facts.endedBy = "interrupt";
  facts.requests = load.count("requests");
  facts.bytes = countBytes(load);
  return facts;
}

function takeRequest(load: Load): void {
  if (load.requests >= load.bounds.maxRequests)
    throw new InfrastructureError("the bound of requests is reached", { code: boundReached, safeToRetry: false });
  load.requests++;
}

function countBytes({ count }: Load): number {
  return count("bytesReceived") + count("bytesSent");
}

async function runClient(load: Load, wire: Wire): Promise<void> {
  const { over } = load;
  while (!over.aborted) {
    for (const makeStep of planTurn(load.target, load.turn++)) {
      const step = makeStep();
      if (step === undefined) break;
      const answer = await send(load, wire, step);
      if (answer === undefined) return;
      step.onAnswer?.(answer);
      if (answer.status === 429) await waitAsTold(load, answer);
      else if (answer.status === undefined) await pause(50, undefined, { signal: over }).catch(() => undefined);
      // What follows in a turn rests on what comes before it.
      if (!isSuccess(answer)) break;
    }
  }
}

/** Undefined when a bound, or the end, came first. */
async function send(load: Load, wire: Wire, step: Step): Promise<Answer | undefined> {
  const { over, redirected, facts } = load;
  if (over.aborted) return undefined;
  const bound = findBound(load, step);
  if (bound !== undefined) return endBy(load, bound);
  if (redirected.has(step.kind)) load.requests++;
  const bytes = Math.max(step.bytes, errorBody);
  load.reserved += bytes;
  load.inFlight++;
  facts.peakInFlight = Math.max(facts.peakInFlight, load.inFlight);
  const started = performance.now();
  let answer: Answer;
  try {
    answer = await wire.ask(step.ask);
  } catch (error) {
    if (!over.aborted) throw error;
    facts.cutOff++;
    return undefined;
  } finally {
    load.reserved -= bytes;
    load.inFlight--;
  }
  if (answer.failure === boundReached) return endBy(load, "requests");
  if (answer.url !== undefined && answer.url.host !== load.host && !redirected.has(step.kind)) {
    redirected.add(step.kind);
    load.requests++;
  }
  load.samples.push(toSample(step, answer, performance.now() - started));
  return answer;
}

/** The bound that a step would go over. */
function findBound(load: Load, { kind, bytes }: Step): "bytes" | "requests" | undefined {
  const { maxBytes, maxRequests } = load.bounds;
  if (countBytes(load) + load.reserved + Math.max(bytes, errorBody) > maxBytes) return "bytes";
  return load.redirected.has(kind) && load.requests + 2 > maxRequests ? "requests" : undefined;
}

/** What ended it first is what ended it. */
function endBy({ facts }: Load, by: LoadFacts["endedBy"]): undefined {
  if (facts.endedBy === "duration") facts.endedBy = by;
}

async function waitAsTold({ facts, over }: Load, answer: Answer): Promise<void> {
  const told = parseRetryAfter(answer.headers["retry-after"], new Date()) ?? unnamedWait;
  facts.waited++;
  await pause(told, undefined, { signal: over }).catch(() => undefined);
}

function toSample({ kind, digest, alsoGood }: Step, answer: Answer, milliseconds: number): LoadSample {
  const isWrong =
    digest !== undefined && answer.status === 200 && digestOf(answer.bytes, digestAlgorithm(digest)) !== digest;
  const retryAfter = answer.headers["retry-after"];
  return {
    kind,
    milliseconds,
    isGood: !isWrong && answer.failure === undefined && (isSuccess(answer) || answer.status === alsoGood),
    ...(answer.status === undefined ? {} : { status: answer.status }),
    ...(isWrong ? { failure: "wrong-bytes" } : answer.failure === undefined ? {} : { failure: answer.failure }),
    ...(answer.status === 429 && retryAfter !== undefined ? { retryAfter } : {}),
  };
}

type MakeStep = () => (Step & { onAnswer?: (answer: Answer) => void }) | undefined;

/** The steps of one turn: three reads as a pull has them, and in every fourth turn a push, where pushes are wanted. */
function planTurn({ repository, image, pushes }: LoadTarget, turn: number): MakeStep[] {
  const access = pull(repository);
  if (image === undefined)
    return [() => ({ kind: "GET /v2/", ask: { method: "GET", path: "", access }, bytes: 0, alsoGood: 401 })];
  if (pushes !== undefined && turn % 4 === 3) return planPush(repository, pushes);
  const { manifest, blob } = image;
  const manifestAsk = {
    path: `${repository.name}/manifests/${manifest.digest}`,
    access,
    headers: { accept: manifest.mediaType },
  };
  return [
    () => ({ kind: "HEAD manifest", ask: { ...manifestAsk, method: "HEAD" }, bytes: 0 }),
    () => ({
      kind: "GET manifest",
      ask: { ...manifestAsk, method: "GET", readUpTo: maxManifestBytes },
      digest: manifest.digest,
      bytes: manifest.size,
    }),
    () => ({
      kind: "GET blob",
      ask: { method: "GET", path: `${repository.name}/blobs/${blob.digest}`, access, readUpTo: blob.size },
      digest: blob.digest,
      bytes: blob.size,
    }),
  ];
}

function planPush(repository: Repository, { id, made }: NonNullable<LoadTarget["pushes"]>): MakeStep[] {
  const access = push(repository);
  const bytes = randomBytes(pushedBytes);
  const blob: Descriptor = { mediaType: mediaTypes.ociLayerTar, digest: digestOf(bytes), size: bytes.byteLength };
  const manifest = makeManifest({ id }, blob, "load");
  let location: URL | undefined;
  return [
    () => ({
      kind: "POST upload",
      ask: { method: "POST", path: uploadsPath(repository), access },
      bytes: 0,
      onAnswer(answer) {
        location = answer.location;
        if (location !== undefined)
          made.push({ kind: "upload", repository: repository.name, reference: location.href });
      },
    }),
    () => {
      if (location === undefined) return undefined;
      const begun = location.href;
      const url = new URL(location);
      url.searchParams.set("digest", blob.digest);
      made.push({ kind: "blob", repository: repository.name, reference: blob.digest });
      const headers = { "content-type": "application/octet-stream" };
      return {
        kind: "PUT blob",
        ask: { method: "PUT", path: url, access, headers, body: bytes },
        bytes: bytes.byteLength,
        onAnswer(answer) {
          const at = made.findIndex((each) => each.kind === "upload" && each.reference === begun);
          if (isSuccess(answer) && at !== -1) made.splice(at, 1);
        },
      };
    },
    () => {
      made.push({ kind: "manifest", repository: repository.name, reference: manifest.descriptor.digest });
      return {
        kind: "PUT manifest",
        ask: {
          method: "PUT",
          path: `${repository.name}/manifests/${manifest.descriptor.digest}`,
          access,
          headers: { "content-type": manifest.descriptor.mediaType },
          body: manifest.bytes,
        },
        bytes: manifest.bytes.byteLength,
      };
    },
  ];
}
