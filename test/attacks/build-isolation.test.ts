import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import type { RegistryClient } from "@goldenpath/registry-client/client";
import { type RegistryServer, startRegistry } from "@goldenpath/registry-server/server";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  connect,
  makePlayground,
  makeTar,
  pushBuildpack,
  pushImage,
  readImage,
  removePlayground,
  renderPolicy,
  runBuild,
  writeFiles,
} from "../integration/build-fixtures.ts";
import type { BuildRunAnswer } from "../integration/build-run.ts";
import { asSudoer, inChangedRoot } from "../support/changed-root.ts";
import { requireCommand, useTools } from "../support/tools.ts";

// What strangers' code tries while it is built, with the real lifecycle; each time it writes what it got into the
// image, which is read afterwards.
const isRoot = process.getuid?.() === 0;
const users = isRoot
  ? [{ name: "root" }, { name: "an ordinary user", user: { uid: 54_322, gid: 54_322 } }]
  : [{ name: "this user" }];

const tools = useTools("lifecycle", "launcher");
let registry: RegistryServer;
let client: RegistryClient;
let playground = "";
let runImage = "";
/** A service of this machine that trusts who comes from there. */
let local: Server;
let asked = 0;

beforeAll(async () => {
  await requireCommand("curl");
  registry = await startRegistry();
  client = connect();
  const layer = await makeTar([{ name: "etc", type: "directory" }]);
  runImage = `${registry.host}/bases/run@${await pushImage(client, `${registry.host}/bases/run`, { layers: [layer] })}`;
  local = createServer((_request, answer) => {
    asked += 1;
    answer.end("the-local-secret");
  });
  await new Promise<void>((resolve) => local.listen(0, "0.0.0.0", resolve));
});
afterAll(async () => {
  local?.close();
  await client?.close();
  await registry?.close();
});
beforeEach(() => {
  asked = 0;
  playground = makePlayground(tools);
  writeFiles(join(playground, "app"), { "app.txt": "hello\n" });
});
afterEach(() => removePlayground(playground));

interface Attempt {
  user?: { uid: number; gid: number };
  env?: Record<string, string>;
  environments?: string;
  launcher?: readonly string[];
}

/** Builds with a buildpack that runs `script`; what it writes to `$OUT` is in the image. */
async function attempt(
  script: string,
  { user, env, environments, launcher }: Attempt,
): Promise<{ answer: BuildRunAnswer; out: string }> {
  const build = `mkdir -p "$CNB_LAYERS_DIR/out"\nprintf '[types]\\nlaunch = true\\n' > "$CNB_LAYERS_DIR/out.toml"\nOUT="$CNB_LAYERS_DIR/out/out.txt"\n: > "$OUT"\nset +e\n${script}\nexit 0`;
  const buildpack = await pushBuildpack(client, `${registry.host}/buildpacks/spy`, { id: "test/spy", build });
  const policy = renderPolicy({
    host: registry.host,
    runImage,
    buildpacks: [buildpack],
    ...(environments === undefined ? {} : { environments }),
  });
  writeFileSync(join(playground, "policy.yaml"), policy);
  const inputs = { policy: "policy.yaml", context: "app", tags: `${registry.host}/quarantine/app:one` };
  const answer = await runBuild(playground, { inputs, ...(user === undefined ? {} : { user }) }, env, launcher);
  const image = answer.outputs["image"] ?? "";
  const files = image === "" ? undefined : await readImage(client, image);
  return { answer, out: [...(files?.values() ?? [])].find(({ path }) => path.endsWith("out/out.txt"))?.content ?? "" };
}

/** Processes of this machine with a word in their arguments. */
function processesWith(word: string): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) && Number(pid) !== process.pid && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(word)
      );
    } catch {
      return false;
    }
  });
}

