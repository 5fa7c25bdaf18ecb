import { isDeepStrictEqual } from "node:util";
import { parseJson } from "@goldenpath/foundation/text/json";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import { diffEnforcement, diffOwnDays } from "./diff-enforcement.ts";
import type { Direction, Meaning } from "./diff-meaning.ts";
import { meanings } from "./diff-meanings.ts";
import { fill, show, showDuration } from "./diff-words.ts";
import type { Policy } from "./schema.ts";

export interface PolicyChange {
  direction: Direction;
  /** As it is told: `bases[golden].until`. */
  key: string;
  /** What leads to it in the new policy; of what is gone, to where it was. */
  path: readonly PropertyKey[];
  /** One sentence, without a full stop. */
  says: string;
}

export interface DiffedPolicy {
  policy: Policy;
  /** Of its file's bytes. */
  digest: Digest;
}

/** A place in both policies. */
interface Place {
  /** In the table of meanings: `bases[].until`. */
  pattern: string;
  key: string;
  path: readonly PropertyKey[];
}

type Values = Readonly<Record<string, unknown>>;

/**
 * What the newer policy lets in and shuts out besides the older: the changes of what they say, not of how they are
 * written. Each key is read on its own; what another key makes of it is left out, so that a widening may let in nothing
 * yet.
 */
export function diffPolicies(before: DiffedPolicy, after: DiffedPolicy): PolicyChange[] {
  const [older, newer] = [normalise(before.policy), normalise(after.policy)];
  const root: Place = { pattern: "", key: "", path: [] };
  const special = new Set(["serial", "accepts"]);
  const without = (policy: Values): Values =>
    Object.fromEntries(Object.entries(policy).filter(([name]) => !special.has(name)));
  return [
    ...diffSerials(before, after),
    ...diffFields(without(older), without(newer), root),
    ...diffOwnDays(before.policy, after.policy),
  ];
}

/** In one way of writing: what may be written in two is not changed where only that is. */
function normalise({ absent, ...policy }: Policy): Values {
  const { scan, ...others } = policy;
  return {
    ...others,
    // A section that is not there allows nothing, whatever its fields would be.
    ...(absent?.includes("scan") === true ? {} : { scan }),
    signers: Object.fromEntries(
      Object.entries(policy.signers).map(([name, signer]) => {
        // What a signer is completed with stands in sections of its own.
        const own = Object.entries(signer).filter(([field]) => field !== "instance" && field !== "store");
        return [name, { ...Object.fromEntries(own), kind: signer.kind ?? "key" }];
      }),
    ),
    build: {
      ...policy.build,
      sources: policy.build.sources.map((source) => (typeof source === "string" ? { repository: source } : source)),
      builders: policy.build.builders.map((builder) => ({ ...builder, kind: builder.kind ?? "buildpacks" })),
    },
  };
}

/** Whose evidence still counts: by the serial and `accepts`, which say it together. */
function diffSerials(before: DiffedPolicy, after: DiffedPolicy): PolicyChange[] {
  const [older, newer] = [before.policy, after.policy];
  const isSame = before.digest === after.digest;
  const changes: PolicyChange[] = [];
  const tell = (field: string, direction: Direction, says: string): void =>
    void changes.push({ direction, key: field, path: [field], says });
  const accepted = newer.accepts;
  const isAccepted =
    typeof accepted === "number" || accepted.some(({ serial, digest }) => isItself(serial, digest, before));
  if (older.serial !== newer.serial) {
    tell("serial", "neither", `the serial is ${newer.serial} (before: ${older.serial})`);
    if (isAccepted) tell("accepts", "neither", `evidence made under serial ${older.serial} still counts`);
    else
      tell(
        "serial",
        "narrowing",
        `evidence made under serial ${older.serial} counts no more: \`accepts\` leaves it out`,
      );
  } else if (!isSame) tell("serial", "neither", `the serial is ${newer.serial} in both, which no change may keep`);
  if (isDeepStrictEqual(older.accepts, newer.accepts)) return changes;
  if (typeof older.accepts === "number" && typeof newer.accepts === "number")
    tell("accepts", newer.accepts > older.accepts ? "widening" : "narrowing", says(newer.accepts, older.accepts));
  else if (typeof newer.accepts === "number") tell("accepts", "widening", says(newer.accepts, undefined));
  else if (typeof older.accepts === "number")
    tell("accepts", "narrowing", "evidence of earlier versions counts only where `accepts` lists them");
  const listed = (accepts: Policy["accepts"]) => (typeof accepts === "number" ? [] : accepts);
  for (const each of listed(newer.accepts)) {
    if (listed(older.accepts).some((other) => isDeepStrictEqual(each, other))) continue;
    if (older.serial !== newer.serial && isItself(each.serial, each.digest, before)) continue;
    tell("accepts", "widening", `evidence made under serial ${each.serial} (${each.digest}) counts as well`);
  }
  for (const each of listed(older.accepts)) {
    if (listed(newer.accepts).some((other) => isDeepStrictEqual(each, other))) continue;
    tell(
      "accepts",
      "narrowing",
      `evidence made under serial ${each.serial} (${each.digest}) counts no more by the list`,
    );
  }
  return changes;

  function says(now: number, then: number | undefined): string {
    const was = then === undefined ? "the listed ones alone" : showDuration(then);
    return `evidence counts of versions that were superseded no longer ago than ${showDuration(now)} (before: ${was})`;
  }
}

