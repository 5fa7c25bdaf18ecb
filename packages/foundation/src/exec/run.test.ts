import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { InfrastructureError } from "../errors.ts";
import { type ProcessOptions, runChecked, runProcess } from "./run.ts";

const folder = mkdtempSync(join(tmpdir(), "goldenpath-run-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a script in Node itself, in an environment with nothing in it. */
function script(source: string, options: Partial<ProcessOptions> = {}, ...args: string[]) {
  return runProcess(process.execPath, ["-e", source, "--", ...args], { env: {}, ...options });
}

async function failureOf(running: Promise<unknown>): Promise<InfrastructureError> {
  const error = await running.then(
    () => new Error("it did not fail"),
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(InfrastructureError);
  return error as InfrastructureError;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // What is dead and not yet collected by its parent still answers to signal 0.
    return process.platform !== "linux" || !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

async function untilDead(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
}

const parentOfSleeper = (childOptions: string, afterwards: string): string => `
  const { spawn } = require("node:child_process");
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], ${childOptions});
  process.stdout.write(child.pid + "\\n");
  ${afterwards}`;

describe("what is refused", () => {
  it("a program that does not exist", async () => {
    const error = await failureOf(runProcess("goldenpath-no-such-tool", [], { env: { PATH: "/usr/bin" } }));
    expect(error.code).toBe("tool-missing");
    expect(error.message).toContain("goldenpath-no-such-tool");
    expect(error.wayOut).toContain("PATH");
  });

  it("a file that is not a program", async () => {
    const file = join(folder, "plain.txt");
    writeFileSync(file, "hello", { mode: 0o644 });
    expect((await failureOf(runProcess(file, [], { env: {} }))).code).toBe("tool-missing");
  });

  it("a working directory that does not exist, and not as a missing program", async () => {
    const error = await failureOf(script("", { cwd: join(folder, "nowhere") }));
    expect(error.code).toBe("process-not-started");
    expect(error.message).toContain("nowhere");
  });

  it("a program that outlives its time, with all that it started", async () => {
    let sleeper = 0;
    const error = await failureOf(
      script(parentOfSleeper(`{ stdio: "inherit" }`, "setInterval(() => {}, 1000);"), {
        timeoutMs: 1_000,
        onLine: (line) => {
          sleeper = Number(line);
        },
      }),
    );
    expect(error.code).toBe("process-timeout");
    expect(sleeper).toBeGreaterThan(0);
    await untilDead(sleeper);
  });

  it("a program that ignores the polite signal", async () => {
    let pid = 0;
    const stop = new AbortController();
    const error = await failureOf(
      script("process.on('SIGTERM', () => {}); console.log(process.pid); setInterval(() => {}, 1000)", {
        signal: stop.signal,
        killGraceMs: 50,
        onLine: (line) => {
          pid = Number(line);
          stop.abort();
        },
      }),
    );
    expect(error.code).toBe("process-aborted");
    await untilDead(pid);
  });

  it("to start when the run is cancelled already", async () => {
    const marker = join(folder, "started");
    const error = await failureOf(
      script(`require("fs").writeFileSync(${JSON.stringify(marker)}, "")`, { signal: AbortSignal.abort() }),
    );
    expect(error.code).toBe("process-aborted");
    expect(existsSync(marker)).toBe(false);
  });

  it("more output than the limit, and the program is ended", async () => {
    const error = await failureOf(
      script("setInterval(() => process.stdout.write('x'.repeat(65536)), 1)", { maxOutputBytes: 200_000 }),
    );
    expect(error.code).toBe("output-too-large");
    expect(error.message).toContain("200000");
  });

  it("one byte over the limit, and not the limit itself", async () => {
    expect((await script("process.stdout.write('x'.repeat(100))", { maxOutputBytes: 100 })).stdout).toHaveLength(100);
    expect((await failureOf(script("process.stdout.write('x'.repeat(101))", { maxOutputBytes: 100 }))).code).toBe(
      "output-too-large",
    );
  });

  it("a death by a signal as if it were an exit code", async () => {
    const error = await failureOf(script("console.error('last words'); process.kill(process.pid, 'SIGKILL')"));
    expect(error.code).toBe("process-killed");
    expect(error.message).toContain("SIGKILL");
    expect(error.message).toContain("last words");
  });
});

describe("runProcess", () => {
  it("returns a non-zero exit code with both outputs", async () => {
    expect(await script("console.log('out'); console.error('err'); process.exitCode = 7")).toEqual({
      exitCode: 7,
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  it("hands over the given environment and nothing of its own", async () => {
    process.env["GOLDENPATH_TEST_LEAK"] = "secret";
    try {
      const { stdout } = await script("console.log(JSON.stringify(process.env))", {
        env: { ONLY: "this", NOT: undefined },
      });
      expect(JSON.parse(stdout)).toEqual({ ONLY: "this" });
    } finally {
      delete process.env["GOLDENPATH_TEST_LEAK"];
    }
  });

  it("looks a program up in the PATH that it hands over", async () => {
    writeFileSync(join(folder, "goldenpath-own-tool"), "#!/bin/sh\necho mine\n", { mode: 0o755 });
    expect((await runProcess("goldenpath-own-tool", [], { env: { PATH: folder } })).stdout).toBe("mine\n");
  });

  it("gives arguments as they are: no shell sees them", async () => {
    const args = ["$(echo pwned)", "a b", "; exit 3", "*", ""];
    const { stdout, exitCode } = await script("console.log(JSON.stringify(process.argv.slice(1)))", {}, ...args);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toEqual(args);
  });

  it("feeds the input, and an empty one where there is none", async () => {
    const echo = "process.stdin.pipe(process.stdout)";
    expect((await script(echo, { input: "héllo" })).stdout).toBe("héllo");
    expect((await script(echo, { input: new Uint8Array([65, 66]) })).stdout).toBe("AB");
    expect((await script(echo)).stdout).toBe("");
  });

  it("runs as another user and group where this one may", async () => {
    const isRoot = process.getuid?.() === 0;
    const uid = isRoot ? 65534 : (process.getuid?.() ?? 0);
    const gid = isRoot ? 65533 : (process.getgid?.() ?? 0);
    // The shell and not Node itself, which may lie in a folder that is closed to others.
    const { stdout } = await runProcess("/bin/sh", ["-c", "id -u; id -g"], {
      env: { PATH: "/usr/bin:/bin" },
      cwd: "/",
      uid,
      gid,
    });
    expect(stdout).toBe(`${uid}\n${gid}\n`);
  });

  it("does not mind a program that leaves its input unread", async () => {
    expect((await script("process.exit(3)", { input: "x".repeat(4 * 1024 * 1024) })).exitCode).toBe(3);
  });

  it("reads lines as they come, cut characters and last lines without an end included", async () => {
    const lines: string[] = [];
    const source = `
      const bytes = Buffer.from("één\\r\\ntwee\\ndrie");
      process.stdout.write(bytes.subarray(0, 1));
      setTimeout(() => process.stdout.write(bytes.subarray(1)), 20);
      process.stderr.write("warn\\n");`;
    await script(source, { onLine: (line, stream) => void lines.push(`${stream}: ${line}`) });
    expect(lines.filter((line) => line.startsWith("stdout"))).toEqual(["stdout: één", "stdout: twee", "stdout: drie"]);
    expect(lines).toContain("stderr: warn");
  });

  it("rejects with what the caller's own line handler throws", async () => {
    const own = new Error("own");
    await expect(
      script("console.log('one'); setInterval(() => {}, 1000)", {
        onLine: () => {
          throw own;
        },
      }),
    ).rejects.toBe(own);
  });

  it("keeps the end of a long standard error", async () => {
    const { stderr, exitCode } = await script("process.stderr.write('x'.repeat(3000000) + 'the end')");
    expect(exitCode).toBe(0);
    expect(stderr.length).toBe(1024 * 1024);
    expect(stderr.endsWith("xthe end")).toBe(true);
  });

  it("ends what a finished program left running, whether or not that holds the output open", async () => {
    for (const stdio of ["inherit", "ignore"]) {
      const { stdout, exitCode } = await script(parentOfSleeper(`{ stdio: "${stdio}" }`, "child.unref();"));
      expect(exitCode).toBe(0);
      await untilDead(Number(stdout));
    }
  });

  it("does not wait for what left the group and holds the output open", async () => {
    const { stdout, exitCode } = await script(
      parentOfSleeper(`{ stdio: "inherit", detached: true }`, "child.unref();"),
    );
    expect(exitCode).toBe(0);
    process.kill(Number(stdout), "SIGKILL");
  });

  it("takes its programs with it when this process exits", async () => {
    const source = `
      import { runProcess } from ${JSON.stringify(new URL("./run.ts", import.meta.url).href)};
      void runProcess(process.execPath, ["-e", "console.log(process.pid); setInterval(() => {}, 1000)"], {
        env: {}, onLine: (pid) => { process.stdout.write(pid + "\\n"); process.exit(5); } });`;
    const { stdout, exitCode } = await runProcess(process.execPath, ["--input-type=module", "-e", source], { env: {} });
    expect(exitCode).toBe(5);
    expect(Number(stdout)).toBeGreaterThan(0);
    await untilDead(Number(stdout));
  });
});

describe("runChecked", () => {
  it("refuses a non-zero exit code with the last 20 lines of standard error, and without the arguments", async () => {
    const source = "for (let n = 1; n <= 30; n++) console.error('line ' + n); process.exitCode = 9";
    const error = await failureOf(runChecked(process.execPath, ["-e", source, "--", "hunter2"], { env: {} }));
    expect(error.code).toBe("process-failed");
    expect(error.message).toContain("exit code 9");
    expect(error.message).toContain("line 30");
    expect(error.message).toContain("line 11\n");
    expect(error.message).not.toContain("line 10\n");
    expect(error.message).not.toContain("hunter2");
  });

  it("shows standard output where standard error is empty", async () => {
    const error = await failureOf(
      runChecked(process.execPath, ["-e", "console.log('said here'); process.exitCode = 1"], { env: {} }),
    );
    expect(error.message).toContain("said here");
  });

  it("returns what went well", async () => {
    expect((await runChecked(process.execPath, ["-e", "console.log(1)"], { env: {} })).stdout).toBe("1\n");
  });
});