describe.each(users)("a build that $name starts", ({ user }) => {
  const as = user === undefined ? {} : { user };

  test("leaves no process behind, not even while the image is pushed", async () => {
    const script = [
      "setsid sleep 7654321 > /dev/null 2>&1 &",
      "( ( sleep 7654321 & ) & ) > /dev/null 2>&1",
      `sh -c 'trap "" TERM HUP INT; sleep 7654321 & wait' > /dev/null 2>&1 &`,
    ].join("\n");
    registry.faults = [{ method: "PUT", path: /\/manifests\//, action: { kind: "delay", milliseconds: 1_000 } }];
    const during: string[] = [];
    const watch = setInterval(() => {
      if (registry.requests.some(({ method, path }) => method === "PUT" && path.includes("quarantine/app")))
        during.push(...processesWith("7654321"));
    }, 50);
    try {
      registry.requests.length = 0;
      const { answer, out } = await attempt(
        `${script}\nsleep 0.2\nps -ef 2>/dev/null | grep -c '[7]654321' > "$OUT"`,
        as,
      );
      expect(answer.verdict).toBe("pass");
      expect(Number(out)).toBeGreaterThanOrEqual(3);
      expect(during).toEqual([]);
      expect(processesWith("7654321")).toEqual([]);
    } finally {
      clearInterval(watch);
      registry.faults = [];
    }
  });

  test("sees no process of the machine, and so no later step's key", async () => {
    const step = spawn("sleep", ["7654322"], { env: { GOLDENPATH_SCAN_KEY: "a-later-steps-key" } });
    try {
      const { answer, out } = await attempt(
        'for each in /proc/[0-9]*; do tr "\\0" " " < $each/cmdline; tr "\\0" " " < $each/environ; done > "$OUT" 2>/dev/null',
        as,
      );
      expect(answer.verdict).toBe("pass");
      expect(out).toContain("lifecycle");
      expect(out).not.toMatch(/7654322|later-steps-key|build-run/);
    } finally {
      step.kill("SIGKILL");
    }
  });

  test("reads no login, no command file, no checkout, no other build's folder and no home", async () => {
    const secret = "secret-of-the-job";
    const runner = join(playground, "runner", "_work", "_temp");
    const files = {
      docker: join(playground, "docker", "config.json"),
      output: join(runner, "_runner_file_commands", "set_output_1"),
      checkout: join(playground, "workspace", "shop", ".git", "config"),
      runner: join(playground, "runner", ".credentials"),
      home: join(playground, "tmp", ".npmrc"),
    };
    for (const file of Object.values(files)) {
      mkdirSync(join(file, ".."), { recursive: true });
      writeFileSync(file, secret, { mode: 0o666 });
    }
    const other = `/var/tmp/goldenpath-${user?.uid ?? process.getuid?.()}/another-build`;
    const env = {
      DOCKER_CONFIG: join(playground, "docker"),
      GITHUB_OUTPUT: files.output,
      RUNNER_TEMP: runner,
      GITHUB_WORKSPACE: join(playground, "workspace", "shop"),
    };
    writeFileSync(
      files.docker,
      JSON.stringify({ auths: { "r.test": { auth: Buffer.from(`robot:${secret}`).toString("base64") } } }),
    );
    const script = `for each in ${Object.values(files).join(" ")}; do cat $each; echo forged >> $each; done >> "$OUT" 2>&1
grep -rl ${secret} / --exclude-dir=proc --exclude-dir=usr >> "$OUT" 2>/dev/null
ls -d ${other} /var/run/docker.sock /run/docker.sock /root /home 2>/dev/null >> "$OUT"
ls /var/tmp/goldenpath-*/ >> "$OUT"`;
    const { answer, out } = await attempt(script, { ...as, env });
    expect(answer.verdict).toBe("pass");
    expect(out).not.toContain(secret);
    expect(out.split("\n").filter((line) => line.startsWith("/") && !line.startsWith("/var/tmp/goldenpath"))).toEqual(
      [],
    );
    // Of all builds' folders its own is there alone.
    expect(
      out
        .trim()
        .split("\n")
        .filter((line) => /^[0-9a-f]{12}(?:-\d+)?$/.test(line)),
    ).toHaveLength(1);
    for (const file of Object.values(files)) expect(readFileSync(file, "utf8")).not.toContain("forged");
  });

  test("reaches no service of the machine, by no name of it, and no cloud's metadata", async () => {
    const { port } = local.address() as AddressInfo;
    const own =
      Object.values(networkInterfaces())
        .flat()
        .find((each) => each?.family === "IPv4" && !each.internal)?.address ?? "127.0.0.2";
    const hosts = [
      "127.0.0.1",
      "localhost",
      "[::1]",
      "0.0.0.0",
      "127.1",
      "2130706433",
      "0x7f000001",
      "[::ffff:127.0.0.1]",
      own,
      "foo.localhost",
    ];
    const direct = hosts.map((host) => `http://${host}:${port}/`);
    const metadata = [
      "http://169.254.169.254/latest/meta-data/",
      "http://[fd00:ec2::254]/",
      "http://168.63.129.16/",
      "http://100.100.100.200/",
    ];
    const ask = [...direct, ...metadata]
      .map(
        (url) =>
          `curl -sS -m 5 --noproxy '*' '${url}' >> "$OUT" 2>/dev/null\ncurl -sS -m 5 --noproxy '' '${url}' >> "$OUT" 2>/dev/null\ncurl -sS -m 5 --noproxy '' -p '${url}' >> "$OUT" 2>/dev/null`,
      )
      .join("\n");
    const { answer, out } = await attempt(`${ask}\necho asked >> "$OUT"`, as);
    expect(answer.verdict).toBe("pass");
    expect(out).toContain("asked");
    expect(out).not.toContain("the-local-secret");
    expect(asked).toBe(0);
    expect(answer.result.notes.join("\n")).toContain("the build asked for addresses that no build gets to");
  });

  test("becomes nobody else: no capability, no set-uid program, no write to the system", async () => {
    const script = `grep -E '^(CapEff|CapPrm|NoNewPrivs)' /proc/self/status >> "$OUT"
id -u >> "$OUT"
for each in /usr/x /etc/x /bin/x ${join(playground, "bin")}/syft; do touch $each && echo "wrote $each" >> "$OUT"; done
mount -t tmpfs none /usr 2>/dev/null && echo mounted >> "$OUT"
sudo -n true 2>/dev/null && echo sudo >> "$OUT"
su -c true 2>/dev/null && echo su >> "$OUT"`;
    const { answer, out } = await attempt(script, as);
    expect(answer.verdict).toBe("pass");
    const lines = out.trim().split("\n");
    expect(lines.filter((line) => /^Cap/.test(line)).map((line) => line.split("\t")[1])).toEqual([
      "0000000000000000",
      "0000000000000000",
    ]);
    expect(lines).toContain("NoNewPrivs:\t1");
    const uid = Number(lines.find((line) => /^\d+$/.test(line)));
    if (isRoot && user === undefined) expect(uid).toBeGreaterThanOrEqual(1_900_000_000);
    else expect(uid).toBe(user?.uid ?? process.getuid?.());
    expect(out).not.toMatch(/wrote|mounted|sudo|su$/);
  });

  test("is an ordinary build otherwise: it has a home, a temporary folder, a name, its own loopback and the tools in PATH", async () => {
    const script = `touch "$HOME/x" && touch /tmp/y && touch "$TMPDIR/z" && echo writable >> "$OUT"
id -un >> "$OUT"
node -e 'const s=require("node:http").createServer((q,a)=>a.end("own service")).listen(0,"127.0.0.1",()=>fetch("http://127.0.0.1:"+s.address().port).then(r=>r.text()).then(t=>{console.log(t);process.exit()}))' >> "$OUT" 2>&1
cat app.txt >> "$OUT"
greet >> "$OUT" 2>&1`;
    // Below /tmp, of which a build has its own.
    writeFileSync(join(playground, "bin", "greet"), "#!/bin/sh\necho from PATH\n", { mode: 0o755 });
    const path = `${join(playground, "bin")}:${join(process.execPath, "..")}:/usr/local/bin:/usr/bin:/bin`;
    const { answer, out } = await attempt(script, { ...as, env: { PATH: path } });
    expect(answer.verdict).toBe("pass");
    expect(out.trim().split("\n")).toEqual(["writable", "build", "own service", "hello", "from PATH"]);
    expect(answer.result.notes.join("\n")).toMatch(
      /built on a host, in namespaces of its own \(by (?:root|user-namespace)\)/,
    );
  });
});

if (isRoot) {
  describe("where a build can't be kept apart", () => {
    const user = { uid: 54_322, gid: 54_322 };

    test("it is refused, with the way out", async () => {
      const { answer } = await attempt("exit 0", { user, launcher: inChangedRoot(playground) });
      expect(answer).toMatchObject({ verdict: "error", code: "build-not-isolated" });
      expect(answer.result.error?.message).toMatch(/user-namespace: .*; sudo: /);
      expect(answer.result.error?.wayOut).toContain("host-unisolated");
    });

    test("a user with sudo is kept apart by it, as on a hosted runner, and what is built can't use it", async () => {
      await requireCommand("sudo");
      const spy = 'id -u >> "$OUT"; sudo -n id -u >> "$OUT" 2>/dev/null; setsid sleep 7654323 > /dev/null 2>&1 &';
      const { answer, out } = await attempt(spy, { user, launcher: asSudoer(playground) });
      expect(answer.result.notes.join("\n")).toContain("in namespaces of its own (by sudo)");
      expect(answer.verdict).toBe("pass");
      expect(out).toBe("54322\n");
      expect(processesWith("7654323")).toEqual([]);
    });

    test("unless the policy goes without, which the result says", async () => {
      const { answer } = await attempt("exit 0", {
        user,
        launcher: inChangedRoot(playground),
        environments: "host-unisolated",
      });
      expect(answer.verdict).toBe("pass");
      expect(answer.result.notes.join("\n")).toContain("built on the bare host: nothing kept the build apart from it");
    });
  });
}