const isItself = (serial: number, digest: Digest, { policy, digest: own }: DiffedPolicy): boolean =>
  serial === policy.serial && digest === own;

function diffFields(before: Values, after: Values, place: Place): PolicyChange[] {
  const names = new Set([...Object.keys(after), ...Object.keys(before)]);
  return [...names].flatMap((name) => diffValue(before[name], after[name], below(place, name)));
}

function below({ pattern, key, path }: Place, name: string): Place {
  const add = (text: string): string => (text === "" ? name : `${text}.${name}`);
  return { pattern: add(pattern), key: add(key), path: [...path, name] };
}

function diffValue(before: unknown, after: unknown, place: Place): PolicyChange[] {
  if (isDeepStrictEqual(before, after)) return [];
  const meaning = Object.hasOwn(meanings, place.pattern) ? meanings[place.pattern] : undefined;
  if (meaning === undefined) return [tell(place, "unknown", "changed, and what it means is not known here")];
  switch (meaning.as) {
    case "grants":
    case "demands":
      return diffEntries(before, after, place, meaning);
    case "identity":
      return diffIdentity(before, after, place, meaning);
    case "most":
    case "least":
      return diffAmount(before, after, place, meaning);
    case "scale":
      return diffScale(before, after, place, meaning);
    case "told":
      return [tell(place, "neither", `${fill(meaning.says, after)} (before: ${show(before)})`)];
    case "unclear":
      if (meaning.more !== undefined && (before === undefined || after === undefined))
        return [tellThere(place, { more: meaning.more }, after !== undefined, fill(meaning.says, after ?? before))];
      return [tell(place, "unknown", `${fill(meaning.says, after)} (before: ${show(before)})`)];
    case "section":
      if (isMap(before) && isMap(after)) return diffFields(before, after, place);
      return [tellThere(place, meaning, after !== undefined, meaning.says)];
    case "days":
      return diffEnforcement(asMap(before), asMap(after), place);
    case "names":
      return diffNames(asMap(before), asMap(after), place, meaning);
    case "list":
      return diffList(asList(before), asList(after), place, meaning);
  }
}

function diffNames(
  before: Values,
  after: Values,
  place: Place,
  meaning: Extract<Meaning, { as: "names" }>,
): PolicyChange[] {
  return [...new Set([...Object.keys(after), ...Object.keys(before)])].flatMap((name) => {
    const [older, newer] = [before[name], after[name]];
    const at = { ...below(place, name), pattern: `${place.pattern}.*` };
    if (older !== undefined && newer !== undefined) return diffFields(asMap(older), asMap(newer), at);
    const there = tellThere(at, meaning, newer !== undefined, fill(meaning.says, name));
    return meaning.isOpen === true ? [there, ...diffFields(asMap(older), asMap(newer), at)] : [there];
  });
}

