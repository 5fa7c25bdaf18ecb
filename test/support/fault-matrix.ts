import { isKnownError, PolicyViolation } from "@goldenpath/foundation/errors";
import type { Digest } from "@goldenpath/registry-client/oci/digest";
import type { Fault, Snapshot } from "@goldenpath/registry-server/server";
import { describe, expect, test } from "vitest";
import { type FaultRow, faults } from "./fault-kinds.ts";
import { scenarios } from "./fault-operations.ts";
import type { Operation, Point, Scenario } from "./fault-scenario.ts";
import { type AuthKind, attempts, type Ending, type FaultStand, findLeaks, openFaultStand } from "./fault-stand.ts";

/** One piece of work that meets one fault at one kind of its requests. */
export interface Cell {
  scenario: Scenario;
  point: Point;
  fault: string;
  forGood: boolean;
  auth: AuthKind;
}

/** Every cell of an operation that the table does not say is impossible. */
export function listCells(operation: Operation): Cell[] {
  return scenarios
    .filter((scenario) => scenario.operation === operation)
    .flatMap((scenario) =>
      Object.entries(faults).flatMap(([fault, row]) =>
        scenario.points
          .filter((point) => typeof row.at[point.kind] !== "string")
          .flatMap((point) =>
            (["basic", "bearer"] as const)
              .filter((auth) => (row.auth ?? scenario.auth ?? auth) === auth && (scenario.auth ?? auth) === auth)
              .flatMap((auth) => [false, true].map((forGood) => ({ scenario, point, fault, forGood, auth }))),
          ),
      ),
    );
}

/** Runs an operation's cells, some at a time: each has registries of its own. */
export function describeCells(operation: Operation): void {
  const cells = Map.groupBy(listCells(operation), ({ scenario }) => scenario);
  describe.each([...cells].map(([scenario, its]) => ({ name: scenario.name, its })))(
    `${operation}: $name`,
    ({ its }) => {
      const byFault = [...Map.groupBy(its, ({ fault }) => fault)].map(([fault, same]) => ({ fault, same }));
      test.each(byFault)("$fault", async ({ same }) => {
        const problems = await Promise.all(
          same.map(async (cell) => (await findProblems(cell)).map((problem) => `${nameOf(cell)}: ${problem}`)),
        );
        if (problems.flat().length > 0) expect.fail(problems.flat().join("\n"));
      });
    },
  );
}

function nameOf({ point, forGood, auth }: Cell): string {
  return `${point.kind}${point.at === undefined ? "" : ` at the ${point.at}`}, ${forGood ? "for good" : "once"}, ${auth}`;
}

/** Runs a cell: everything in which it did not end as the table says. */
async function findProblems(cell: Cell): Promise<string[]> {
  const { scenario, point, forGood } = cell;
  const row = faults[cell.fault] as FaultRow;
  const expectation = scenario.instead?.[cell.fault]?.[point.kind] ?? row.at[point.kind];
  if (typeof expectation === "string") throw new TypeError(`this cell cannot be: ${expectation}`);
  const stand = await openFaultStand({
    auth: cell.auth,
    hasSource: scenario.seedSource !== undefined,
    hasOthers: cell.fault.startsWith("redirect to another host"),
    ...(scenario.registry === undefined ? {} : { registry: scenario.registry }),
    ...(row.stallTimeout === undefined ? {} : { stallTimeout: row.stallTimeout }),
    ...(scenario.identityToken === undefined ? {} : { identityToken: scenario.identityToken }),
  });
  try {
    const usual = await countRequests(cell);
    await prepare(stand, scenario, point);
    // Who has been asked for a login before shows it at once, so that the fault hits the answer and not the question.
    const isKnown = scenario.operation !== "login" && !(row.hitsAnything === true && cell.auth === "bearer");
    if (isKnown) await introduce(stand);
    const before = await stand.registry.server.snapshot();
    const asked = (stand[point.at ?? "registry"] ?? stand.registry).server;
    const fault: Fault = {
      ...point.match,
      action: row.action(stand, point.kind, asked),
      ...(forGood ? {} : { times: row.times ?? 2 }),
    };
    asked.faults = [fault, ...asked.faults];
    const outcome = await settle(scenario.run(stand));
    // Before anybody else's requests come in.
    const leaks = findLeaks(stand, outcome.error);
    const requests = stand.registry.server.requests.length + (stand.source?.server.requests.length ?? 0);
    const hits = asked.requests.filter((request) => request.fault === fault.action.kind).length;
    const problems = leaks.map((leak) => `a credential leaks: ${leak}`);
    if (hits === 0) problems.push("the fault hit nothing");
    const most = row.mostRequests ?? usual * attempts * attempts;
    if (requests > most) problems.push(`${requests} requests, where ${most} should be enough`);
    const ending = forGood ? expectation.forGood : expectation.once;
    problems.push(...judgeEnding(outcome, ending));
    const missed = row.check?.(stand);
    if (missed !== undefined) problems.push(missed);
    if (outcome.error === undefined && forGood)
      problems.push(...(await failureOf(async () => scenario.verifyUnderFault?.(stand))));
    asked.faults = [];
    problems.push(...(await findUnwanted(stand, scenario, before)));
    if (outcome.error === undefined && ending === "well")
      problems.push(...(await failureOf(() => scenario.verify(stand, outcome.result))));
    return problems;
  } finally {
    await stand.close();
  }
}

