import { rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { renderSourcePolicy } from "@goldenpath/core/build/strategies/dockerfile/invocation";
import { handArguments, openRoom, prepareRoom, proxyAddress } from "@goldenpath/core/build/strategies/dockerfile/room";
import { buildScript } from "@goldenpath/core/build/strategies/dockerfile/scripts";
import { readDockerfile } from "@goldenpath/core/build/strategies/dockerfile/stages";
import { DockerfileProblem } from "@goldenpath/core/build/strategies/dockerfile/words";
import { openWorkspace } from "@goldenpath/core/build/workspace";
import { silentPorts } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { mediaTypes } from "@goldenpath/registry-client/oci/manifest";
import { parseReference } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts } from "@goldenpath/registry-client/subject";
import { pushTinyImage } from "@goldenpath/testing/tiny-image";
import { describe, expect, test } from "vitest";
import { startBuildKit } from "../support/buildkit.ts";
import { type Ended, useDockerfileWorld } from "../support/dockerfile-world.ts";
import { shellLayer } from "../support/shell-base.ts";
import { giveUp, requireTool } from "../support/tools.ts";

const world = useDockerfileWorld();

const tell = ({ outcome: { verdict, result } }: Ended) => ({
  verdict,
  rules: result.violations.map(({ rule }) => rule),
  ...(result.error === undefined ? {} : { error: result.error.code }),
});
const passed = { verdict: "pass", rules: [] };

async function build(dockerfile: string, files: Record<string, string> = {}, inputs: Record<string, string> = {}) {
  const fill = (text: string) =>
    text.replaceAll("GOLDEN", world.base).replaceAll("COMPILER", world.compiler).replaceAll("STRANGER", world.stranger);
  const app = await world.writeApp({ Dockerfile: fill(dockerfile), ...files });
  const filled = Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, fill(value)]));
  return world.build(await world.writePolicy(), app, filled);
}

/** Requests for the image that nobody allows. */
const strangers = () => world.server.requests.filter(({ path }) => path.includes("/strangers/"));

describe("an image that the policy does not allow is refused before it is asked for, beside the twin that is allowed", () => {
  test.each<[string, string, string, string, boolean?]>([
    ["FROM", "base.approved", "FROM STRANGER\n", "FROM GOLDEN\n"],
    ["a stage above", "base.approved", "FROM STRANGER AS a\nFROM a\n", "FROM GOLDEN AS a\nFROM a\n"],
    [
      "COPY --from",
      "build.images",
      "FROM GOLDEN\nCOPY --from=STRANGER /etc/x /x\n",
      "FROM GOLDEN\nCOPY --from=COMPILER /etc/compiler /x\n",
    ],
    [
      "a mount",
      "build.images",
      "FROM GOLDEN\nRUN --mount=from=STRANGER,target=/m ls\n",
      "FROM GOLDEN\nRUN --mount=from=COMPILER,target=/m ls /m/etc/compiler\n",
    ],
    ["an argument", "base.approved", `ARG A=GOLDEN\nFROM \${A}\n`, `ARG A=STRANGER\nFROM \${A}\n`, true],
    [
      "after a heredoc",
      "base.approved",
      "FROM GOLDEN AS a\nRUN <<E\nE\nFROM STRANGER\n",
      "FROM GOLDEN AS a\nRUN cat <<E\nFROM STRANGER\nE\n",
    ],
  ])("%s", async (_where, rule, hostile, twin, byArgument = false) => {
    const before = strangers().length;
    const argument = (image: string) => (byArgument ? { "build-args": `A=${image}` } : ({} as Record<string, string>));
    expect(tell(await build(hostile, {}, argument("STRANGER")))).toMatchObject({ verdict: "fail", rules: [rule] });
    expect(strangers().length).toBe(before);
    expect(tell(await build(twin, {}, argument("GOLDEN")))).toEqual(passed);
  });

  test("a trigger of an image that is allowed", async () => {
    for (const [trigger, expected] of [
      [`COPY --from=${world.stranger} /etc/stranger /x`, { verdict: "fail", rules: ["build.images"] }],
      [`COPY --from=${world.compiler} /etc/compiler /x`, passed],
    ] as const) {
      await pushWithTrigger(trigger);
      expect(
        tell(
          await build(`FROM ${world.host}/tools/compiler:trigger AS a\nFROM GOLDEN\nCOPY --from=a /etc/compiler /y\n`),
        ),
      ).toEqual(expected);
    }
  });
});

