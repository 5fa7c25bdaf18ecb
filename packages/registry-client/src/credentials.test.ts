import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentPorts } from "@goldenpath/foundation/ports";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createCredentialStore, loginFiles } from "./credentials.ts";

let directory: string;
let masked: string[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "goldenpath-login-"));
  masked = [];
});
afterEach(() => rm(directory, { recursive: true }));

const repository = { registry: "ghcr.io", name: "acme/shop" };
const login = (text: string) => ({ auth: Buffer.from(text).toString("base64") });
const write = (path: string, value: unknown) =>
  writeFile(join(directory, path), typeof value === "string" ? value : JSON.stringify(value));

function store(env: Record<string, string> = {}) {
  const ports = { ...silentPorts(), mask: (secret: string) => void masked.push(secret) };
  return createCredentialStore({
    ports,
    env: { DOCKER_CONFIG: directory, PATH: `${directory}:/usr/bin:/bin`, ...env },
  });
}

async function writeHelper(name: string, script: string): Promise<void> {
  const file = join(directory, `docker-credential-${name}`);
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
}

test("the files, in their order: Docker's, then podman's of the session, then podman's that lasts", () => {
  expect(loginFiles({}, null)).toEqual([]);
  expect(loginFiles({}, 1000)).toEqual(["/run/containers/1000/auth.json"]);
  expect(loginFiles({ HOME: "/h" }, 0)).toEqual([
    "/h/.docker/config.json",
    "/run/containers/0/auth.json",
    "/h/.config/containers/auth.json",
  ]);
  expect(loginFiles({ HOME: "/h", DOCKER_CONFIG: "/d", XDG_RUNTIME_DIR: "/r", XDG_CONFIG_HOME: "/c" }, 1000)).toEqual([
    "/d/config.json",
    "/r/containers/auth.json",
    "/c/containers/auth.json",
  ]);
  expect(
    loginFiles({ HOME: "/h", DOCKER_CONFIG: "", REGISTRY_AUTH_FILE: "/a.json", XDG_RUNTIME_DIR: "/r" }, 1000),
  ).toEqual(["/h/.docker/config.json", "/a.json"]);
});

describe("files", () => {
  test("a file that cannot be read is an error, not nobody", async () => {
    await mkdir(join(directory, "config.json"));
    await expect(store().find(repository)).rejects.toMatchObject({ code: "docker-config-invalid" });
  });

  test("a malformed file is an error that names it, whoever is asked for", async () => {
    await write("config.json", '{"auths":');
    await expect(store().find(repository)).rejects.toThrow(join(directory, "config.json"));
  });

  test("no file is nobody", async () => {
    expect(await store().find(repository)).toBeUndefined();
  });

  test("a login is masked, also in the form in which the header has it", async () => {
    await write("config.json", { auths: { "ghcr.io": login("me:secret") } });
    expect(await store().find(repository)).toEqual({ kind: "basic", username: "me", password: "secret" });
    expect(masked).toEqual(["secret", login("me:secret").auth]);
  });

  test("podman's file is asked where Docker's has nothing, and only there", async () => {
    const env = { REGISTRY_AUTH_FILE: join(directory, "auth.json") };
    await write("auth.json", { auths: { "ghcr.io/acme": login("podman:p") } });
    await write("config.json", { auths: { "quay.io": login("docker:d") } });
    expect(await store(env).find(repository)).toMatchObject({ username: "podman" });
    await write("config.json", { auths: { "ghcr.io": login("docker:d") } });
    expect(await store(env).find(repository)).toMatchObject({ username: "docker" });
  });
});

test("podman's lasting file is asked after the session's, and not at all where REGISTRY_AUTH_FILE names another", async () => {
  await mkdir(join(directory, "run/containers"), { recursive: true });
  await mkdir(join(directory, ".config/containers"), { recursive: true });
  const env = { HOME: directory, XDG_RUNTIME_DIR: join(directory, "run") };
  await write(".config/containers/auth.json", { auths: { "ghcr.io": login("lasting:p") } });
  expect(await store(env).find(repository)).toMatchObject({ username: "lasting" });
  await write("run/containers/auth.json", { auths: { "ghcr.io": login("session:p") } });
  expect(await store(env).find(repository)).toMatchObject({ username: "session" });
  await write("other.json", { auths: {} });
  expect(await store({ ...env, REGISTRY_AUTH_FILE: join(directory, "other.json") }).find(repository)).toBeUndefined();
});