async function prepare(stand: FaultStand, scenario: Scenario, point: Point): Promise<void> {
  await scenario.seed(stand.registry);
  if (stand.source !== undefined) await scenario.seedSource?.(stand.source);
  if (stand.other !== undefined)
    await (point.at === "source" ? scenario.seedSource?.(stand.other) : scenario.seed(stand.other));
  stand.registry.server.faults = [...(scenario.faults ?? [])];
  for (const server of stand.servers) server.requests.length = 0;
}

async function introduce(stand: FaultStand): Promise<void> {
  for (const door of [stand.registry, stand.source]) {
    if (door !== undefined) await stand.client.listTags({ registry: door.server.host, name: "nothing" });
  }
  for (const server of stand.servers) server.requests.length = 0;
}

const usualRequests = new Map<string, Promise<number>>();

/** How many requests the same takes without a fault: and then it has to end well. */
function countRequests({ scenario, point, auth }: Cell): Promise<number> {
  const key = `${scenario.operation} ${scenario.name} ${auth}`;
  const known = usualRequests.get(key);
  if (known !== undefined) return known;
  const counted = (async () => {
    const stand = await openFaultStand({
      auth,
      hasSource: scenario.seedSource !== undefined,
      hasOthers: false,
      ...(scenario.registry === undefined ? {} : { registry: scenario.registry }),
      ...(scenario.identityToken === undefined ? {} : { identityToken: scenario.identityToken }),
    });
    try {
      await prepare(stand, scenario, point);
      const result = await scenario.run(stand);
      const count = stand.registry.server.requests.length + (stand.source?.server.requests.length ?? 0);
      await scenario.verify(stand, result);
      return count;
    } finally {
      await stand.close();
    }
  })();
  usualRequests.set(key, counted);
  return counted;
}

interface Outcome {
  result?: unknown;
  error?: unknown;
}

async function settle(work: Promise<unknown>): Promise<Outcome> {
  return work.then(
    (result) => ({ result }),
    (error: unknown) => ({ error: error ?? new Error("nothing was thrown") }),
  );
}

function judgeEnding({ error }: Outcome, expected: Ending): string[] {
  if (expected === "well") return error === undefined ? [] : [`it fails: ${codeOf(error)}`];
  if (error === undefined) return [`it ends well, and not with ${expected.join(" or ")}`];
  return expected.includes(codeOf(error))
    ? []
    : [`it fails with ${codeOf(error)}, and not with ${expected.join(" or ")}`];
}

/** A named error's code; anything else is not what a client may throw. */
function codeOf(error: unknown): string {
  if (isKnownError(error) && !(error instanceof PolicyViolation)) return error.code;
  return `an unnamed error: ${error instanceof Error ? error.stack : String(error)}`;
}

async function failureOf(body: () => Promise<void> | undefined): Promise<string[]> {
  try {
    await body();
    return [];
  } catch (error) {
    return [`it did not do what it was to do: ${error instanceof Error ? error.message : String(error)}`];
  }
}

/**
 * What is in the registry that was not there before, and that nobody wanted there; and what was there, and is not any
 * more.
 */
async function findUnwanted(stand: FaultStand, scenario: Scenario, before: Snapshot): Promise<string[]> {
  const problems: string[] = [];
  const after = await stand.registry.server.snapshot();
  const wanted = new Set<string>(scenario.mayAdd);
  for (const [name, { manifests, blobs, tags }] of Object.entries(after)) {
    const had = before[name] ?? { manifests: [], blobs: [], tags: {} };
    const kept = new Set([...had.manifests, ...had.blobs]);
    // What a list at a fallback tag may be is another question, which the reading of it answers.
    const lists = new Set(Object.entries(tags).flatMap(([tag, digest]) => (tag.startsWith("sha256-") ? [digest] : [])));
    for (const digest of [...manifests, ...blobs]) {
      if (!kept.has(digest) && !wanted.has(digest) && !lists.has(digest))
        problems.push(`${digest} has come into ${name}`);
    }
    for (const digest of kept)
      if (![...manifests, ...blobs].includes(digest)) problems.push(`${digest} has gone from ${name}`);
    for (const [tag, digest] of Object.entries(tags)) {
      if (tag.startsWith("sha256-")) problems.push(...(await judgeList(stand, name, digest, had.tags[tag], wanted)));
      else if (digest !== had.tags[tag] && digest !== scenario.mayTag?.[tag])
        problems.push(`${name}:${tag} has come to ${digest}`);
    }
  }
  return problems;
}

/** A list of referrers has every entry that it had, and no others than what was pushed. */
async function judgeList(
  stand: FaultStand,
  name: string,
  now: string,
  before: string | undefined,
  wanted: ReadonlySet<string>,
): Promise<string[]> {
  const entries = async (digest: string): Promise<string[]> =>
    (
      JSON.parse(Buffer.from(await stand.registry.read(name, "manifests", digest)).toString()) as {
        manifests: { digest: Digest }[];
      }
    ).manifests.map((each) => each.digest);
  const had = before === undefined ? [] : await entries(before);
  const has = await entries(now);
  const lost = had
    .filter((digest) => !has.includes(digest))
    .map((digest) => `the list of referrers has lost ${digest}`);
  const strange = has
    .filter((digest) => !had.includes(digest) && !wanted.has(digest))
    .map((digest) => `the list of referrers has ${digest}`);
  return [...lost, ...strange];
}