async function pushWithTrigger(trigger: string): Promise<void> {
  const { reference, children } = await fetchImageFacts(world.client, parseReference(world.compiler));
  const [child] = children;
  if (child === undefined) throw new TypeError("no child");
  const config = Buffer.from(JSON.stringify({ ...child.config, config: { OnBuild: [trigger] } }));
  const descriptor = { mediaType: mediaTypes.ociConfig, digest: digestOf(config), size: config.byteLength };
  await world.client.pushBlob(reference, descriptor, () => config);
  const manifest = Buffer.from(JSON.stringify({ ...child.manifest, config: descriptor }));
  await world.client.pushManifest(reference, manifest, mediaTypes.ociManifest, "trigger");
}

describe("what the reader of the file did not see, BuildKit does not get", () => {
  test.each([
    ["an image", (stranger: string) => `FROM ${stranger}\n`],
    ["a stage's image", (stranger: string) => `FROM scratch\nCOPY --from=${stranger} /etc/stranger /x\n`],
    ["a file by http", () => "FROM scratch\nADD https://a.example/x /x\n"],
    ["a git repository", () => "FROM scratch\nADD https://a.example/x.git /x\n"],
  ])("%s", async (_what, dockerfile) => {
    const { exitCode, log } = await buildUnread(dockerfile(world.stranger));
    expect(exitCode).not.toBe(0);
    expect(log).toMatch(/not allowed by policy|denied by policy/);
  });

  test("the twin with nothing from elsewhere", async () => {
    expect(await buildUnread("FROM scratch\nCOPY a.txt /a.txt\n")).toMatchObject({ exitCode: 0 });
  });

  test("a URL in a variable of a stage", async () => {
    const ended = await build("FROM GOLDEN\nARG URL=https://a.example/x\nADD $URL /x\n");
    expect(tell(ended)).toMatchObject({ verdict: "error", error: "dockerfile-refused" });
    expect(tell(await build("FROM GOLDEN\nARG URL=a.txt\nADD $URL /x\n", { "a.txt": "a" }))).toEqual(passed);
  });
});

/** Without a look at the file, and so without an image for it. */
async function buildUnread(dockerfile: string): Promise<{ exitCode: number; log: string }> {
  const ports = silentPorts();
  const repository = parseReference(`r.test/unread-${digestOf(dockerfile).slice(7, 19)}`);
  const workspace = await openWorkspace({ repository, ports, env: process.env });
  const lines: string[] = [];
  try {
    await writeFile(join(workspace.app, "Dockerfile"), dockerfile);
    await writeFile(join(workspace.app, "a.txt"), "a");
    await writeFile(join(workspace.control, "sources.json"), JSON.stringify(renderSourcePolicy([])));
    const context = {
      ...{ ports, run: { builderId: "local" }, workingDirectory: world.root, temporaryDirectory: world.root },
      ...{ env: process.env, signal: new AbortController().signal, now: () => new Date() },
    };
    const programs = { buildkitd: await requireTool("buildkitd"), buildctl: await requireTool("buildctl") };
    const { folders, ended } = await openRoom({
      ...(await prepareRoom({ workspace, context }, Promise.resolve(programs))),
      script: buildScript,
      files: { "buildkitd.toml": `[otel]\n  socketPath = "${workspace.handover}/run/otel.sock"\n` },
      secrets: new Map(),
      hidden: [],
      onLine: (line) => void lines.push(line),
    });
    await handArguments(workspace, [
      `--output=type=oci,tar=false,dest=${folders.result}`,
      ...[
        "--progress=plain",
        "--frontend=dockerfile.v0",
        `--source-policy-file=${join(folders.control, "sources.json")}`,
      ],
      ...[`--local=context=${workspace.app}`, `--local=dockerfile=${workspace.app}`],
    ]);
    const { exitCode } = await ended;
    return { exitCode, log: lines.join("\n") };
  } finally {
    await workspace.remove();
  }
}

