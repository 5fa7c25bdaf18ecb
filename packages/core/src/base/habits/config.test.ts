import { describe, expect, test } from "vitest";
import { findCommitted, findSecretVariables, findStartUser } from "./config.ts";

const passwd = Buffer.from(
  "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:\ntoor:x:0:0::/:\n1000:x:0:0::/:\nodd:x:zero:0::/:\nwide:x:4294967296:0::/:\n",
);

describe("the user that an image starts as", () => {
  test.each([
    ["nobody named", undefined, "root"],
    ["an empty word", "", "root"],
    ["the number", "0", "root"],
    ["the number with a group", "0:1000", "root"],
    ["the number in another form, as strconv.Atoi reads it", "+00", "root"],
    ["root by name", "root", "root"],
    ["another name of root", "toor", "root"],
    ["another name of root, with a group", "toor:app", "root"],
    ["a name that is not in the list", "nobody", "unknown"],
    ["a name whose number nobody can read", "odd", "unknown"],
    ["a group alone", ":app", "root"],
    ["a number that 32 bits make root of", "4294967296", "unknown"],
    ["a number that is negative", "-4294967296", "unknown"],
    ["the first number too large", "2147483648", "unknown"],
    ["a name whose number 32 bits make root of", "wide", "unknown"],
  ])("%s is refused", (_what, user, expected) => {
    expect(findStartUser(user, passwd)).toBe(expected);
  });

  test.each([
    ["a number", "1000"],
    ["a number with a group of root", "1000:0"],
    ["the largest number", "2147483647"],
    ["a name", "app"],
    ["a number which is a name of root as well: runtimes take it for the number", "1000"],
  ])("%s passes", (_what, user) => {
    expect(findStartUser(user, passwd)).toBe("other");
  });

  test.each([
    ["a space that Unicode has", "\u00a0"],
    ["an end of line that Unicode has", "\u0085"],
    ["a blank", " "],
  ])(
    "a line of root's number in front of the user's, which begins with %s, is the user's to a runtime",
    (_what, space) => {
      const list = (first: string) => Buffer.from(`${first}app:x:0:0::/:\napp:x:1000:1000::/:\n`);
      expect(findStartUser("app", list(space))).toBe("root");
      expect(findStartUser("app", list("b"))).toBe("other");
    },
  );

  test("without the list a name is nobody's, but root's", () => {
    expect(["root", "app", "1000"].map((user) => findStartUser(user, undefined))).toEqual(["root", "unknown", "other"]);
  });
});

const history = (...entries: [string, Record<string, unknown>?][]) => ({
  history: entries.map(([created_by, more]) => ({ created_by, ...more })),
});