function diffList(
  before: readonly unknown[],
  after: readonly unknown[],
  place: Place,
  meaning: Extract<Meaning, { as: "list" }>,
): PolicyChange[] {
  const partsOf = (entry: unknown): unknown[] => meaning.by.map((field) => asMap(entry)[field]);
  const nameOf = (entry: unknown): string =>
    partsOf(entry)
      .filter((part) => part !== undefined)
      .map(show)
      .join(" ");
  // Of several by one name those that are the same belong together first.
  const left = [...before];
  const take = (fits: (each: unknown) => boolean): unknown => {
    const index = left.findIndex(fits);
    return index === -1 ? undefined : left.splice(index, 1)[0];
  };
  const same = after.map((entry) => take((each) => isDeepStrictEqual(each, entry)));
  const pairs = after.map((entry, index) => {
    const older = same[index] ?? take((each) => isDeepStrictEqual(partsOf(each), partsOf(entry)));
    return { index, entry, name: nameOf(entry), older };
  });
  const changes = pairs.flatMap(({ index, entry, name, older }) => {
    const at = { pattern: `${place.pattern}[]`, key: `${place.key}[${name}]`, path: [...place.path, index] };
    if (older !== undefined) return diffFields(asMap(older), asMap(entry), at);
    const until = asMap(entry)["expires"];
    const ends = until === undefined ? "" : `, until ${show(until)}`;
    return [tellThere(at, meaning, true, `${fill(meaning.says, name)}${ends}`)];
  });
  const gone = left
    .map(nameOf)
    .map((name) => tellThere({ ...place, key: `${place.key}[${name}]` }, meaning, false, fill(meaning.says, name)));
  const kept = pairs.flatMap(({ older }) => (older === undefined ? [] : [before.indexOf(older)]));
  const isMoved = kept.some((index, at) => index < (kept[at - 1] ?? -1));
  return [...changes, ...gone, ...(isMoved ? [tell(place, "neither", "its entries are in another order")] : [])];
}

function diffEntries(
  before: unknown,
  after: unknown,
  place: Place,
  meaning: Extract<Meaning, { as: "grants" | "demands" }>,
): PolicyChange[] {
  const more: Direction = meaning.as === "grants" ? "widening" : "narrowing";
  // An empty list is none: a base by approvals without `digests` is read with one.
  const [then, now] = [before, after].map((each) => (Array.isArray(each) && each.length === 0 ? undefined : each));
  if (meaning.absent === "all" && (then === undefined) !== (now === undefined))
    return diffAgainstAll(then, now, place, { says: meaning.says, more });
  const [older, newer] = [entriesOf(before), entriesOf(after)];
  const has = (list: readonly unknown[], one: unknown): boolean => list.some((each) => isDeepStrictEqual(each, one));
  const covers = meaning.as === "grants" ? meaning.covers : undefined;
  const isCovered = (list: readonly unknown[], one: unknown): boolean =>
    covers !== undefined && list.some((each) => covers(String(each), String(one)));
  const added = newer.flatMap((each, index) => {
    if (has(older, each)) return [];
    const at = typeof after === "string" ? place : { ...place, path: [...place.path, index] };
    const said = fill(meaning.says, each);
    return [isCovered(older, each) ? tell(at, "neither", `${said}, as before`) : tell(at, more, `${said}, as well`)];
  });
  const gone = older.flatMap((each) => {
    if (has(newer, each)) return [];
    const said = fill(meaning.says, each);
    return [
      isCovered(newer, each)
        ? tell(place, "neither", `${said}, as before`)
        : tell(place, turn(more), `no more: ${said}`),
    ];
  });
  const changes = [...added, ...gone];
  return changes.length > 0 ? changes : [tell(place, "neither", `the same, written otherwise: ${show(after)}`)];
}

/** Where one of the two does not have the key, and so anything. */
function diffAgainstAll(
  before: unknown,
  after: unknown,
  place: Place,
  { says, more }: { says: string; more: Direction },
): PolicyChange[] {
  // What is named is let in, also where it would not be without the key.
  const beyond = listBeyondDefault(place.pattern, entriesOf(after ?? before));
  if (after === undefined)
    return [
      tell(place, more, `${fill(says, "anything")} (before: ${show(before)} alone)`),
      ...beyond.map((each) => tell(place, turn(more), `no more: ${fill(says, each)}`)),
    ];
  return [
    tell(place, turn(more), `${fill(says, after)}, and nothing else any more (before: anything)`),
    ...beyond.map((each) => tell(place, more, `${fill(says, each)}, as well`)),
  ];
}

