import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { parseRepository } from "@goldenpath/registry-client/oci/reference";
import type { RecordedRequest } from "@goldenpath/registry-server/server";
import { pieces, type TestImage } from "@goldenpath/testing/chain";
import {
  openStand,
  promotionsAmong,
  readStatements,
  type Stand,
  type StandOptions,
} from "@goldenpath/testing/promotion";
import { afterEach, expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
let stand: Stand;
afterEach(() => stand.close());

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

/** Runs `goldenpath promote` as a process of its own; `begun` gets it as soon as it is there. */
async function promote(
  image: TestImage,
  to: string,
  begun: (child: ChildProcess) => void = () => undefined,
): Promise<Ended> {
  const signer = ["--policy-signer", stand.keys.platform.publicKeyFile];
  const args = [
    ...signer,
    "--policy",
    stand.policy.file,
    "--image",
    image.reference,
    "--to",
    to,
    "--tags",
    "1.0.0",
    "--environment",
    "production",
  ];
  const child = spawn(
    join(root, "node_modules/.bin/node"),
    [
      "--conditions=goldenpath-source",
      join(root, "packages/cli/bin/goldenpath.mjs"),
      "promote",
      ...args,
      "--key",
      stand.keys.promote.file,
    ],
    {
      cwd: stand.directory,
      env: {
        PATH: process.env["PATH"],
        HOME: stand.directory,
        DOCKER_CONFIG: stand.directory,
        TMPDIR: stand.directory,
      },
    },
  );
  begun(child);
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
  return { code, signal, output };
}

/** Calls `then` with the n-th request that any of the registries gets, before it is answered. */
function onRequest(nth: number, then: () => void): { count(): number; stop(): void } {
  let count = 0;
  const servers = [...new Set([stand.quarantine, stand.vetted])];
  for (const { requests } of servers) {
    requests.push = (...recorded: RecordedRequest[]): number => {
      count += recorded.length;
      if (count === nth) then();
      return Array.prototype.push.apply(requests, recorded);
    };
  }
  return {
    count: () => count,
    stop: () => servers.forEach(({ requests }) => void Reflect.deleteProperty(requests, "push")),
  };
}

test.each<[string, StandOptions]>([
  ["within one registry", {}],
  ["between two registries", { apart: true }],
  ["without a referrers API", { registry: { referrers: false } }],
])("%s: killed by SIGKILL at any of its requests, a second process finishes", async (_where, options) => {
  stand = await openStand(options);
  const image = await stand.stageImage();
  const source = (await readStatements(stand, `${stand.from}/shop`, image.digest))
    .map(({ referrer }) => referrer)
    .toSorted();
  expect(source).toHaveLength(pieces.length);
  /** The evidence is there, all of it, and a promotion is signed. */
  const expectWhole = async (to: string): Promise<void> => {
    const statements = await readStatements(stand, to, image.digest);
    const promotions = promotionsAmong(statements);
    expect(promotions.length).toBeGreaterThanOrEqual(1);
    expect(statements.flatMap((each) => (promotions.includes(each) ? [] : [each.referrer])).toSorted()).toEqual(source);
  };
  for (let nth = 1; ; nth++) {
    const to = `${stand.to}/shop-${nth}`;
    const tag = { ...parseRepository(to), tag: "1.0.0" };
    let child: ChildProcess | undefined;
    const watch = onRequest(nth, () => child?.kill("SIGKILL"));
    const first = await promote(image, to, (started) => {
      child = started;
    });
    watch.stop();
    if (watch.count() < nth) {
      expect(first).toMatchObject({ code: 0, signal: null });
      expect(nth).toBeGreaterThan(50);
      return;
    }
    expect(first.signal, first.output).toBe("SIGKILL");
    if ((await stand.client.resolve(tag)) !== undefined) await expectWhole(to);
    const blobs = new Set((await stand.vetted.snapshot())[`vetted/shop-${nth}`]?.blobs);
    stand.vetted.requests.length = 0;
    const second = await promote(image, to);
    expect(second, second.output).toMatchObject({ code: 0 });
    const sent = stand.vetted.requests.filter(
      ({ method, path }) => method === "PUT" && path.includes("/blobs/uploads/"),
    );
    expect(sent.filter(({ query }) => blobs.has(new URLSearchParams(query).get("digest") ?? ""))).toEqual([]);
    expect(await stand.client.resolve(tag)).toBe(image.digest);
    await expectWhole(to);
  }
});