describe("a layer that was made of a container", () => {
  test.each([
    ["bash"],
    ["sleep infinity"],
    ["nginx -g daemon off;"],
    ["/usr/local/bin/python3 manage.py runserver"],
    ["/bin/sh"],
    ["tail -f /dev/null"],
    // What a builder begins with, further on.
    ["tini -- /bin/sh -c start"],
    ["wine cmd /c start"],
    ["npm RUN start"],
    ["java Application"],
    ["npx bazel run server"],
    ["/bin/sh server"],
    ["/bin/shutdown -c"],
  ])("%s is found", (by) => {
    expect(findCommitted(history(["/bin/sh -c #(nop) ADD file:1 in / "], [by]), 1)).toEqual([by]);
  });

  test("also with a message of whoever did it, and with a builder's word in that", () => {
    for (const comment of ["fix", "was buildkit.", "not Imported from -"])
      expect(findCommitted(history(["bash", { comment }]), 1)).toEqual(["bash"]);
  });

  test("but not the base's, whoever made that", () => {
    const made = history(["strange"], ["ENV A=b", { empty_layer: true }], ["bash"]);
    expect(findCommitted(made, 1)).toEqual(["bash"]);
    expect(findCommitted(made, 0)).toEqual([]);
    // A base without a history.
    expect(findCommitted(history(["bash"]), 1)).toEqual(["bash"]);
    expect(findCommitted(history(["bash"]), 3)).toEqual(["bash"]);
  });

  // As the builders' own images have it.
  test.each([
    ["# debian.sh --arch 'amd64' out/ 'bookworm' '@1732492800'", { comment: "debuerreotype 0.15" }],
    ["/bin/sh -c #(nop) ADD file:1 in / "],
    ["ADD alpine-minirootfs-3.22.1-x86_64.tar.gz / # buildkit", { comment: "buildkit.dockerfile.v0" }],
    ["", { comment: "Imported from -" }],
    ["bazel build @bookworm//libc6/amd64:data_statusd"],
    ["/bin/sh -c apt-get update"],
    ["/bin/sh -c #(nop) COPY file:1 in /srv "],
    ["|1 VERSION=2 /bin/sh -c make"],
    ["|12 VERSION=2 B=c /bin/sh -c make"],
    ["|1 KEY=a\nb /bin/sh -c make"],
    ["/bin/sh -ec make"],
    ["/bin/bash -ex -c make"],
    ["cmd /S /C make"],
    ["powershell -Command make"],
    ["pwsh -Command make"],
    ["Buildpack: goldenpath/node"],
    ["/bin/bash -o pipefail -c make"],
    ["/bin/bash -eo pipefail -c make"],
    ["RUN /bin/sh -c make # buildkit", { comment: "buildkit.dockerfile.v0" }],
    ["COPY /out.txt /srv/ # buildkit", { comment: "buildkit.dockerfile.v0" }],
    ["WORKDIR /app"],
    ["bazel build ..."],
    ["jib-maven-plugin:3.4.6"],
    ["ko build ko://x"],
    ["Buildpacks Launcher Config"],
    ["Layer: 'packages', Created by buildpack: goldenpath/node@1.0.0"],
    ["Application Slice: 1"],
    ["kaniko"],
    ["apko"],
    ["crane append"],
    [""],
    ["bash", { empty_layer: true }],
    ["/bin/sh", { comment: "FROM docker.io/library/debian:12" }],
  ] as [string, Record<string, unknown>?][])("%s is a builder's", (by, more = {}) => {
    expect(findCommitted(history([by, more]), 1)).toEqual([]);
  });

  test("without a history there is none", () => {
    expect(findCommitted({}, 1)).toEqual([]);
    expect(findCommitted({ history: null }, 1)).toEqual([]);
  });
});

describe("a variable with a secret", () => {
  test.each([
    ["an environment variable", { config: { Env: ["NPM_TOKEN=npm_abc"] } }, "NPM_TOKEN"],
    ["of PostgreSQL", { config: { Env: ["PGPASSWORD=x1"] } }, "PGPASSWORD"],
    ["of MySQL", { config: { Env: ["MYSQL_PWD=x1"] } }, "MYSQL_PWD"],
    ["of Rails", { config: { Env: ["SECRET_KEY_BASE=x1"] } }, "SECRET_KEY_BASE"],
    ["with a slash in front", { config: { Env: ["API_KEY=/x1+abc="] } }, "API_KEY"],
    ["within a URL", { config: { Env: ["DATABASE_URL=postgres://u:x1@db/app"] } }, "DATABASE_URL"],
    ["in lower case", { config: { Env: ["db_password=x1"] } }, "db_password"],
    ["an argument of Docker's old builder", history(["|2 VERSION=1 API_KEY=abc /bin/sh -c make"]), "API_KEY"],
    ["one of BuildKit's RUN", history(["RUN |2 VERSION=1 API_KEY=abc /bin/sh -c make # buildkit"]), "API_KEY"],
    ["an argument of BuildKit", history(["ARG GITHUB_TOKEN=ghp_abc", { empty_layer: true }]), "GITHUB_TOKEN"],
    ["one in quotes", history(['ENV A=b SECRET="c d"', { empty_layer: true }]), "SECRET"],
  ])("%s is found, and its value is not told", (_what, habits, name) => {
    const found = findSecretVariables(habits);
    expect(found.map((each) => each.name)).toEqual([name]);
    expect(JSON.stringify(found)).not.toMatch(/abc|x1|c d/);
  });

  test.each([
    ["a URL without a login", { config: { Env: ["DATABASE_URL=postgres://db:5432/app"] } }],
    ["a folder", { config: { Env: ["PWD=/srv", "OLDPWD=/"] } }],
    ["without a value", { config: { Env: ["NPM_TOKEN="] } }],
    ["which says where it is", { config: { Env: ["DB_PASSWORD=/run/secrets/db"] } }],
    ["of a file", { config: { Env: ["DB_PASSWORD_FILE=secret"] } }],
    ["that is a public key", { config: { Env: ["GPG_KEY=7169605F62C751356D054A26A821E680E5FA6305"] } }],
    ["that takes another's", { config: { Env: [`TOKEN=$\{OTHER}`] } }],
    ["whose name only has the word in it", { config: { Env: ["TOKENIZER=bert", "SECRETARY=anna"] } }],
  ])("one %s is none", (_what, habits) => {
    expect(findSecretVariables(habits)).toEqual([]);
  });
});

