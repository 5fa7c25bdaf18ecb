import { createHash, randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { watchForCredentials } from "./credentials.ts";

// Made here, of pieces: nothing in this file is a credential, nor looks like one to whoever scans it.
const word = (length: number): string => "Zq3Ty7Lm9Kx2Wv5Rn8Bc".repeat(20).slice(0, length);
const hex = (length: number): string => "3f9a1c7e5b2d".repeat(20).slice(0, length);
/** With their checksum: of `crc32("zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ")`. */
const checked = `zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ${"0mLq17"}`;
const unchecked = `zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ${"0mLq18"}`;
const begin = (kind: string): string => `-----BEGIN ${kind}-----`;
const awsId = `AKIA${"Q3T7LMKX2WVRNBCZ"}`;

function look(...pieces: (string | Uint8Array)[]) {
  const watch = watchForCredentials();
  for (const piece of pieces) watch.add(typeof piece === "string" ? Buffer.from(piece, "latin1") : piece);
  return watch.end();
}
const kinds = (text: string): string[] => look(text).map(({ what }) => what);

// [what, one, what is none]
test.each<[string, string, string]>([
  ["a private key", `${begin("PRIVATE KEY")}\n${word(64)}\n`, `${begin("PRIVATE KEY")}\nplanted\n`],
  ["a private key", `${begin("OPENSSH PRIVATE KEY")}\r\n${word(70)}`, `${begin("OPENSSH PRIVATE KEY")}"`],
  ["a private key", `{"private_key":"${begin("RSA PRIVATE KEY")}\\n${word(64)}`, `${begin("PUBLIC KEY")}\n${word(64)}`],
  ["a private key", `${begin("EC PRIVATE KEY")}\n${word(64)}`, `${begin("ENCRYPTED PRIVATE KEY")}\n${word(64)}`],
  [
    "a private key",
    `key: |\n    ${begin("PRIVATE KEY")}\n    ${word(64)}\n`,
    `key: |\n    ${begin("PRIVATE KEY")}\n    …\n`,
  ],
  ["a private key", `"${begin("RSA PRIVATE KEY")}\\n" +\n  "${word(64)}\\n"`, `"${begin("RSA PRIVATE KEY")}\\n" + key`],
  ["a private key", `KEY="${begin("PRIVATE KEY")} ${word(64)}`, `KEY="${begin("PRIVATE KEY")} `],
  ["a private key of PGP", begin("PGP PRIVATE KEY BLOCK"), begin("PGP PUBLIC KEY BLOCK")],
  [
    "a private key to sign with (JWK)",
    `{"kty":"EC","crv":"P-256","x":"${word(43)}","d":"${word(43)}"}`,
    `{"kty":"EC","crv":"P-256","x":"${word(43)}"},{"d":"${word(43)}"}`,
  ],
  [
    "a private key to sign with (JWK)",
    `{"crv":"P-256","d":"${word(43)}","kty":"EC","x":"${word(43)}"}`,
    `{"crv":"P-256","d":"${word(39)}","kty":"EC","x":"${word(43)}"}`,
  ],
  [
    "a private key to sign with (JWK)",
    `{"kty"  :  "OKP", "crv"  :  "Ed25519", "d"  :  "${word(43)}", "x"  :  "${word(43)}"}`,
    `{"kty":"oct","k":"${word(43)}","d":"${word(43)}"}`,
  ],
  [
    "a private key to sign with (JWK)",
    String.raw`"{\"kty\":\"RSA\",\"n\":\"${word(43)}\",\"d\":\"${word(43)}\"}"`,
    `{"kty":"RSA","n":"${word(43)}","e":"AQAB","kid":"${word(43)}"}`,
  ],
  [
    "an access key of AWS with its secret",
    `# AKIAIOSFODNN7EXAMPLE\nid: ${awsId}\nsecret: ${word(40)}\n`,
    `id: ${awsId}\nsecret: ${"wJalrXUtnFEMI/K7MDENG/bPxRfiCY"}EXAMPLEKEY\n`,
  ],
  [
    "an access key of AWS with its secret",
    `id ${awsId}\nsecret = ${word(40)}\n`,
    `id ${awsId}\nsecret = ${word(41)}\n`,
  ],
  ["an access key of AWS with its secret", `${awsId},${word(40)}`, `AKIAIOSFODNN7EXAMPLE,${word(40)}`],
  [
    "an access key of AWS with its secret",
    `${awsId} # and what follows it is real, and no EXAMPLE\n${word(40)}\n`,
    `${awsId}${"A"} ${word(40)}`,
  ],
  ["a secret key of AWS", `export AWS_SECRET_ACCESS_KEY="${word(40)}"`, "aws_secret_access_key = $SECRET"],
  [
    "a secret key of AWS",
    `aws_secret_access_key  =  ${word(40)}`,
    `aws_secret_access_key = ${"wJalrXUtnFEMI/K7MDENG/bPxRfiCY"}EXAMPLEKEY`,
  ],
  [
    "a secret key of AWS",
    `{"name": "AWS_SECRET_ACCESS_KEY", "value": "${word(40)}"}`,
    `{"name": "AWS_SECRET_ACCESS_KEY", "other": "${word(40)}"}`,
  ],
  ["a token of GitHub", `ghp_${checked}`, `ghp_${unchecked}`],
  ["a token of GitHub", `x:ghs_${checked}@github.com`, `aghs_${checked}`],
  ["a token of GitHub", `gho_${checked}`, `gho_16C7e42F292c6912E7710c838347Ae178B4a`],
  ["a secret key of AWS", `{"SecretAccessKey": "${word(40)}"}`, `{"SecretAccessKey": "${word(41)}"}`],
  [
    "a secret key of AWS",
    `- name: AWS_SECRET_ACCESS_KEY\n  value: ${word(40)}`,
    "- name: AWS_SECRET_ACCESS_KEY\n  valueFrom:",
  ],
  ["a token of GitHub", `{"source":"export\\nghp_${checked}\\n"}`, `nghp_${checked}`],
  ["a token of GitLab", `https://oauth2%3Aglpat-${word(20)}@gitlab.example/`, `Aglpat-${word(20)}`],
  ["a token of GitHub (fine-grained)", `github_pat_${word(22)}_${word(59)}`, `github_pat_${word(22)}_${word(58)}`],
  ["a token of GitLab", `glpat-${word(20)}`, `glpat-${word(19)}`],
  ...["gldt", "glptt", "glcbt", "glsoat"].map((kind): [string, string, string] => [
    "a token of GitLab",
    `${kind}-${word(20)}`,
    `x${kind}-${word(20)}`,
  ]),
  ...["ghu", "ghr", "gho"].map((kind): [string, string, string] => [
    "a token of GitHub",
    `${kind}_${checked}`,
    `${kind}_${checked}A`,
  ]),
  ["a token of GitLab", `glrt-${word(20)}`, `glpat-${"x".repeat(20)}`],
  ["a token of Slack", `xoxb-${"123456789012"}-${word(24)}`, "xoxb-your-token-that-is-secret-here"],
  ["a token of Slack", `xoxe-1-${"123456789012"}-${word(24)}`, `xoxe-1-${"123456789012"}-${word(19)}`],
  [
    "a webhook of Slack",
    `https://hooks.slack.com/services/T${"A1B2C3D4E5F6"}/B${"A1B2C3D4E5F6"}/${word(24)}`,
    `https://hooks.slack.com/services/T${"A1B2C3D4E"}/B${"A1B2C3D4E"}/${word(23)}`,
  ],
  [
    "a webhook of Slack",
    `https://hooks.slack.com/services/T${"A1B2C3D4E"}/B${"A1B2C3D4E"}/${word(24)}`,
    "https://hooks.slack.com/services/T000/B000/x",
  ],
  ["a token of npm", `npm_${checked}`, `npm_${unchecked}`],
  ["a token of PyPI", `pypi-${"AgEIcHlwaS5vcmc"}${word(60)}`, `pypi-${"AgEIcHlwaS5vcmc"}${word(20)}`],
  ["a token of PyPI", `pypi-${"AgENdGVzdC5weXBpLm9yZw"}${word(60)}`, `pypi-${"AgENdGVzdC5weXBpLm9yZw"}${word(49)}`],
  ["a client secret of Google", `GOCSPX-${word(28)}`, `AIza${word(35)}`],
  ["a secret key of Stripe", `sk_live_${word(24)}`, `sk_test_${word(24)}`],
  ["a secret key of Stripe", `rk_live_${word(24)}`, `rk_live_${word(23)}`],
  ["a key of SendGrid", `SG.${word(22)}.${word(43)}`, `MSG.${word(22)}.${word(44)}`],
  ["a token of Docker Hub", `dckr_pat_${word(27)}`, `dckr_pat_${word(20)}`],
  ["a token of Docker Hub", `dckr_pat_${word(27)}.`, `dckr_pat_${word(28)}`],
  ["a token of Vault", `hvs.${word(95)}`, `hvs.${word(20)}`],
])("%s", (what, one, none) => {
  expect(kinds(`first\n${one}\n`)).toContain(what);
  expect(kinds(none)).toEqual([]);
});

test("an identifier of AWS takes no secret behind another one's", () => {
  const other = `ASIA${"BZQ3TYLMKXWVRNCA"}`;
  expect(look(`${awsId}\n${other}\n${word(40)}\n`)).toMatchObject([{ line: 2 }]);
});

describe("a file", () => {
  const token = `glpat-${word(20)}`;

  test("tells what and where, by no part of it, and of two that are one that they are", () => {
    const found = look(`a\nb ${token}\n\n${token} glpat-${hex(24)}\n${token}`);
    expect(found).toEqual([
      { what: "a token of GitLab", line: 2, hash: expect.stringMatching(/^[0-9a-f]{8}$/) },
      { what: "a token of GitLab", line: 4, hash: found[0]?.hash },
      { what: "a token of GitLab", line: 4, hash: expect.not.stringMatching(found[0]?.hash ?? "") },
      { what: "a token of GitLab", line: 5, hash: found[0]?.hash },
    ]);
    expect(JSON.stringify(found)).not.toContain(word(8));
  });

  // Of OpenSSH's the first line is that of all keys of its kind, and of PGP's nothing but the header is looked for.
  test.each([
    ["OPENSSH PRIVATE KEY", `${word(70)}\n`],
    ["PGP PRIVATE KEY BLOCK", "Comment: a key\n\n"],
  ])("tells two keys of %s apart, though they begin as all do, and where one is there twice", (kind, start) => {
    const key = (rest: string): string => `${begin(kind)}\n${start}${rest}\n-----END ${kind}-----\n`;
    const [one, other] = [key(hex(70)), key(hex(69))];
    const hashes = look(`${one}${other}a\n${one}b`).map(({ hash }) => hash);
    expect(hashes).toEqual([expect.any(String), expect.not.stringMatching(hashes[0] ?? ""), hashes[0]]);
    // What tells it comes with another piece.
    const far = "x\n".repeat((1024 * 1024 - 200) / 2);
    expect(look(`${far}${one}${"y".repeat(2_000_000)}`).map(({ hash }) => hash)).toEqual([hashes[0]]);
  });

  test("that is no text is not looked at", () => {
    expect(look(Buffer.concat([Buffer.from("\x7fELF\0"), Buffer.from(token)]))).toEqual([]);
    expect(look(`${" ".repeat(8192)}\0${token}`)).toHaveLength(1);
    expect(look("\x7fELF", `\0${token}`)).toEqual([]);
    expect(look("\x7fELF\0", token)).toEqual([]);
    expect(look("")).toEqual([]);
  });

  // A zero tells by where it lies in the file, and not in a piece.
  test("is text by its first 8 KB, however it comes", () => {
    const blanks = (count: number): string => " ".repeat(count);
    expect(look(blanks(8192), `\0${token}`)).toHaveLength(1);
    expect(look(blanks(8000), `${blanks(192)}\0${token}`)).toHaveLength(1);
    expect(look(blanks(8000), `${blanks(191)}\0${token}`)).toEqual([]);
    expect(look(blanks(8192), blanks(100), `\0${token}${blanks(200)}`)).toHaveLength(1);
  });

  test("has its lines counted where it begins anew", () => {
    const lines = 600_000;
    expect(look(`${"\nx".repeat(lines)} ${token}`)).toMatchObject([{ line: lines + 1 }]);
  });

  test("tells a credential by its SHA-256, of a key up to its end", () => {
    const sha = (bytes: string): string => createHash("sha256").update(bytes, "latin1").digest("hex").slice(0, 8);
    expect(look(`a ${token}`)).toMatchObject([{ hash: sha(token) }]);
    const key = `${begin("PGP PRIVATE KEY BLOCK")}\nComment: \xc3\xa9\n\n${hex(70)}\n`;
    expect(look(`${key}-----END PGP PRIVATE KEY BLOCK-----\nmore`)).toMatchObject([{ hash: sha(key) }]);
  });

  test("with the same few characters again and again is a place for one", () => {
    const of = (letters: string): string => `glpat-${letters.repeat(24).slice(0, 24)}`;
    expect(look(of("abcde"))).toEqual([]);
    expect(look(of("abcdef"))).toHaveLength(1);
  });

  // By where it lies: pieces of any size come, and every one of them is cut somewhere.
  test.each([0, 100, 1024 * 1024 - 30, 1024 * 1024 - 13, 1024 * 1024 - 1, 1024 * 1024, 3_000_000])(
    "has one at %i, however it comes, once",
    (at) => {
      const text = `${"x\n".repeat(at / 2)}${token}\n${"y".repeat(2_000_000)}`;
      const whole = look(text);
      expect(whole).toEqual([{ what: "a token of GitLab", line: Math.floor(at / 2) + 1, hash: expect.any(String) }]);
      const pieces: string[] = [];
      for (let from = 0; from < text.length; from += 65_536) pieces.push(text.slice(from, from + 65_536));
      expect(look(...pieces)).toEqual(whole);
    },
  );

  describe("is looked at in pieces of 1 MB, of which the next begins with the end of the one before it, and", () => {
    const piece = 1024 * 1024;
    const long = `glpat-${word(40)}`;
    const hashes = (...pieces: string[]) => look(...pieces).map(({ hash }) => hash);
    const whole = hashes(`${long}\n`);

    test.each([1, 7, 13, 20, 26, 45])("one whose last %i characters are in the next is told whole", (missing) => {
      const text = `${"x".repeat(piece - 1 - long.length + missing)}\n${long}\n`;
      expect(hashes(text.slice(0, piece), text.slice(piece))).toEqual(whole);
    });

    // In the text of another program, where the next piece begins between the sign and its letter, or near it.
    test.each([1, 2, 3])(
      "one behind an escaped line's end, of which the next misses %i characters, is told",
      (missing) => {
        const before = "x".repeat(piece - 16 * 1024 - missing);
        const escaped = `\\n${long}`;
        const rest = "\n".repeat(piece - before.length - escaped.length);
        expect(hashes(before + escaped + rest, "y".repeat(2_000_000))).toEqual(whole);
      },
    );
  });

  describe("where a piece of 1 MB ends", () => {
    const piece = 1024 * 1024;
    const overlap = 16 * 1024;
    const long = `glpat-${"Zq3Ty7Lm9Kx2Wv5Rn8Bc".repeat(1000).slice(0, overlap)}`;

    test("a line's end that the next one begins with is counted once", () => {
      const before = "\nx".repeat(piece / 2);
      expect(look(before, `\n${token}\n`)).toMatchObject([{ line: piece / 2 + 2 }]);
    });

    test("a key of which the header alone is there is told once, by what follows", () => {
      const key = `${begin("PGP PRIVATE KEY BLOCK")}\nComment: a key\n\n${hex(70)}\n-----END`;
      const text = `${"x".repeat(piece - 61)}\n${key}`;
      expect(look(text.slice(0, piece), text.slice(piece))).toEqual(look(`\n${key}`));
    });

    test("one that is longer than what the next begins with is told, by what is there", () => {
      expect(look("\n".repeat(piece - long.length) + long, "\n")).toHaveLength(1);
    });

    test("one with which the next begins is told once, whole", () => {
      const text = "\n".repeat(piece - overlap) + long;
      expect(look(text.slice(0, piece), text.slice(piece)).map(({ hash }) => hash)).toEqual(
        look(long).map(({ hash }) => hash),
      );
    });
  });

  test("that has thousands of them tells a hundred", () => {
    const many = Array.from({ length: 500 }, () => `glpat-${randomBytes(12).toString("hex")}`).join("\n");
    expect(look(many)).toHaveLength(100);
  });

  test("has one behind however many that are none; behind one of them a thousand are tried", () => {
    const none = (count: number): string => `ghp_${unchecked}\n`.repeat(count);
    const one = `ghp_${checked}\n`;
    expect(look(`${none(1500)}${one}`)).toMatchObject([{ line: 1501 }]);
    expect(look(`${one}${none(998)}${one}`)).toHaveLength(2);
    expect(look(`${one}${none(999)}${one}`)).toHaveLength(1);
  });

  // A content that makes a form try every way would take hours, and the test its time limit.
  test.each([
    '"kty":"EC"',
    '"kty":"EC","d":"',
    awsId,
    `${awsId} ${word(39)}`,
    `${begin("PRIVATE KEY")}\n`,
    `${begin("PRIVATE KEY")}\n${word(31)}`,
    "xoxb-1-",
    "ghp_",
    `hvs.${word(80)}`,
    "aws_secret_access_key   ",
    `${token} `,
    `\n\n${token} `,
    `${'"kty":"EC"'.repeat(150)}"d":"${"a".repeat(900_000)}`,
  ])("of nothing but '%s' takes no time", (piece) => {
    expect(look(piece.repeat(2_000_000 / piece.length)).length).toBeLessThanOrEqual(100);
  });
});
