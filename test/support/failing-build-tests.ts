import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Fault } from "@goldenpath/registry-server/server";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  type FailingStand,
  failingStrategies,
  killOutright,
  openFailingStand,
  processesWith,
} from "./failing-builds.ts";
import { requireCommand, useTools } from "./tools.ts";

const writes = { method: ["POST", "PATCH", "PUT"], path: "^/v2/quarantine/" } as const;
const refusal = (code: string, message: string): Fault => ({
  ...writes,
  action: { kind: "status", status: 403, body: JSON.stringify({ errors: [{ code, message }] }) },
});
/** As Harbor says it. */
const overQuota =
  "adding 1.2 MiB of storage resource, which when updated to current usage of 9.9 MiB will exceed the configured upper limit of 10.0 MiB.";

/** Of a build's folder, by its repository's name. */
const slotOf = (name: string): string => createHash("sha256").update(name).digest("hex").slice(0, 12);

/** Builds have nothing but so much room for their folders. */
const withRoomOf = (size: string): string[] => [
  ...["unshare", "--mount", "/bin/sh", "-c", `mount -t tmpfs -o size=${size} tmpfs /var/tmp && exec "$@"`, "sh"],
];

/** What each way to build says when it fails, that it leaves no tag, and that running again is safe. Needs root. */
export function describeFailingBuilds(...names: string[]): void {
  const chosen = names.map((name) => failingStrategies[name]).filter((each) => each !== undefined);
  if (process.geteuid?.() !== 0) {
    test.skip("builds that fail: a full disk and a stranger's process are made by root");
    return;
  }
  describe.each(chosen)("$name", (strategy) => {
    const tools = useTools(...strategy.tools);
    let stand: FailingStand;
    // biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
    beforeAll(async ({}, suite) => {
      for (const command of strategy.commands) await requireCommand(command, suite);
      stand = await openFailingStand(strategy, tools);
    });
    afterEach(() => {
      stand.world.server.faults = [];
    });
    afterAll(() => stand?.close());

    /** It failed for this reason, said last, and no tag leads to anything of it. */
    async function expectFailure(name: string, files: ReturnType<FailingStand["files"]>, more: Failure) {
      const answer = await stand.build(name, files, more.launcher);
      const code = typeof more.code === "string" ? more.code : expect.stringMatching(more.code);
      expect(answer, answer.log.slice(-30).join("\n")).toMatchObject({ code, verdict: "error" });
      const { message = "", wayOut } = answer.result.error ?? {};
      expect(message).toMatch(more.said);
      expect(wayOut, message).toMatch(/\w/);
      expect(await stand.tagsOf(name)).toEqual([]);
      return answer;
    }
    interface Failure {
      code: string | RegExp;
      said: RegExp;
      launcher?: readonly string[];
    }
    const passes = async (name: string): Promise<void> => {
      const answer = await stand.build(name, stand.files("echo fine"));
      expect(answer.result.error, answer.log.slice(-30).join("\n")).toBeUndefined();
      expect(answer.verdict).toBe("pass");
      expect(await stand.tagsOf(name)).toEqual(["1"]);
    };

    test("a compiler's error is told with its words, and at its line", async () => {
      const { files, step, said, place } = strategy.compile;
      const answer = await expectFailure("compile", stand.files(step, files), { code: strategy.says.compile, said });
      expect(answer.places).toMatchObject([
        { line: place.line, file: expect.stringMatching(`^app-compile-\\w+/${place.file}$`) },
      ]);
    });

    test("nothing that can be built is told with what was looked for", async () => {
      await expectFailure("nothing", { "README.md": "" }, { code: strategy.says.nothing, said: strategy.nothing });
    });

    test("a push that is refused, for want of a right or of room in the registry", async () => {
      stand.world.server.faults = [refusal("DENIED", "requested access to the resource is denied")];
      const denied = { code: strategy.says.denied, said: /denied/i };
      await expectFailure("refused", stand.files("echo fine"), denied);
      stand.world.server.faults = [refusal("DENIED", overQuota)];
      await expectFailure("refused", stand.files("echo fine"), {
        code: strategy.says.quota,
        said: /quota|upper limit/,
      });
    });

    test("a registry that goes away in the middle of the push, and is there again", async () => {
      stand.world.server.faults = [{ ...writes, after: 3, action: { kind: "reset" } }];
      await expectFailure("gone", stand.files("echo fine"), { code: strategy.says.gone, said: /localhost:\d+/ });
      stand.world.server.faults = [];
      await passes("gone");
    });

    test.each(strategy.isInDaemon === true ? ["1g, the daemon's"] : ["1m", "250m"])(
      "a disk that is full, of %s",
      async (size) => {
        const step = "cat /dev/zero > large";
        const launcher = strategy.isInDaemon === true ? [] : withRoomOf(size);
        // Found out on the way, or known before.
        const full = { code: /^disk-(?:full|too-small)$/, said: /no space left|bytes/i, launcher };
        await expectFailure("full", stand.files(step), full);
      },
    );

    test("a step that somebody kills", async () => {
      const words = `killed-step-${process.pid}`;
      const running = stand.build("killed", stand.files(`cat /dev/zero ${words} > /dev/null`));
      await expect.poll(() => processesWith(words).length, { timeout: 60_000 }).toBeGreaterThan(0);
      for (const pid of processesWith(words)) process.kill(pid, "SIGKILL");
      const answer = await running;
      expect(answer.code, answer.log.slice(-30).join("\n")).toBe(strategy.says.killed);
      expect(answer.result.error?.message).toMatch(/killed|137|signal/i);
      expect(await stand.tagsOf("killed")).toEqual([]);
    });

    test("goldenpath itself that is killed leaves nothing running and no tag, and can be run again", async () => {
      const words = `killed-build-${process.pid}`;
      const child = await stand.start("outright", stand.files(`cat /dev/zero ${words} > /dev/null`));
      await expect.poll(() => processesWith(words).length, { timeout: 60_000 }).toBeGreaterThan(0);
      const secret = join("/var/tmp/goldenpath-0", slotOf("quarantine/outright"), strategy.secretFile ?? "none");
      expect(existsSync(secret)).toBe(strategy.secretFile !== undefined);
      await killOutright(child);
      await expect.poll(() => processesWith(words), { timeout: 30_000 }).toEqual([]);
      await expect.poll(() => existsSync(secret), { timeout: 30_000 }).toBe(false);
      expect(await stand.tagsOf("outright")).toEqual([]);
      await passes("outright");
    });
  });
}
