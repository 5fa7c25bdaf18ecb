import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Fault, RegistryOptions } from "@goldenpath/registry-server/server";
import type { AuthKind, Door, Expectation, FaultStand } from "./fault-stand.ts";

/** What a client does with a registry, as people name it. `login` is a part of all of them. */
export const operations = ["pull", "push", "mount", "referrers-read", "referrers-write", "tag", "login"] as const;
export type Operation = (typeof operations)[number];

/** The kinds of requests that they consist of; a fault hits one of them. */
export const requestKinds = [
  "manifest-get", // by digest
  "tag-get", // a manifest by tag
  "tag-absent", // where the tag is not there yet
  "blob-get",
  "tags-get", // the list's first page
  "tags-page", // and the one after it
  "referrers-get",
  "referrers-page",
  "referrers-absent", // where the API is not served
  "fallback-get", // the fallback tag's index
  "token",
  "manifest-head",
  "blob-head",
  "upload-start",
  "upload-content",
  "mount",
  "manifest-put",
  "tag-put",
  "fallback-put",
] as const;
export type RequestKind = (typeof requestKinds)[number];

/** Where a fault can hit. */
export interface Point {
  kind: RequestKind;
  match: Pick<Fault, "method" | "path">;
  /** Which registry it is; the one under test unless told. */
  at?: "source";
}

/** One piece of work that a client does with a registry, and what has to be true after it. */
export interface Scenario {
  operation: Operation;
  name: string;
  points: readonly Point[];
  registry?: RegistryOptions;
  /** Faults that are there all the time, and make the client take the way that is meant. */
  faults?: readonly Fault[];
  auth?: AuthKind;
  identityToken?: boolean;
  /** Fills a registry: the one under test, or another host with the same in it. */
  seed(door: Door): Promise<void>;
  seedSource?(door: Door): Promise<void>;
  run(stand: FaultStand): Promise<unknown>;
  /** Holds what came back, and what the registry has, to the right bytes. */
  verify(stand: FaultStand, result: unknown): Promise<void>;
  /** The same while the fault is still there for good. */
  verifyUnderFault?(stand: FaultStand): Promise<void>;
  /** Where this one ends otherwise than others that have the same kind of request. */
  instead?: Readonly<Record<string, Partial<Record<RequestKind, Expectation>>>>;
  /** What may be in the registry besides what was there before, whatever happened. */
  mayAdd?: readonly Digest[];
  /** Where the tags may point besides to where they did. */
  mayTag?: Readonly<Record<string, Digest>>;
}