describe("a name in the image's own list", () => {
  const of = (user: string, ...lines: string[]) => findStartUser(user, Buffer.from(lines.join("\n")));

  test("with digits in it is a name, and no number", () => {
    expect([of("12x", "12x:x:1000"), of("x12", "x12:x:1000")]).toEqual(["other", "other"]);
    expect(of("x0", "x0:x:1000")).toBe("other");
  });

  test("is found with blanks around its line, as runtimes find it", () => {
    for (const end of ["", "\r", " \u0085 "])
      expect([end, of("app", ` \tapp:x:0${end}`, "other:x:1000")]).toEqual([end, "root"]);
  });

  test("that is there twice is the worst of what is said of it", () => {
    expect(of("app", "app:x:1000", "app:x:odd")).toBe("unknown");
    expect(of("app", "app:x:1000", "app:x:0")).toBe("root");
    expect(of("app", "app:x:1000", "app:x:1001")).toBe("other");
  });

  test("whose number is written in no plain way is unknown", () => {
    for (const id of ["1e3", "0x10", "+1000", "", "1000 "])
      expect([id, of("app", `app:x:${id}:0`)]).toEqual([id, "unknown"]);
    expect([of("app", "app"), of("app", "app:x")]).toEqual(["unknown", "unknown"]);
    expect(of("app", "app:x:1000:0")).toBe("other");
  });

  test("is compared by its bytes", () => {
    expect([of("müller", "müller:x:1000"), of("müller", "müller:x:0")]).toEqual(["other", "root"]);
    expect(of("müller", "muller:x:1000")).toBe("unknown");
  });

  test("which is not there, is root's where it is root", () =>
    expect([of("root", "app:x:1000"), of("app", "root:x:0")]).toEqual(["root", "unknown"]));
});

