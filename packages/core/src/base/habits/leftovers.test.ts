import { describe, expect, test } from "vitest";
import type { LayerEntry } from "../../layers/contents.ts";
import { antipatterns } from "../../policy/images-section.ts";
import { chooseLeftovers, findLeftovers, largestLogin, mayBeSecret } from "./leftovers.ts";

const entry = (path: string, content: string, change: Partial<LayerEntry> = {}): LayerEntry => ({
  ...{ kind: "file", path, target: "", mode: 0o644, uid: 0, gid: 0, device: "", attributes: {}, mtime: "0" },
  ...{ size: content.length, contentDigest: "", ...(mayBeSecret(path) ? { content: Buffer.from(content) } : {}) },
  ...change,
});
const all = chooseLeftovers(antipatterns);
const found = (...entries: LayerEntry[]) => findLeftovers([{ entries: [] }, { entries }], 1, all);
const pem = (kind: string): string => `-----BEGIN ${kind}-----\nMIIE\n`;

describe("a login or a key", () => {
  // [path, with one in it, without]
  test.each([
    ["root/.ssh/id_ed25519", pem("OPENSSH PRIVATE KEY"), "ssh-ed25519 AAAA"],
    [".ssh/id_rsa", pem("RSA PRIVATE KEY"), pem("ENCRYPTED PRIVATE KEY")],
    ["etc/ssl/private/tls.key", pem("PRIVATE KEY"), pem("CERTIFICATE")],
    ["etc/ssl/private/ec.key", pem("EC PRIVATE KEY"), pem("PUBLIC KEY")],
    ["srv/.npmrc", "a=b\n//r/:_authToken=npm_x", "# //r/:_authToken=npm_x"],
    [".npmrc", "_auth = dTpw", "always-auth=true"],
    ["srv/.yarnrc.yml", "npmAuthToken: abc", `npmAuthToken: $\{NPM_TOKEN}`],
    ["srv/.yarnrc.yml", '  npmAuthIdent: "a:b"', `npmAuthIdent: "$\{X}"`],
    ["root/.netrc", "machine a password b", "machine a"],
    ["root/_netrc", "password b", "passwords"],
    ["root/.git-credentials", "https://u:p@h/x", "https://u@h/x"],
    ["srv/.git/config", "url = https://u:p@h/x", "url = https://h/x"],
    ["srv/.git/config", "extraheader = AUTHORIZATION: basic eA==", "extraheader = x: y"],
    ["root/.aws/credentials", "aws_secret_access_key = x", "aws_secret_access_key ="],
    ["root/.docker/config.json", '{"auths":{"r":{"identitytoken":"x"}}}', '{"auths":{"r":{"auth":""}}}'],
    ["run/containers/auth.json", '{"auths":{"r":{"auth":"x"}}}', '{"auths":{}}'],
    ["root/.pypirc", "password: x", "username: x"],
    ["etc/pip.conf", "index-url = https://u:p@h/simple", "index-url = https://h/simple"],
    ["root/.m2/settings.xml", "<password>x</password>", `<password>$\{env.P}</password>`],
    ["root/.m2/settings-security.xml", "<master>{x}</master>", "<master></master>"],
    ["root/.gradle/gradle.properties", "nexusPassword=x", "# nexusPassword=x"],
    ["root/.cargo/credentials.toml", 'token = "x"', "[registry]"],
    ["root/.gem/credentials", ":rubygems_api_key: x", "---"],
    ["root/.composer/auth.json", '{"github-oauth":{"github.com":"x"}}', "{}"],
    ["srv/NuGet.Config", '<add key="ClearTextPassword" value="x"/>', '<add key="ClearTextPassword" value=""/>'],
    ["root/.kube/config", "    token: x", "apiVersion: v1"],
    ["root/.config/gcloud/application_default_credentials.json", "{}", "\n"],
    ["root/.azure/msal_token_cache.json", '{"secret":"x"}', "{}"],
  ])("%s: is found by what is in it, and not by its name", (path, secret, harmless) => {
    expect(found(entry(path, secret))).toEqual([
      { kind: "secret", layer: 1, path, what: expect.any(String), size: secret.length },
    ]);
    expect(found(entry(path, harmless))).toEqual([]);
  });

  test.each([["srv/npmrc"], ["srv/.npmrc.bak"], ["srv/x.netrc"], ["srv/.ssh/a/b"], ["srv/kube/config"]])(
    "%s is none of the places",
    (path) => expect(mayBeSecret(path)).toBe(false),
  );

  test("what can't be looked at is told: another file's content, and one that is too large", () => {
    const text = "machine a password b";
    expect(found(entry("root/.netrc", "", { kind: "hardlink", target: "srv/x" }))).toHaveLength(1);
    expect(found(entry("root/.netrc", " ", { size: largestLogin + 1 }))).toHaveLength(1);
    expect(found(entry("root/.netrc", text, { kind: "symlink" }))).toEqual([]);
    expect(found(entry("srv/x", "", { kind: "hardlink", target: "root/.netrc" }))).toEqual([]);
    expect(found(entry("root/.netrc", `${" ".repeat(largestLogin - text.length)}${text}`))).toHaveLength(1);
  });

  test("nothing is told that is not asked for", () => {
    const notes = [{ what: "a token of npm", line: 3, hash: "01234567" }];
    const entries = [entry("root/.netrc", "password x"), entry("var/cache/apk/x", "x"), entry("srv/x", "x", { notes })];
    const kinds = (looked: Parameters<typeof findLeftovers>[2]) =>
      findLeftovers([{ entries }], 0, looked).map(({ kind }) => kind);
    expect(kinds(chooseLeftovers(["secrets"]))).toEqual(["secret"]);
    expect(kinds(chooseLeftovers(["credentials"]))).toEqual(["credential"]);
    expect(kinds(chooseLeftovers(["package-caches"]))).toEqual(["package-cache"]);
    expect(kinds(chooseLeftovers(["root-user", "committed"]))).toEqual([]);
  });

  // A content that makes a pattern try every way would take hours, and the test its time limit.
  test.each([
    ["root/.git-credentials", "://:"],
    ["root/.git-credentials", "://"],
    ["root/.aws/credentials", "\n"],
    ["root/.aws/credentials", "aws_secret_access_key"],
    ["root/.gradle/gradle.properties", "token"],
    ["root/.gradle/gradle.properties", "tokena"],
    ["root/.npmrc", "_auth "],
    ["root/.netrc", "password "],
    ["root/.pypirc", "password"],
    ["root/.m2/settings.xml", "<password> "],
    ["root/.composer/auth.json", '"a'],
    ["root/.composer/auth.json", '"a" '],
    ["root/.gem/credentials", ":a"],
    ["root/.kube/config", "token: "],
    ["root/.docker/config.json", '"auth" '],
    ["root/.npmrc", " "],
    ["root/.npmrc", "#"],
  ])("%s full of %j is read to its end", (path, piece) => {
    const content = piece.repeat(Math.floor(largestLogin / piece.length));
    expect(found(entry(path, content)).length).toBeLessThanOrEqual(1);
  });
});