/** Of `refs` and `events` those that count only where they are named. */
function listBeyondDefault(pattern: string, named: readonly unknown[]): unknown[] {
  const ownEvents = ["push", "release", "create", "schedule", "workflow_dispatch", "repository_dispatch"];
  if (pattern === "build.sources[].events") return named.filter((each) => !ownEvents.includes(String(each)));
  if (pattern === "signedExceptions.signers[].rules") return named.filter((each) => each === "scan.malicious");
  if (pattern === "build.sources[].refs" || pattern === "signers.*.refs")
    return named.filter((each) => !/^refs\/(?:heads|tags)\//.test(String(each)));
  return [];
}

function diffIdentity(
  before: unknown,
  after: unknown,
  place: Place,
  { says, absent = "none", same = [] }: Extract<Meaning, { as: "identity" }>,
): PolicyChange[] {
  const isSame = [before, after].every((each) => same.includes(String(each)));
  if (isSame || (before !== undefined && after !== undefined && squeeze(before) === squeeze(after)))
    return [tell(place, "neither", `${fill(says, after)}, which is the same (before: ${show(before)})`)];
  if (absent === "all") {
    if (after === undefined)
      return [tell(place, "widening", `${fill(says, "anything")} (before: ${show(before)} alone)`)];
    if (before === undefined)
      return [tell(place, "narrowing", `${fill(says, after)}, and nothing else (before: anything)`)];
  }
  return [
    ...(after === undefined ? [] : [tell(place, "widening", fill(says, after))]),
    ...(before === undefined ? [] : [tell(place, "narrowing", `no more: ${fill(says, before)}`)]),
  ];
}

/** One writing of what has several: a key in PEM and data in JSON. White space in anything else is part of a name. */
function squeeze(value: unknown): string {
  const text = String(value).trim();
  if (text.startsWith("-----BEGIN ")) return text.replaceAll(/\s+/g, "");
  if (!text.startsWith("{")) return String(value);
  try {
    return JSON.stringify(parseJson(text));
  } catch {
    return text;
  }
}

function diffAmount(
  before: unknown,
  after: unknown,
  place: Place,
  { as, says, absent = 0, unit }: Extract<Meaning, { as: "most" | "least" }>,
): PolicyChange[] {
  const amount = (value: unknown): number => {
    if (value === undefined) return absent;
    if (value === "unlimited") return Number.POSITIVE_INFINITY;
    return typeof value === "string" ? Date.parse(value) : Number(value);
  };
  const shown = (value: unknown): string =>
    unit === "duration" && typeof value === "number"
      ? showDuration(value)
      : value !== undefined
        ? show(value)
        : unit === "day"
          ? "at once"
          : "no limit";
  const [older, newer] = [amount(before), amount(after)];
  const sentence = `${says.replace("{}", () => shown(after))} (before: ${shown(before)})`;
  if (Number.isNaN(older) || Number.isNaN(newer)) return [tell(place, "unknown", sentence)];
  if (older === newer) return [tell(place, "neither", sentence)];
  return [tell(place, newer > older === (as === "most") ? "widening" : "narrowing", sentence)];
}

function diffScale(
  before: unknown,
  after: unknown,
  place: Place,
  { says, values: ranked }: Extract<Meaning, { as: "scale" }>,
): PolicyChange[] {
  const values: readonly unknown[] = ranked;
  const rank = (value: unknown): number =>
    value === undefined && !values.includes(undefined) ? 0 : values.indexOf(value);
  const [older, newer] = [rank(before), rank(after)];
  const sentence = `${fill(says, after)} (before: ${show(before)})`;
  if (older === -1 || newer === -1) return [tell(place, "unknown", sentence)];
  return [tell(place, newer > older ? "widening" : newer < older ? "narrowing" : "neither", sentence)];
}

function tellThere(place: Place, { more }: { more: Direction }, isThere: boolean, says: string): PolicyChange {
  return isThere ? tell(place, more, `new: ${says}`) : tell(place, turn(more), `no more: ${says}`);
}

function tell({ key, path }: Place, direction: Direction, says: string): PolicyChange {
  return { direction, key, path, says };
}

function turn(direction: Direction): Direction {
  if (direction === "widening") return "narrowing";
  return direction === "narrowing" ? "widening" : direction;
}

/** The entries of a list; of a text those of the certificates in it. */
function entriesOf(value: unknown): readonly unknown[] {
  if (typeof value !== "string") return asList(value);
  const block = /-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g;
  // OpenSSL takes certificates in forms that this does not: what is left over may be one.
  const rest = value.replaceAll(block, "").trim();
  return [
    ...(value.match(block) ?? []).map((each) => each.replaceAll(/\s+/g, " ")),
    ...(rest === "" ? [] : [rest.replaceAll(/\s+/g, " ")]),
  ];
}

function isMap(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const asMap = (value: unknown): Values => (isMap(value) ? value : {});
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
