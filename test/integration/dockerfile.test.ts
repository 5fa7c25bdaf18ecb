import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { createServer as createProxy } from "node:http";
import { createServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { parsePolicy } from "@goldenpath/core/policy/parse";
import { attestVerb } from "@goldenpath/core/verbs/attest";
import { buildVerb } from "@goldenpath/core/verbs/build";
import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { scanVerb } from "@goldenpath/core/verbs/scan";
import { signVerb } from "@goldenpath/core/verbs/sign";
import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import { parseReference, parseRepository } from "@goldenpath/registry-client/oci/reference";
import { fetchImageFacts, type ImageFacts } from "@goldenpath/registry-client/subject";
import { makeAuthority } from "@goldenpath/registry-client/testing-tls";
import { putInForce } from "@goldenpath/testing/chain-policy";
import { expect, test } from "vitest";
import { type Ended, useDockerfileWorld } from "../support/dockerfile-world.ts";
import { exampleDatabase } from "../support/scan-world.ts";
import { pause } from "../support/servers.ts";

const world = useDockerfileWorld("syft", "grype");

const tell = ({ outcome: { verdict, result } }: Ended) => ({
  verdict,
  rules: result.violations.map(({ rule }) => rule),
  ...(result.error === undefined ? {} : { error: result.error.code, message: result.error.message }),
});
const passed = { verdict: "pass", rules: [] };
const imageOf = ({ outcome }: Ended): string => outcome.outputs["image"] ?? "";
const facts = (ended: Ended): Promise<ImageFacts> => fetchImageFacts(world.client, parseReference(imageOf(ended)));

const secret = "s3cret-that-nobody-reads";

/** Two stages and a secret, whose step also prints it. */
const twoStages = {
  Dockerfile: `# syntax=docker/dockerfile:1
ARG TOOLS
FROM $TOOLS AS build
WORKDIR /src
COPY . .
ARG GREETING
RUN --mount=type=secret,id=token cat /run/secrets/token && cp greeting.txt /out.txt
RUN echo "$GREETING" >/said.txt && ls -la /src
FROM GOLDEN
COPY --from=build /out.txt /said.txt /srv/
CMD ["cat", "/srv/out.txt"]
`,
  "greeting.txt": "hello\n",
  "local.env": "NEVER=1\n",
  ".dockerignore": "local.env\n",
};
const app = () => world.writeApp({ ...twoStages, Dockerfile: twoStages.Dockerfile.replace("GOLDEN", world.base) });
const inputs = () => ({ "build-args": `TOOLS=${world.compiler}\nGREETING=good, "day"=1`, secrets: `token=${secret}` });

/** What is in the layers above the base, as one text. */
async function contentAbove(image: ImageFacts, layersOfBase = 1): Promise<string> {
  const [child] = image.children;
  if (child === undefined) throw new TypeError("no child");
  const blobs = child.manifest.layers.slice(layersOfBase);
  const texts = blobs.map(async (blob) =>
    gunzipSync(await world.client.fetchBlob(image.reference, blob)).toString("latin1"),
  );
  return (await Promise.all(texts)).join("\n");
}

test("a Dockerfile goes the whole way: built by BuildKit, attested, judged by base and scan, verified and promoted", async () => {
  const policy = await world.writePolicy();
  const built = await world.build(policy, await app(), inputs());
  expect(tell(built)).toEqual(passed);
  expect(built.outcome.outputs).toMatchObject({ strategy: "dockerfile", sbom: "" });
  const image = imageOf(built);
  const run = (verb: unknown, given: Record<string, string>) => world.run(verb, policy, given);
  const promote = () =>
    run(promoteVerb, {
      ...{ image, to: `${world.host}/vetted/app`, tags: "1.0.0", environment: "production" },
      ...{ key: world.keys.promote.file, "policy-signer": world.keys.platform.publicKeyFile },
    });
  const loaded = { policy: parsePolicy(Buffer.from(policy.text), policy.file), digest: digestOf(policy.text) };
  await putInForce(world.client, `${world.host}/vetted`, { ...policy, ...loaded, uri: policy.file }, world);
  expect(tell(await run(attestVerb, { image, key: world.keys.build.file, "build-environment": "container" }))).toEqual(
    passed,
  );
  expect(tell(await promote())).toMatchObject({ verdict: "fail" });
  for (const [stage, verb, given] of [
    ["base", enforceVerb, {}],
    ["scan", scanVerb, { database: exampleDatabase }],
  ] as const) {
    const judged = await run(verb, { image, ...given });
    expect(tell(judged), stage).toEqual(passed);
    const signing = { image, results: judged.resultFile, key: world.keys[stage].file };
    expect(tell(await run(signVerb, signing)), stage).toEqual(passed);
  }
  expect(tell(await run(verifyVerb, { image, environment: "production" }))).toEqual(passed);
  expect(tell(await promote())).toEqual(passed);

  // BuildKit's own provenance goes along, byte for byte.
  const { registry, name } = parseRepository(`${world.host}/vetted/app`);
  const vetted = await world.client.fetchManifest({ registry, name, tag: "1.0.0" });
  expect(vetted.digest).toBe(parseReference(image).digest);
  if (vetted.kind !== "index") return expect.unreachable();
  const aside = vetted.manifest.manifests.find(({ platform }) => platform?.os === "unknown");
  const attestation = await world.client.fetchManifest({ registry, name, digest: aside?.digest ?? digestOf("") });
  if (attestation.kind !== "image") return expect.unreachable();
  const [layer] = attestation.manifest.layers;
  if (layer === undefined) return expect.unreachable();
  const statement = JSON.parse(Buffer.from(await world.client.fetchBlob({ registry, name }, layer)).toString());
  expect(statement.predicateType).toBe("https://slsa.dev/provenance/v1");
  const used = statement.predicate.buildDefinition.resolvedDependencies.map(
    (each: { digest: { sha256: string } }) => `sha256:${each.digest.sha256}`,
  );
  expect(used).toContain(world.baseDigest);
});

test("the image has what its stages made, and no secret is in it, in the log, or in what is left on the disk", async () => {
  const built = await world.build(await world.writePolicy(), await app(), inputs());
  expect(tell(built)).toEqual(passed);
  const image = await facts(built);
  const content = await contentAbove(image);
  expect(content).toContain("hello\n");
  expect(content).toContain(`good, "day"=1\n`);
  expect(built.log).toContain("greeting.txt");
  expect(built.log).not.toContain("local.env");
  expect(built.log).toMatch(/^\| #\d+ \d+\.\d+ \*\*\*$/m);
  for (const text of [built.log, content, JSON.stringify(built.outcome), JSON.stringify(image)])
    expect(text).not.toContain(secret);
  for (const blob of await everyBlob(image)) expect(blob).not.toContain(secret);
  expect(await readFile(built.resultFile, "utf8")).not.toContain(secret);
  // Nothing of the build's folder is left, and what the invocation had besides is without it.
  expect(await readdir("/var/tmp/goldenpath-0")).not.toContain(slotOf(image.reference.name));
  expect(await findInFiles(world.root, secret)).toEqual([]);
});

/** Of an index: its manifests' blobs, those of attestations too. */
async function everyBlob({ reference }: ImageFacts): Promise<string[]> {
  const index = await world.client.fetchManifest(reference);
  if (index.kind !== "index") throw new TypeError("BuildKit leaves an index");
  const texts = [];
  for (const { digest } of index.manifest.manifests) {
    const child = await world.client.fetchManifest({ ...reference, digest });
    if (child.kind !== "image") continue;
    for (const blob of [child.manifest.config, ...child.manifest.layers]) {
      const bytes = Buffer.from(await world.client.fetchBlob(reference, blob));
      texts.push((blob.mediaType.endsWith("gzip") ? gunzipSync(bytes) : bytes).toString("latin1"));
    }
  }
  return texts;
}

async function findInFiles(folder: string, text: string): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    // Other tests' builds come and go meanwhile.
    if (entry.isFile() && (await readFile(file, "latin1").catch(() => "")).includes(text)) found.push(file);
  }
  return found;
}

