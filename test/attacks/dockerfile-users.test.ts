import { spawn } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makePlayground, removePlayground, runBuild, writeFiles } from "../integration/build-fixtures.ts";
import type { BuildRunAnswer } from "../integration/build-run.ts";
import { useDockerfileWorld } from "../support/dockerfile-world.ts";
import { requireCommand, requireTool } from "../support/tools.ts";

const world = useDockerfileWorld();
const user = { uid: 54_323, gid: 54_323 };
let playground = "";
beforeEach(async () => {
  playground = makePlayground({ buildkitd: await requireTool("buildkitd"), buildctl: await requireTool("buildctl") });
});
afterEach(() => removePlayground(playground));

type Settings = Readonly<Record<string, string>>;

/** With each file of the machine's settings as this user's machine has it: over the real one, in a mount namespace. */
async function build(steps: string, settings: Settings): Promise<BuildRunAnswer> {
  const { inputs, launcher } = await prepare(steps, settings);
  return runBuild(playground, { inputs, user }, {}, launcher);
}

async function prepare(steps: string, settings: Settings) {
  writeFiles(join(playground, "app"), { Dockerfile: `FROM ${world.base}\n${steps}` });
  writeFileSync(join(playground, "policy.yaml"), readFileSync((await world.writePolicy()).file));
  mkdirSync(join(playground, "settings"), { recursive: true });
  const binds = Object.entries(settings).map(([path, text], index) => {
    const file = join(playground, "settings", String(index));
    writeFileSync(file, text);
    chmodSync(file, path === "/etc/sudoers" ? 0o440 : 0o644);
    return `touch ${path} && mount --bind ${file} ${path}`;
  });
  const launcher = ["unshare", "--mount", "sh", "-c", [...binds, 'exec "$0" "$@"'].join(" && ")];
  const inputs = { policy: "policy.yaml", context: "app", tags: `${world.host}/quarantine/users:1` };
  return { inputs, launcher };
}

const passwd = () => `${readFileSync("/etc/passwd", "utf8")}runner:*:54323:54323::/:/bin/sh\n`;
const steps = `RUN cat /proc/self/uid_map && id && echo made >/made && chmod 4755 /made
`;

function processesWith(words: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid) || pid === String(process.pid)) return false;
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(words);
    } catch {
      return false;
    }
  });
}

if (process.getuid?.() === 0) {
  describe("a Dockerfile that an ordinary user builds", () => {
    test("is refused where nothing keeps it apart, with the way out", async () => {
      const answer = await build(steps, { "/etc/passwd": passwd(), "/etc/sudoers": "" });
      expect(answer).toMatchObject({ verdict: "error", code: "build-not-isolated" });
      expect(answer.result.error?.message).toMatch(/sudo: .*; user-namespace: /);
      expect(answer.result.error?.wayOut).toContain("/etc/subuid");
    });

    test("runs as nobody of the machine, by sudo, as on a hosted runner", async () => {
      await requireCommand("sudo");
      const answer = await build(steps, {
        "/etc/passwd": passwd(),
        "/etc/sudoers": "runner ALL=(ALL) NOPASSWD: ALL\n",
      });
      expect(answer.result.error).toBeUndefined();
      expect(answer.verdict).toBe("pass");
      expect(answer.result.notes.join("\n")).toContain("(by sudo)");
      expect(answer.log.join("\n")).toMatch(/ 0 +[2-4][0-9]{9} +65536/);
    });

    test("that is killed outright leaves nothing running, whoever it ran as, and can be run again", async () => {
      await requireCommand("sudo");
      const settings = { "/etc/passwd": passwd(), "/etc/sudoers": "runner ALL=(ALL) NOPASSWD: ALL\n" };
      const { inputs, launcher } = await prepare("RUN cat /dev/zero >/dev/null\n", settings);
      const [program = "", ...args] = launcher;
      const script = fileURLToPath(new URL("../integration/build-run.ts", import.meta.url));
      const child = spawn(program, [...args, process.execPath, "--conditions=goldenpath-source", script], {
        env: { PATH: `${join(playground, "bin")}:/usr/bin:/bin`, HOME: join(playground, "tmp") },
        stdio: ["pipe", "ignore", "ignore"],
      });
      child.stdin?.end(
        JSON.stringify({
          ...{ inputs, user, workingDirectory: playground },
          ...{ temporaryRoot: join(playground, "tmp"), resultDirectory: join(playground, "results") },
        }),
      );
      await expect.poll(() => processesWith("cat\0/dev/zero").length, { timeout: 60_000 }).toBeGreaterThan(0);
      child.kill("SIGKILL");
      await expect.poll(() => processesWith("cat\0/dev/zero"), { timeout: 30_000 }).toEqual([]);
      await expect.poll(() => processesWith("/var/tmp/goldenpath-54323/"), { timeout: 30_000 }).toEqual([]);
      expect((await build(steps, settings)).verdict).toBe("pass");
    });

    test("runs by the user's own subordinate numbers, without any right of root", async () => {
      await requireCommand("newuidmap");
      const numbers = "54323:300000:65536\n";
      const answer = await build(steps, {
        ...{ "/etc/passwd": passwd(), "/etc/sudoers": "" },
        ...{ "/etc/subuid": numbers, "/etc/subgid": numbers },
      });
      expect(answer.result.error).toBeUndefined();
      expect(answer.verdict).toBe("pass");
      expect(answer.result.notes.join("\n")).toContain("(by user-namespace)");
      expect(answer.log.join("\n")).toMatch(/ 1 +300000 +65535/);
      // What belongs to those numbers, the user could not remove by itself.
      expect(readdirSync("/var/tmp/goldenpath-54323")).toEqual([]);
    });
  });
}