describe("a cache", () => {
  test.each([
    ["var/cache/apt/archives/curl_1_amd64.deb", "var/cache/apt/archives"],
    ["var/lib/apt/lists/deb.debian.org_InRelease", "var/lib/apt/lists"],
    ["var/lib/apt/lists/x_binary-amd64_Packages.lz4", "var/lib/apt/lists"],
    ["var/cache/apk/APKINDEX.x.tar.gz", "var/cache/apk"],
    ["var/cache/dnf/x", "var/cache/dnf"],
    ["var/cache/libdnf5/x", "var/cache/libdnf5"],
    ["var/cache/yum/x", "var/cache/yum"],
    ["var/cache/zypp/x", "var/cache/zypp"],
    ["var/cache/pacman/pkg/x", "var/cache/pacman/pkg"],
    ["root/.npm/_cacache/a/b", "root/.npm/_cacache"],
    [".cache/pip/x", ".cache/pip"],
    ["home/a/.cache/yarn/x", "home/a/.cache/yarn"],
    ["home/a/.local/share/pnpm/store/x", "home/a/.local/share/pnpm/store"],
    ["root/.cache/pypoetry/x", "root/.cache/pypoetry"],
    ["root/.cache/uv/x", "root/.cache/uv"],
    ["root/.cache/go-build/x", "root/.cache/go-build"],
    ["root/go/pkg/mod/cache/x", "root/go/pkg/mod/cache"],
    ["root/.m2/repository/x", "root/.m2/repository"],
    ["root/.gradle/caches/x", "root/.gradle/caches"],
    ["root/.nuget/packages/x", "root/.nuget/packages"],
    ["root/.cargo/registry/x", "root/.cargo/registry"],
    ["root/.cache/composer/x", "root/.cache/composer"],
    ["root/.composer/cache/x", "root/.composer/cache"],
  ])("%s is in one", (path, folder) => {
    expect(found(entry(path, "12345"))).toEqual([
      { kind: "package-cache", layer: 1, path: folder, what: expect.any(String), size: 5 },
    ]);
  });

  test.each([
    ["var/cache/apt/archives/lock", "x"],
    ["var/cache/apt/pkgcache.bin", "x"],
    ["var/lib/apt/lists/lock", "x"],
    ["var/cache/apk/empty", ""],
    ["srv/.yarn/cache/left-pad.zip", "x"],
    ["srv/x.npm/_cacache/a", "x"],
    ["srv/.npm/_cacache2/a", "x"],
    ["var/cache/apk", "x"],
  ])("%s is in none", (path, content) => expect(found(entry(path, content))).toEqual([]));

  test("is told once a layer, with the bytes of all its files", () => {
    const layers = [
      { entries: [entry("var/cache/apk/base", "of the base")] },
      {
        entries: [
          entry("var/cache/apk/a", "12"),
          entry("var/cache/apk/b", "345"),
          entry("var/cache/apk", "", { kind: "directory" }),
        ],
      },
      { entries: [entry("var/cache/apk/c", "6")] },
    ];
    expect(findLeftovers(layers, 1, all).map(({ layer, size }) => [layer, size])).toEqual([
      [1, 5],
      [2, 1],
    ]);
    expect(findLeftovers(layers, 0, all)).toHaveLength(3);
    expect(findLeftovers(layers, 3, all)).toEqual([]);
  });
});
