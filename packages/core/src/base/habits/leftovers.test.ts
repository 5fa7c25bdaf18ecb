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
  const env = `$\{X}`;
  // [path, below a home or as the whole path; what it is; with one in it; without]
  test.each<[path: string, what: string, secret: string[], harmless: string[]]>([
    [
      ".ssh/id_rsa",
      "a private key of SSH",
      [pem("OPENSSH PRIVATE KEY"), pem("RSA PRIVATE KEY"), pem("DSA PRIVATE KEY")],
      ["ssh-ed25519 AAAA", pem("ENCRYPTED PRIVATE KEY")],
    ],
    [
      "etc/ssl/private/tls.key",
      "a private key",
      [pem("PRIVATE KEY"), pem("EC PRIVATE KEY")],
      [pem("CERTIFICATE"), pem("PUBLIC KEY")],
    ],
    [
      ".npmrc",
      "a login of npm",
      ["a=b\n//r/:_authToken=npm_x", "_auth  =  dTpw", "_password\t=\tx", "_auth=ab#c"],
      ["always-auth=true", "_auth=", "_auth  =  ", `//r/:_authToken=${env}`, "# _auth=x", "   ; _auth=x"],
    ],
    [
      ".yarnrc.yml",
      "a login of yarn",
      ["npmAuthToken:abc", "npmAuthToken:  abc", '  npmAuthIdent: "a:b"', "npmAuthIdent: 'a'"],
      [`npmAuthToken: ${env}`, `npmAuthIdent:  "${env}"`, `npmAuthToken:'${env}'`, "npmAuthToken:  "],
    ],
    [
      ".netrc",
      "a login (netrc)",
      ["machine a password b", "machine a\npassword b", "password\n   b", "password b # of mine"],
      ["machine a", "passwords b", "mypassword b", "password  ", "_auth=x"],
    ],
    ["_netrc", "a login (netrc)", ["password b"], ["passwords"]],
    [".git-credentials", "a login of git", ["https://u:p@h/x"], ["https://u@h/x"]],
    [
      ".git/config",
      "a login of git",
      ["url = https://u:p@h/x", "extraheader=AUTHORIZATION: basic eA==", "extraheader  =  Authorization: x"],
      ["url = https://h/x", "extraheader = x: y"],
    ],
    [
      ".aws/credentials",
      "a login of AWS",
      ["aws_secret_access_key=x", "aws_secret_access_key  =  x"],
      ["aws_secret_access_key =", "aws_secret_access_key  =  ", "aws_access_key_id = x"],
    ],
    ...[".docker/config.json", "containers/auth.json"].map((path): [string, string, string[], string[]] => [
      path,
      "a login of a registry",
      [
        '{"auths":{"r":{"auth":"x"}}}',
        '{"auths":{"r":{"identitytoken"  :  "x"}}}',
        '{"auths":{"r":{"registrytoken":\n"x"}}}',
      ],
      ['{"auths":{}}', '{"auths":{"r":{"auth":""}}}', '{"auths":{"r":{"auth"  :  ""}}}'],
    ]),
    [
      ".pypirc",
      "a login of PyPI",
      ["password: x", "password=x", "password  =  x"],
      ["username: x", "password:", "password  =  "],
    ],
    ["pip.conf", "a login of a Python index", ["index-url = https://u:p@h/simple"], ["index-url = https://h/simple"]],
    ...[".m2/settings.xml", ".m2/settings-security.xml"].map((path): [string, string, string[], string[]] => [
      path,
      "a login of Maven",
      ["<password>x</password>", "<passphrase>\n   x</passphrase>", "<master>{x}</master>"],
      [`<password>${env}</password>`, "<password></password>", "<master>  </master>", `<password>  ${env}<`],
    ]),
    [
      ".gradle/gradle.properties",
      "a login of Gradle",
      ["nexusPassword=x", "token  :  x", "signing.secretKeyRing = x"],
      ["org.gradle.jvmargs=x", "# nexusPassword=x", "token=", "token  =  "],
    ],
    ...[".cargo/credentials", ".cargo/credentials.toml"].map((path): [string, string, string[], string[]] => [
      path,
      "a login of Cargo",
      ['token = "x"', "token=x", "token  =  x"],
      ["[registry]", "token =", "token  =  "],
    ]),
    [
      ".gem/credentials",
      "a login of RubyGems",
      [":rubygems_api_key: x", ":key:x", ":k:  x"],
      ["---", ":key:", ":key:  "],
    ],
    ...["composer/auth.json", ".composer/auth.json"].map((path): [string, string, string[], string[]] => [
      path,
      "a login of Composer",
      ['{"github-oauth":{"github.com":"x"}}', '{"a"  :  "x"}'],
      ["{}", '{"a":""}', '{"a"  :  ""}'],
    ]),
    [
      "NuGet.Config",
      "a login of NuGet",
      ['<add key="ClearTextPassword" value="x"/>', '<add key="ClearTextPassword"\n   value="x"/>'],
      ['<add key="ClearTextPassword" value=""/>', '<add key="Username" value="x"/>'],
    ],
    [
      ".kube/config",
      "a login of Kubernetes",
      ["    token: x", "token:x", "client-key-data:  x", "password: x"],
      ["apiVersion: v1", "token:", "token:  "],
    ],
    ...["application_default_credentials.json", "credentials.db", "access_tokens.db"].map(
      (file): [string, string, string[], string[]] => [`gcloud/${file}`, "a login of Google Cloud", ["{}"], ["\n"]],
    ),
    ...[".azure/accessTokens.json", ".azure/msal_token_cache.json"].map(
      (path): [string, string, string[], string[]] => [
        path,
        "a login of Azure",
        ['{"secret":"x"}', '{"accessToken":"x"}'],
        ["{}"],
      ],
    ),
  ])("%s: %s is found by what is in it, and not by its name", (name, what, secret, harmless) => {
    for (const path of [name, `home/a/${name}`]) {
      for (const text of secret)
        expect([text, found(entry(path, text))]).toEqual([
          text,
          [{ kind: "secret", layer: 1, path, what, size: text.length }],
        ]);
      for (const text of harmless) expect([text, found(entry(path, text))]).toEqual([text, []]);
    }
    expect([`${name}/x`, `srv/x${name}`].map(mayBeSecret)).toEqual([false, false]);
  });

  test.each([["srv/npmrc"], ["srv/.npmrc.bak"], ["srv/x.netrc"], ["srv/.ssh/a/b"], ["srv/kube/config"]])(
    "%s is none of the places",
    (path) => expect(mayBeSecret(path)).toBe(false),
  );

  test("what can't be looked at is told: another file's content, and one that is too large", () => {
    const told = (text: string, change: Partial<LayerEntry> = {}, path = "root/.netrc") =>
      found(entry(path, text, change)).map(({ what }) => what);
    const text = "machine a password b";
    const tooLarge = "what is too large to be looked at";
    expect(told("", { kind: "hardlink", target: "srv/x" })).toEqual([
      "another file's content, which nobody looks at there,",
    ]);
    expect(told("", { kind: "hardlink", target: "root/.netrc" }, "srv/x")).toEqual([]);
    expect(told(text, { kind: "symlink" })).toEqual([]);
    expect(told(" ", { size: largestLogin + 1 })).toEqual([tooLarge]);
    expect(told(" ", { size: largestLogin })).toEqual([]);
    expect(told(`${" ".repeat(largestLogin - text.length)}${text}`)).toEqual(["a login (netrc)"]);
    const { content: _none, ...unread } = entry("root/.netrc", " ");
    expect(found(unread).map(({ what }) => what)).toEqual([tooLarge]);
    expect(found({ ...unread, size: 0 })).toEqual([]);
  });

  test("that was noted in a file is told with its line and its hash", () => {
    const notes = [{ what: "a token of npm", line: 3, hash: "01234567" }];
    expect(found(entry("srv/x", "12345", { notes }))).toEqual([
      {
        ...{ kind: "credential", layer: 1, path: "srv/x", what: "a token of npm", size: 5 },
        at: { line: 3, hash: "01234567" },
      },
    ]);
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
    ["var/cache/apt/archives/curl_1_amd64.deb", "var/cache/apt/archives", "apt's packages"],
    ["var/lib/apt/lists/deb.debian.org_InRelease", "var/lib/apt/lists", "apt's lists"],
    ["var/lib/apt/lists/x_binary-amd64_Packages.lz4", "var/lib/apt/lists", "apt's lists"],
    ["var/lib/apt/lists/x_main_Contents-amd64.lz4", "var/lib/apt/lists", "apt's lists"],
    ["var/cache/apk/APKINDEX.x.tar.gz", "var/cache/apk", "apk's packages"],
    ["var/cache/dnf/x", "var/cache/dnf", "dnf's packages"],
    ["var/cache/libdnf5/x", "var/cache/libdnf5", "dnf's packages"],
    ["var/cache/yum/x", "var/cache/yum", "yum's packages"],
    ["var/cache/zypp/x", "var/cache/zypp", "zypper's packages"],
    ["var/cache/pacman/pkg/x", "var/cache/pacman/pkg", "pacman's packages"],
    ["root/.npm/_cacache/a/b", "root/.npm/_cacache", "npm's cache"],
    [".cache/pip/x", ".cache/pip", "pip's cache"],
    ["home/a/.cache/yarn/x", "home/a/.cache/yarn", "yarn's cache"],
    ["home/a/.local/share/pnpm/store/x", "home/a/.local/share/pnpm/store", "pnpm's store"],
    ["root/.cache/pypoetry/x", "root/.cache/pypoetry", "poetry's cache"],
    ["root/.cache/uv/x", "root/.cache/uv", "uv's cache"],
    ["root/.cache/go-build/x", "root/.cache/go-build", "Go's compiled packages"],
    ["root/go/pkg/mod/cache/x", "root/go/pkg/mod/cache", "Go's modules"],
    ["root/.m2/repository/x", "root/.m2/repository", "Maven's repository"],
    ["root/.gradle/caches/x", "root/.gradle/caches", "Gradle's cache"],
    ["root/.nuget/packages/x", "root/.nuget/packages", "NuGet's packages"],
    ["root/.cargo/registry/x", "root/.cargo/registry", "Cargo's registry"],
    ["root/.cache/composer/x", "root/.cache/composer", "Composer's cache"],
    ["root/.composer/cache/x", "root/.composer/cache", "Composer's cache"],
  ])("%s is in %s, which is %s", (path, folder, what) => {
    expect(found(entry(path, "12345"))).toEqual([{ kind: "package-cache", layer: 1, path: folder, what, size: 5 }]);
  });

  test.each([
    ["var/cache/apt/archives/lock", "x"],
    ["var/cache/apt/archives/curl.deb.part", "x"],
    ["var/cache/apt/pkgcache.bin", "x"],
    ["var/lib/apt/lists/lock", "x"],
    ["var/cache/apk/empty", ""],
    ["srv/.yarn/cache/left-pad.zip", "x"],
    ["srv/x.npm/_cacache/a", "x"],
    ["srv/.npm/_cacache2/a", "x"],
    ["var/cache/apk", "x"],
  ])("%s is in none", (path, content) => expect(found(entry(path, content))).toEqual([]));

  test("has files: a link there is none", () =>
    expect(found(entry("var/cache/apk/x", "12", { kind: "symlink" }))).toEqual([]));

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