describe("what else a file or an input could do", () => {
  test("another program to read the file by, beside the one that BuildKit has itself", async () => {
    const before = strangers().length;
    expect(tell(await build("# syntax=STRANGER\nFROM GOLDEN\n"))).toMatchObject({ error: "dockerfile-invalid" });
    expect(tell(await build("FROM GOLDEN\n", {}, { "build-args": "BUILDKIT_SYNTAX=STRANGER" }))).toMatchObject({
      error: "input-invalid",
    });
    expect(strangers().length).toBe(before);
    expect(tell(await build("# syntax=docker/dockerfile:1.7-labs\nFROM GOLDEN\n"))).toEqual(passed);
  });

  test("a secret as a build argument, which everybody could read", async () => {
    const inputs = { secrets: "token=s3cret-of-mine", "build-args": "URL=https://user:s3cret-of-mine@a.example" };
    const ended = await build("FROM GOLDEN\n", {}, inputs);
    expect(tell(ended)).toMatchObject({ error: "input-invalid" });
    expect(JSON.stringify(ended.outcome)).not.toContain("s3cret-of-mine");
  });

  test("a Dockerfile that is a link out of the application, beside one within", async () => {
    const app = await world.writeApp({ "docker/web": `FROM ${world.base}\n`, "other.txt": "x" });
    await symlink(join(app, "docker/web"), join(app, "inner.Dockerfile"));
    await writeFile(join(world.root, "outside"), `FROM ${world.base}\n`);
    await symlink(join(world.root, "outside"), join(app, "Dockerfile"));
    const policy = await world.writePolicy();
    expect(tell(await world.build(policy, app))).toMatchObject({ error: "dockerfile-invalid" });
    expect(tell(await world.build(policy, app, { file: "../outside" }))).toMatchObject({ error: "dockerfile-invalid" });
    expect(tell(await world.build(policy, app, { file: "inner.Dockerfile" }))).toEqual(passed);
  });

  test("a link out of the context, which leads to nothing, beside one within", async () => {
    const app = await world.writeApp({
      Dockerfile: `FROM ${world.base}\nCOPY link /x\nRUN cat /x\n`,
      "inner.txt": "within",
    });
    await writeFile(join(world.root, "secret.txt"), "outside of it");
    await symlink(join(world.root, "secret.txt"), join(app, "link"));
    const policy = await world.writePolicy();
    const ended = await world.build(policy, app);
    expect(tell(ended)).toMatchObject({ error: "dockerfile-build-failed" });
    expect(ended.log).not.toContain("outside of it");
    await rm(join(app, "link"));
    await symlink("inner.txt", join(app, "link"));
    expect((await world.build(policy, app)).log).toMatch(/^\| #\d+ \d+\.\d+ within/m);
  });

  test("what .dockerignore leaves out, and the file's own one before it, is not in the build", async () => {
    const files = { "a.env": "A", "b.env": "B", ".dockerignore": "*.env\n", "own.Dockerfile.dockerignore": "a.env\n" };
    const steps = "FROM GOLDEN\nCOPY . /x\nRUN ls /x\n";
    const plain = await build(steps, files);
    expect(plain.log).not.toMatch(/[ab]\.env/);
    const own = await build(
      "FROM STRANGER\n",
      { ...files, "own.Dockerfile": steps.replace("GOLDEN", world.base) },
      { file: "own.Dockerfile" },
    );
    expect(own.log).toMatch(/ b\.env$/m);
    expect(own.log).not.toMatch(/ a\.env$/m);
  });

  test("an option of BuildKit that gives a step the machine", async () => {
    const ended = await build("# syntax=docker/dockerfile:1-labs\nFROM GOLDEN\nRUN --security=insecure id\n");
    expect(ended.outcome.verdict).toBe("error");
    expect(ended.log).toMatch(/security\.insecure|unknown flag: --security|not allowed/);
  });
});

test("BuildKit's own reader sees the stages that ours sees, or we refuse the file", async () => {
  if (process.geteuid?.() !== 0) giveUp("a BuildKit beside the build's own needs root");
  const programs = { buildkitd: await requireTool("buildkitd"), buildctl: await requireTool("buildctl") };
  const buildkit = await startBuildKit(programs, world.host);
  try {
    for (const text of readings) {
      const theirs = await buildkit.stagesOf(text);
      const ours = stagesOf(text);
      if (ours !== undefined) expect(ours, text).toEqual(theirs);
    }
  } finally {
    await buildkit.stop();
  }
});

function stagesOf(text: string): string[] | undefined {
  try {
    const platform = { os: "linux", architecture: "amd64" };
    return readDockerfile(text, { buildArgs: {}, platform, target: undefined }).stages.map(({ name }) => name ?? "");
  } catch (error) {
    if (error instanceof DockerfileProblem) return undefined;
    throw error;
  }
}

/** Ways to begin or end something so that what follows is one thing or another; each ends in a stage of its own. */
const readings = [
  ...[
    "RUN echo \\",
    "RUN echo \\\\",
    "RUN echo \\\\\\",
    "RUN echo \\  ",
    "RUN echo \\\n# x",
    "RUN echo \\\n\n",
    "RUN echo \\ x",
  ],
  ...[
    "RUN cat <<E\nE",
    "RUN cat <<-E\n\tE",
    "RUN cat <<-E\n E\nE",
    "RUN cat << E\nE",
    "RUN cat <<'E'\nE",
    'RUN cat <<"E"\nE',
  ],
  ...[
    "RUN cat <<E <<F\nE\nF",
    "RUN cat 3<<E\nE",
    "RUN cat <<<E",
    "RUN echo $((1<<2))",
    "RUN echo 1 << 2\n2",
    'RUN echo "<<E"',
    "RUN echo '<<E'",
  ],
  ...[
    "RUN echo \\<<E\nE",
    "RUN echo a<<E",
    "RUN echo it's <<E\nE",
    `RUN echo \${} <<E\nE`,
    "RUN echo $A <<E\nE",
    'RUN ["cat", "<<E"]',
  ],
  ...[
    "CMD cat <<E",
    "ENV A=<<E",
    "ONBUILD RUN cat <<E\nE",
    "COPY <<E /x\nE",
    "ADD <<E /x\nE",
    "LABEL a=<<E",
    "RUN cat <<E\r\nE\r",
  ],
  ...[
    "#\\",
    "  # x \\",
    "RUN echo # \\\nx",
    "RUN <<E\n#\\\nE",
    "RUN --mount=type=tmpfs,target=/x cat <<E\nE",
    'RUN echo "\\\n<<E"',
    "RUN echo <<\nE",
  ],
].map((middle) => `FROM scratch AS first\n${middle}\nFROM scratch AS second\n`);

/** Whoever listens to the room's network, with the right to do so that BuildKit gives a step. */
const relayPort = new URL(proxyAddress).port;
const listener = `$| = 1;
socket(S, 17, 3, 768) or die "no socket: $!";
my ($end, $bytes, $all) = (time + 8, "", "");
vec($all, fileno(S), 1) = 1;
while (time < $end) {
  next unless select(my $ready = $all, undef, undef, 0.2);
  recv(S, $bytes, 65536, 0);
  print "heard of a connection\\n" if index($bytes, pack("n", ${relayPort})) >= 0;
  print "heard $1\\n" if $bytes =~ /(authorization: \\S+ \\S+)/i;
}
`;

test("a step that listens while BuildKit reads the cache hears that it does, and no login", async () => {
  const layer = await shellLayer(["dash", "cat", "perl"]);
  const tool = { registry: world.host, name: "tools/compiler" };
  await pushTinyImage(world.client, tool, [layer], { tag: "perl" });
  const files = {
    Dockerfile: `FROM ${world.host}/tools/compiler:perl AS listening
COPY listen.pl /
RUN perl /listen.pl >/heard && cat /heard
FROM ${world.host}/tools/compiler:perl AS waiting
COPY wait.pl /
RUN perl /wait.pl >/waited
FROM ${world.compiler} AS building
RUN cat /etc/compiler >/installed
COPY --from=waiting /waited /
RUN cat /installed /waited >/built
FROM ${world.base}
COPY --from=listening /heard /srv/heard
COPY --from=building /built /srv/built
`,
    "listen.pl": "print 1;",
    "wait.pl": "print 1;",
  };
  const policy = await world.writePolicy({ cache: "unverified" });
  const to = { tags: `${world.host}/quarantine/listening:1` };
  const folder = await world.writeApp(files);
  expect(tell(await world.build(policy, folder, to))).toEqual(passed);
  await writeFile(join(folder, "listen.pl"), listener);
  await writeFile(join(folder, "wait.pl"), "sleep 4; print 2;");
  const ended = await world.build(policy, folder, to);
  expect(tell(ended)).toEqual(passed);
  // What would be heard is heard: nothing here is silent because the listener is deaf.
  expect(ended.log).toContain("heard of a connection");
  expect(ended.log).not.toMatch(/heard authorization/i);
});