describe("helpers", () => {
  test("are given the server on standard input, and asked once", async () => {
    await write("config.json", { credHelpers: { "ghcr.io": "x" } });
    await writeHelper(
      "x",
      `echo "$1 $(cat)" >> ${directory}/calls; echo '{"ServerURL":"ghcr.io","Username":"me","Secret":"from-helper"}'`,
    );
    const made = store();
    expect(await made.find(repository)).toEqual({ kind: "basic", username: "me", password: "from-helper" });
    await made.find({ ...repository, name: "acme/other" });
    expect(await readFile(join(directory, "calls"), "utf8")).toBe("get ghcr.io\n");
    expect(masked).toContain("from-helper");
  });

  test("see no input, no token of the runner's or of GitHub's, and no signing key; what their own cloud asks for they do see", async () => {
    const withheld = {
      "INPUT_KEY-PASSPHRASE": "s",
      INPUT_POLICY: "s",
      ACTIONS_ID_TOKEN_REQUEST_TOKEN: "s",
      ACTIONS_RUNTIME_TOKEN: "s",
      GITHUB_TOKEN: "s",
      GH_TOKEN: "s",
      GH_ENTERPRISE_TOKEN: "s",
      KEY: "s",
      GOLDENPATH_SCAN_KEY: "s",
      SIGNING_KEY_PASSPHRASE: "s",
      BUILD_SIGNINGKEY: "s",
      COSIGN_PASSWORD: "s",
      SIGNER: "-----BEGIN PRIVATE KEY-----\ns",
    };
    const seen = {
      HOME: directory,
      AWS_ACCESS_KEY_ID: "id",
      AWS_SECRET_ACCESS_KEY: "own",
      AWS_SESSION_TOKEN: "own",
      GNOME_KEYRING_CONTROL: "/run/keyring",
      HTTPS_PROXY: "http://proxy.test:3128",
    };
    await write("config.json", { credsStore: "x" });
    await writeHelper("x", `env -0 > ${directory}/environment; echo '{"Username":"me","Secret":"from-helper"}'`);
    expect(await store({ ...withheld, ...seen }).find(repository)).toMatchObject({ username: "me" });
    const environment = new Map(
      (await readFile(join(directory, "environment"), "utf8"))
        .split("\0")
        .map((entry) => entry.split(/=(.*)/s) as [string, string]),
    );
    for (const name of Object.keys(withheld)) expect([...environment.keys()]).not.toContain(name);
    expect(Object.fromEntries(environment)).toMatchObject(seen);
  });

  test("may give an identity token", async () => {
    await write("config.json", { credsStore: "x" });
    await writeHelper("x", `echo '{"Username":"<token>","Secret":"t"}'`);
    expect(await store().find(repository)).toEqual({ kind: "identity-token", token: "t" });
  });

  test("that know nobody leave it to the file", async () => {
    await write("config.json", { credsStore: "x", auths: { "ghcr.io": login("me:secret") } });
    await writeHelper("x", "echo 'credentials not found in native keychain'; exit 1");
    expect(await store().find(repository)).toMatchObject({ username: "me" });
    expect(await store().find({ ...repository, registry: "quay.io" })).toBeUndefined();
  });

  test.each([
    ["fails", "echo 'keychain is locked' >&2; exit 1", /ended with code 1/],
    ["writes no JSON", "echo hello", /is not JSON/],
    ["writes something else", "echo '[]'", /no Username and Secret/],
    ["writes no secret", `echo '{"Username":"me"}'`, /no Username and Secret/],
  ])("one that %s is an error that names it and the file", async (_what, script, message) => {
    await write("config.json", { credsStore: "x", auths: { "ghcr.io": login("me:secret") } });
    await writeHelper("x", script);
    const found = store().find(repository);
    await expect(found).rejects.toMatchObject({
      code: "credential-helper-failed",
      message: expect.stringMatching(message),
    });
    await expect(found).rejects.toThrow(
      `docker-credential-x, which ${join(directory, "config.json")} names for ghcr.io`,
    );
  });

  test("one that is not there is an error", async () => {
    await write("config.json", { credHelpers: { "ghcr.io": "not-there" } });
    await expect(store().find(repository)).rejects.toThrow(/docker-credential-not-there.* is not on the PATH/);
  });

  test("its secret is in no error", async () => {
    await write("config.json", { credsStore: "x" });
    await writeHelper("x", `echo '{"Username":"me","Secret":"hunter2"'; echo hunter2 >&2`);
    await expect(store().find(repository)).rejects.not.toThrow(/hunter2/);
  });
});