describe("a secret in variables and arguments", () => {
  const inEnv = (...Env: string[]) => findSecretVariables({ config: { Env } }).map(({ name }) => name);
  const inHistory = (created_by: string) => findSecretVariables({ history: [{ created_by }] }).map(({ name }) => name);
  const login = "postgres://user:password@host";

  test("has a name, of one letter too, and a value", () => {
    expect(inEnv(`A=${login}`, "DB_TOKEN=abc")).toEqual(["A", "DB_TOKEN"]);
    expect(inEnv("TOKENX", `=${login}`, "DB_TOKENX", login)).toEqual([]);
  });

  test.each([
    ...["TOKEN", "PASSWORD", "PGPASSWORD", "PASSWD", "PASSPHRASE", "PASS", "SECRET", "API_KEY", "APIKEY", "ACCESS_KEY"],
    ...["PRIVATE_KEY", "SECRET_KEY", "SECRET_KEY_BASE", "CREDENTIAL", "CREDENTIALS"],
  ])("is called %s, alone or behind another word, and not before one", (name) => {
    expect(inEnv(`${name}=abc`, `MY_${name}=abc`)).toEqual([name, `MY_${name}`]);
    expect(inEnv(`${name}_FILE=abc`, `MY${name}=abc`)).toEqual([]);
  });

  test("is called _PWD at its end", () => {
    expect(inEnv("MYSQL_PWD=abc")).toEqual(["MYSQL_PWD"]);
    expect(inEnv("MYSQL_PWD_FILE=abc", "MYSQLPWD=abc")).toEqual([]);
  });

  test("is told once of each place, by what that is", () => {
    const created_by = "ARG TOKEN=abc";
    expect(
      findSecretVariables({ config: { Env: ["TOKEN=abc"] }, history: [{ created_by }, { created_by }, {}] }),
    ).toEqual([
      { name: "TOKEN", where: "environment variable" },
      { name: "TOKEN", where: "history's argument" },
    ]);
    expect(findSecretVariables({})).toEqual([]);
  });

  test("is none where the value only says where it is, in quotes too", () => {
    expect(inEnv("TOKEN='/run/secrets/x'", 'TOKEN="true"', "TOKEN=$OTHER")).toEqual([]);
    expect(inEnv("TOKEN=xxxx", "TOKEN=****", "TOKEN=None")).toEqual([]);
    for (const value of ["a/b", "xxxy", "***a", "$A-b", "truer"]) expect(inEnv(`TOKEN=${value}`)).toEqual(["TOKEN"]);
    // Quotes that do not hold all of it are a part of the value.
    for (const value of [`"x"x`, `x"x"`, `'x"`]) expect(inEnv(`TOKEN=${value}`)).toEqual(["TOKEN"]);
  });

  test("is told of Docker's arguments, however many, and of BuildKit's, each where a builder writes it", () => {
    expect(inHistory("|12 TOKEN=abc B=c /bin/sh -c make")).toEqual(["TOKEN"]);
    expect(inHistory("|1 TOKEN=abc cmd /S /C make")).toEqual(["TOKEN"]);
    expect(inHistory("RUN |12 TOKEN=abc B=c /bin/sh -c make # buildkit")).toEqual(["TOKEN"]);
    expect(inHistory("RUN |1 B=c /bin/sh -c TOKEN=abc make # buildkit")).toEqual([]);
    expect(inHistory("COPY |1 TOKEN=abc /bin/sh")).toEqual([]);
    expect(inHistory("ENV A=b TOKEN=abc")).toEqual(["TOKEN"]);
    expect(inHistory("ARG TOKEN=abc")).toEqual(["TOKEN"]);
    expect(inHistory("RUN echo |1 TOKEN=abc /bin/sh")).toEqual([]);
    expect(inHistory("RUN ENV TOKEN=abc")).toEqual([]);
  });

  test("is told of an argument with several lines, as a key has, and of a command that is no shell's", () => {
    const key = "SSH_PRIVATE_KEY=-----BEGIN\nabc\n-----END";
    for (const by of [
      `ARG ${key}`,
      `ENV ${key}`,
      `|1 ${key} /bin/sh -c make`,
      `|2 ${key} Z=1 make install`,
      `RUN |2 ${key} Z=1 make install # buildkit`,
      `|1 ${key}`,
    ])
      expect([by, inHistory(by)]).toEqual([by, ["SSH_PRIVATE_KEY"]]);
    expect(inHistory("ARG A=a\nTOKEN=abc")).toEqual(["TOKEN"]);
    // What a shell sets for itself is no argument.
    for (const shell of [
      "/bin/sh -c",
      "/sh -c",
      "/usr/bin/bash -c",
      "/busybox/sh -c",
      "/usr/bin/env bash -c",
      "pwsh -Command",
    ]) {
      expect([shell, inHistory(`|1 A=a\nb ${shell} TOKEN="$(cat x)" make`)]).toEqual([shell, []]);
      expect([shell, inHistory(`|1 TOKEN=a\nb ${shell} make`)]).toEqual([shell, ["TOKEN"]]);
    }
    expect(inHistory("RUN make\nARG TOKEN=abc")).toEqual([]);
  });

  // Whoever began a name anew at each letter would take an hour, and the test its time limit.
  test("is looked for in a history of megabytes", () => {
    const long = "a".repeat(2_000_000);
    for (const by of [
      `|1 ${long}`,
      `RUN |1 ${long}`,
      `|1 ${" /".repeat(1_000_000)}`,
      `ENV A\n${long}`,
      `ENV ${long}=b TOKEN=abc`,
    ])
      expect(inHistory(by)).toEqual(by.endsWith("TOKEN=abc") ? ["TOKEN"] : []);
  });

  test("is none in the quotes of another's value", () => {
    expect(inHistory('ENV A="x TOKEN=abc" B=c')).toEqual([]);
    expect(inHistory("ENV A='x TOKEN=abc' B=c")).toEqual([]);
    expect(inHistory("ENV A=x TOKEN=true")).toEqual([]);
  });
});

test("a layer that was made by nothing, or by nothing but blanks, is nobody's command", () => {
  expect(findCommitted({ history: [{ created_by: "  " }] }, 1)).toEqual([]);
  expect(findCommitted({ history: [{}] }, 1)).toEqual([]);
});