test("the same files are the same image again, and stand on the base's own layers", async () => {
  const policy = await world.writePolicy();
  const [one, two] = [
    await world.build(policy, await app(), inputs()),
    await world.build(policy, await app(), inputs()),
  ];
  const [first, second] = [await facts(one), await facts(two)];
  expect(first.children.map(({ digest }) => digest)).toEqual(second.children.map(({ digest }) => digest));
  const base = await fetchImageFacts(world.client, parseReference(`${world.base}:latest`));
  expect(first.children[0]?.manifest.layers[0]).toEqual(base.children[0]?.manifest.layers[0]);
});

test("a step reaches nothing of this machine, and is nobody there", async () => {
  const steps = `FROM ${world.base}
RUN id && cat /proc/self/uid_map && ls -la /proc/self/ns/net
RUN ! curl --silent --show-error --max-time 5 http://${world.host}/v2/
RUN ! curl --noproxy '*' --silent --show-error --max-time 5 http://${world.host}/v2/
RUN curl --silent --show-error --max-time 5 http://169.254.169.254/ -o /dev/null -w '%{http_code}\\n'
RUN ls /root /home /run/secrets || echo nothing-of-the-machine
`;
  const built = await world.build(await world.writePolicy(), await world.writeApp({ Dockerfile: steps }));
  expect(tell(built)).toEqual(passed);
  // That it got through is that no curl did: a step that reaches the registry ends the build.
  expect(built.log).toMatch(/^\| #\d+ \d+\.\d+ 403$/m);
  expect(built.log).toContain("nothing-of-the-machine");
  expect(built.log).toMatch(/^\| #\d+ \d+\.\d+ +0 +[2-4][0-9]{9} +65536$/m);
  expect(built.outcome.result.notes.join("\n")).toContain("169.254.169.254");
});

test("a step that fails is told at its line, with what it said", async () => {
  const failing = `FROM ${world.base}\n\nRUN echo fine\nRUN echo 'src/main.c: no such header' >&2; exit 3\n`;
  const ended = await world.build(
    await world.writePolicy(),
    await world.writeApp({ "docker/web.Dockerfile": failing }),
    { file: "docker/web.Dockerfile" },
  );
  expect(tell(ended)).toMatchObject({ verdict: "error", error: "dockerfile-build-failed" });
  expect(ended.outcome.result.error?.message).toMatch(
    /^app-\d+\/docker\/web\.Dockerfile:4: process .* exit code: 3\nsrc\/main\.c: no such header$/,
  );
  expect(ended.error).toMatchObject({ places: [{ line: 4, file: expect.stringMatching(/docker\/web\.Dockerfile$/) }] });
  const { registry, name } = parseReference(`${world.host}/quarantine/never:1`);
  expect(await world.client.resolve({ registry, name, tag: "1" })).toBeUndefined();
});

test("a file that the policy lets ADD fetch has to be what its checksum says", async () => {
  const authority = await makeAuthority("files");
  const { cert, key } = await authority.issue(["DNS:files.example"]);
  const files = createServer({ cert, key }, (_request, answer) => void answer.end("a file\n"));
  // Only the machine's proxy knows the host, as in a closed network.
  const proxy = createProxy();
  proxy.on("connect", (_request, inside) => {
    const outside = connect((files.address() as AddressInfo).port, "127.0.0.1", () => {
      inside.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      inside.pipe(outside).pipe(inside);
    });
    for (const socket of [inside, outside]) socket.on("error", () => socket.destroy());
  });
  for (const each of [files, proxy]) await once(each.listen(0, "127.0.0.1"), "listening");
  await writeFile(join(world.root, "authority.pem"), authority.cert);
  const env = {
    HTTPS_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    SSL_CERT_FILE: join(world.root, "authority.pem"),
  };
  try {
    const policy = await world.writePolicy({ builder: 'downloads: ["https://files.example/"],' });
    const add = async (checksum: string) =>
      world.build(
        policy,
        await world.writeApp({
          Dockerfile: `FROM ${world.base}\nADD --checksum=${checksum} https://files.example/x /x\nRUN cat /x\n`,
        }),
        {},
        env,
      );
    expect(tell(await add(digestOf("another file\n")))).toMatchObject({
      verdict: "error",
      error: "dockerfile-build-failed",
    });
    const added = await add(digestOf("a file\n"));
    expect(tell(added)).toEqual(passed);
    expect(added.log).toMatch(/^\| #\d+ \d+\.\d+ a file$/m);
  } finally {
    proxy.closeAllConnections();
    files.closeAllConnections();
    proxy.close();
    files.close();
  }
});

test("built twice, a step that is the same each time passes, and one that is not is shown by its file", async () => {
  const twice = async (step: string) =>
    world.build(await world.writePolicy(), await world.writeApp({ Dockerfile: `FROM ${world.base}\nRUN ${step}\n` }), {
      "verify-reproducible": "true",
    });
  expect(tell(await twice("echo same >/made"))).toEqual(passed);
  const differing = await twice("cat /proc/sys/kernel/random/uuid >/made");
  expect(tell(differing)).toMatchObject({ verdict: "fail" });
  expect(JSON.stringify(differing.outcome.result.violations)).toContain("made");
});

test("a build that is stopped leaves no process, no folder and no tag, and can be run again", async () => {
  const policy = await world.writePolicy();
  const context = await world.writeApp({
    Dockerfile: `FROM ${world.base}\nRUN echo begun && cat /dev/zero >/dev/null\n`,
  });
  const stopped = new AbortController();
  const inputs = { context, tags: `${world.host}/quarantine/stopped:1` };
  const running = world.run(buildVerb, policy, inputs, {}, stopped.signal);
  const begun = (async () => {
    while (!/^\| #\d+ \d+\.\d+ begun$/m.test(world.logged())) await pause(50);
  })();
  await Promise.race([begun, running]);
  stopped.abort();
  expect(tell(await running)).toMatchObject({ verdict: "error", error: "process-aborted" });
  const slot = slotOf("quarantine/stopped");
  expect(await processesOf(slot)).toEqual([]);
  expect(await readdir("/var/tmp/goldenpath-0")).not.toContain(slot);
  const tag = parseReference(`${world.host}/quarantine/stopped:1`);
  expect(await world.client.resolve(tag)).toBeUndefined();
  await writeFile(join(context, "Dockerfile"), `FROM ${world.base}\nRUN echo done\n`);
  expect(tell(await world.run(buildVerb, policy, inputs))).toEqual(passed);
  expect(await world.client.resolve(tag)).toBeDefined();
});

/** Processes of this machine that have the step's words in their arguments, or the build's folder. */
async function processesOf(slot: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name) && name !== String(process.pid));
  const texts = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "")));
  return texts.filter((text) => text.includes("cat\0/dev/zero") || text.includes(`/${slot}/`));
}

const slotOf = (name: string): string => createHash("sha256").update(name).digest("hex").slice(0, 12);
