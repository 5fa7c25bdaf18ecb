import { explainShape, rulesWith, type Shape } from "@goldenpath/testing/survey";
import { describe, expect, test } from "vitest";

/** What is said of a shape: the strategy, words of the reason, words of what is missing. */
interface Said {
  strategy: string;
  reason: string;
  missing?: string;
  builder?: string;
}

const pom = (inner: string, packaging = "jar"): string =>
  `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <groupId>acme</groupId><artifactId>shop</artifactId><version>1</version><packaging>${packaging}</packaging>
  ${inner}
</project>`;
const jib = (inner = ""): string =>
  `<plugin><groupId>com.google.cloud.tools</groupId><artifactId>jib-maven-plugin</artifactId>${inner}</plugin>`;
const build = (plugins: string): string => `<build><plugins>${plugins}</plugins></build>`;
const springBoot =
  "<plugin><groupId>org.springframework.boot</groupId><artifactId>spring-boot-maven-plugin</artifactId></plugin>";
const jibId = "com.google.cloud.tools.jib";

/** Of one application each; nothing in them is ambiguous to whoever knows the ecosystem. */
const languages: [string, Shape, Said][] = [
  [
    "Node.js with npm",
    { "package.json": '{"scripts":{"start":"node ."}}', "package-lock.json": "{}" },
    { strategy: "buildpacks", reason: "package.json (Node.js) with package-lock.json" },
  ],
  [
    "Node.js with yarn and a main file",
    { "package.json": '{"main":"a.js"}', "yarn.lock": "" },
    { strategy: "buildpacks", reason: "package.json (Node.js) with yarn.lock" },
  ],
  [
    "Node.js with pnpm and a server.js",
    { "package.json": "{}", "pnpm-lock.yaml": "", "server.js": "" },
    { strategy: "buildpacks", reason: "package.json (Node.js) with pnpm-lock.yaml" },
  ],
  [
    "Node.js that nothing starts",
    { "package.json": '{"scripts":{"test":"x"}}' },
    { strategy: "buildpacks", reason: "package.json (Node.js)", missing: "no script 'start'" },
  ],
  [
    "a front end that is only built",
    { "package.json": '{"scripts":{"build":"vite build"}}' },
    { strategy: "buildpacks", reason: "package.json (Node.js)", missing: "a web server" },
  ],
  [
    "Node.js that a Procfile starts",
    { "package.json": "{}", Procfile: "web: node x.js" },
    { strategy: "buildpacks", reason: "package.json (Node.js)" },
  ],
  [
    "a package.json with a byte order mark",
    { "package.json": '\ufeff{"scripts":{"start":"x"}}' },
    { strategy: "buildpacks", reason: "package.json (Node.js)" },
  ],
  ["Java with Maven", { "pom.xml": pom("") }, { strategy: "buildpacks", reason: "pom.xml (Java with Maven)" }],
  [
    "Java with Gradle in Groovy",
    { "build.gradle": "plugins { id 'java' }" },
    { strategy: "buildpacks", reason: "build.gradle (Java with Gradle)" },
  ],
  [
    "Java with Gradle in Kotlin",
    { "build.gradle.kts": "plugins { application }", "gradle.lockfile": "" },
    { strategy: "buildpacks", reason: "build.gradle.kts (Java with Gradle) with gradle.lockfile" },
  ],
  [
    "Go",
    { "go.mod": "module acme.example/shop\n", "go.sum": "", "main.go": "package main\n" },
    { strategy: "buildpacks", reason: "go.mod (Go) with go.sum" },
  ],
  [
    "Go that is a library",
    { "go.mod": "module acme.example/shop\n", "shop.go": "package shop\n" },
    { strategy: "buildpacks", reason: "go.mod (Go)", missing: "no `package main`" },
  ],
  [
    "Go whose only main is left out of every build",
    { "go.mod": "module x\n", "gen.go": "//go:build ignore\n\npackage main\n" },
    { strategy: "buildpacks", reason: "go.mod (Go)", missing: "no `package main`" },
  ],
  [
    "Go with two programs",
    { "go.mod": "module x\n", "cmd/a/main.go": "package main\n", "cmd/b/main.go": "package main\n" },
    { strategy: "buildpacks", reason: "go.mod (Go)", missing: "BP_GO_TARGETS=./cmd/a" },
  ],
  [
    "Python with pip",
    { "requirements.txt": "flask==3", "app.py": "" },
    { strategy: "buildpacks", reason: "requirements.txt (Python)" },
  ],
  [
    "Python with poetry",
    { "pyproject.toml": '[tool.poetry]\nname = "shop"', "poetry.lock": "" },
    { strategy: "buildpacks", reason: "pyproject.toml (Python) with poetry.lock" },
  ],
  [
    "Python with uv",
    { "pyproject.toml": '[project]\nname = "shop"', "uv.lock": "" },
    { strategy: "buildpacks", reason: "pyproject.toml (Python) with uv.lock" },
  ],
  [
    "Python with pipenv",
    { Pipfile: "", "Pipfile.lock": "{}" },
    { strategy: "buildpacks", reason: "Pipfile (Python) with Pipfile.lock" },
  ],
  [
    "Node.js beside a linter's pyproject.toml",
    { "package.json": '{"main":"x.js"}', "pyproject.toml": "[tool.ruff]\n" },
    { strategy: "buildpacks", reason: "there is package.json (Node.js), and" },
  ],
  ["Python with conda", { "environment.yml": "" }, { strategy: "buildpacks", reason: "Python with conda" }],
  ["Ruby", { Gemfile: "", "Gemfile.lock": "" }, { strategy: "buildpacks", reason: "Gemfile (Ruby) with Gemfile.lock" }],
  ["PHP", { "composer.json": "{}" }, { strategy: "buildpacks", reason: "composer.json (PHP)" }],
  ["PHP in a folder that is served", { "htdocs/index.php": "" }, { strategy: "buildpacks", reason: "(PHP)" }],
  [
    "PHP and a page beside it",
    { "public/index.php": "", "public/index.html": "" },
    { strategy: "buildpacks", reason: "public/index.php (PHP)" },
  ],
  [
    "a site in a folder that is served",
    { "public/index.html": "", "alternate/index.html": "" },
    { strategy: "buildpacks", reason: "public/index.html (a static site)" },
  ],
  [
    "a served folder beside what has pages of its own",
    { "package.json": '{"scripts":{"start":"node ."}}', "public/index.html": "" },
    { strategy: "buildpacks", reason: "there is package.json (Node.js), and" },
  ],
  [
    "a served folder that a link leads to, which is not gone into",
    { "main.py": "", "elsewhere/index.php": "", htdocs: { link: "elsewhere" } },
    { strategy: "buildpacks", reason: "there is main.py (Python without packages), and" },
  ],
  [
    "a Go program without a module",
    { "main.go": "package main" },
    { strategy: "buildpacks", reason: "main.go (Go without a module)" },
  ],
  [
    "a jar that was unpacked",
    { "META-INF/MANIFEST.MF": "Main-Class: a.B", "a/B.class": "" },
    { strategy: "buildpacks", reason: "META-INF (Java, compiled already)" },
  ],
  [
    "a war that was unpacked",
    { "WEB-INF/web.xml": "<web-app/>", "index.html": "" },
    { strategy: "buildpacks", reason: "WEB-INF (Java, compiled already)" },
  ],
  [
    "a folder META-INF beside what is built",
    { "pom.xml": pom(""), "META-INF/MANIFEST.MF": "" },
    { strategy: "buildpacks", reason: "there is pom.xml (Java with Maven), and" },
  ],
  ["PHP without composer", { "index.php": "" }, { strategy: "buildpacks", reason: "index.php (PHP)" }],
  [".NET", { "shop.csproj": "<Project/>" }, { strategy: "buildpacks", reason: "shop.csproj (.NET)" }],
  [
    "Rust",
    { "Cargo.toml": "", "Cargo.lock": "" },
    { strategy: "buildpacks", reason: "Cargo.toml (Rust) with Cargo.lock" },
  ],
  ["a static site", { "index.html": "" }, { strategy: "buildpacks", reason: "index.html (a static site)" }],
  [
    "a site with nginx",
    { "nginx.conf": "", "public/index.html": "" },
    { strategy: "buildpacks", reason: "nginx.conf" },
  ],
  [
    "what only a buildpack knows",
    { "main.zig": "" },
    { strategy: "buildpacks", reason: "no file of the application speaks" },
  ],
];

const several: [string, Shape, Said][] = [
  [
    "a Dockerfile alone",
    { Dockerfile: "FROM scratch" },
    { strategy: "dockerfile", reason: "there is Dockerfile", builder: "files" },
  ],
  [
    "a Containerfile, and what hides beside it",
    { Containerfile: "", ".gitpod.Dockerfile": "", "Containerfile.dockerignore": "" },
    { strategy: "dockerfile", reason: "there is Containerfile, and" },
  ],
  [
    "a language beside a Dockerfile",
    { Dockerfile: "", "go.mod": "module x", "main.go": "package main" },
    { strategy: "buildpacks", reason: "go.mod (Go)" },
  ],
  [
    "pages beside a Dockerfile",
    { Dockerfile: "", "index.html": "" },
    { strategy: "dockerfile", reason: "there is Dockerfile" },
  ],
  [
    "a folder that is called Dockerfile",
    { "Dockerfile/x": "", Gemfile: "" },
    { strategy: "buildpacks", reason: "there is Gemfile (Ruby), and" },
  ],
  [
    "jib in a POM",
    { "pom.xml": pom(build(jib("<version>3.4.6</version>"))) },
    { strategy: "jib", reason: "jib", builder: "jib" },
  ],
  [
    "jib beside project.toml",
    { "pom.xml": pom(build(jib())), "project.toml": "" },
    { strategy: "buildpacks", reason: "project.toml" },
  ],
  ["jib beside a Dockerfile", { "pom.xml": pom(build(jib())), Dockerfile: "" }, { strategy: "jib", reason: "jib" }],
  [
    "jib whose version is a property",
    { "pom.xml": pom(`<properties><v>3.4.6</v></properties>${build(jib(`<version>${"$"}{v}</version>`))}`) },
    { strategy: "jib", reason: "3.4.6" },
  ],
  [
    "Spring Boot in a POM, beside a Dockerfile",
    { "pom.xml": pom(build(springBoot)), Dockerfile: "" },
    { strategy: "spring-boot", reason: "pom.xml", builder: "boot" },
  ],
  [
    "Spring Boot and jib, of which the policy has the first",
    { "pom.xml": pom(build(springBoot + jib())) },
    { strategy: "spring-boot", reason: "pom.xml", builder: "boot" },
  ],
  [
    "Spring Boot that comes from a parent in the checkout",
    {
      "pom.xml": pom(
        "<parent><groupId>acme</groupId><artifactId>all</artifactId><version>1</version><relativePath>parent</relativePath></parent>",
      ),
      "parent/pom.xml": `<project><groupId>acme</groupId><artifactId>all</artifactId><version>1</version><packaging>pom</packaging>${build(springBoot)}</project>`,
    },
    { strategy: "spring-boot", reason: "pom.xml", builder: "boot" },
  ],
  [
    "Spring Boot by a version catalogue, in Groovy",
    {
      "build.gradle": "plugins {\n  alias libs.plugins.spring.boot\n}",
      "settings.gradle": "",
      "gradle/libs.versions.toml": '[plugins]\nspring_boot = "org.springframework.boot:3.5.0"',
    },
    { strategy: "spring-boot", reason: "3.5.0", builder: "boot" },
  ],
  [
    "jib that is only managed",
    { "pom.xml": pom(`<build><pluginManagement><plugins>${jib()}</plugins></pluginManagement></build>`) },
    { strategy: "buildpacks", reason: "pom.xml (Java with Maven)" },
  ],
  [
    "jib in a profile",
    { "pom.xml": pom(`<profiles><profile><id>ci</id>${build(jib())}</profile></profiles>`) },
    { strategy: "buildpacks", reason: "pom.xml (Java with Maven)" },
  ],
  [
    "jib in a comment",
    { "pom.xml": pom(`<!-- ${build(jib())} -->`) },
    { strategy: "buildpacks", reason: "pom.xml (Java with Maven)" },
  ],
  [
    "jib of somebody else",
    { "pom.xml": pom(build(jib().replace("com.google.cloud.tools", "evil.example"))) },
    { strategy: "buildpacks", reason: "pom.xml (Java with Maven)" },
  ],
  [
    "jib in Groovy",
    { "build.gradle": `plugins {\n  id 'java' // not id 'x'\n  id '${jibId}' version '3.4.5'\n}` },
    { strategy: "jib", reason: "3.4.5" },
  ],
  [
    "jib in Kotlin",
    { "build.gradle.kts": `plugins {\n  id("${jibId}") version "3.4.5"\n}` },
    { strategy: "jib", reason: "3.4.5" },
  ],
  [
    "jib by a version catalogue",
    {
      "build.gradle.kts": "plugins { alias(libs.plugins.the.jib) }",
      "settings.gradle.kts": 'rootProject.name = "shop"',
      "gradle/libs.versions.toml": `[versions]\nj = "3.4.4"\n[plugins]\nthe-jib = { id = "${jibId}", version.ref = "j" }`,
    },
    { strategy: "jib", reason: "3.4.4" },
  ],
  ["jib by the older way", { "build.gradle": `apply plugin: '${jibId}'` }, { strategy: "jib", reason: "build.gradle" }],
  [
    "jib by a convention of the build's own",
    {
      "build.gradle": "plugins { id 'acme.service' }",
      "settings.gradle": "",
      "buildSrc/src/main/groovy/acme.service.gradle": `plugins { id '${jibId}' }`,
    },
    { strategy: "jib", reason: "jib" },
  ],
  [
    "jib that is put there and not applied",
    { "build.gradle": `plugins { id 'java'; id '${jibId}' version '3.4.5' apply false }` },
    { strategy: "buildpacks", reason: "build.gradle (Java with Gradle)" },
  ],
  [
    "jib in a text and in comments",
    {
      "build.gradle": `// id '${jibId}'\n/* plugins { id '${jibId}' } */\ndef s = "plugins { id '${jibId}' }"\nplugins { id 'java' }`,
    },
    { strategy: "buildpacks", reason: "build.gradle (Java with Gradle)" },
  ],
  [
    "both Maven with jib and Node.js",
    { "pom.xml": pom(build(jib())), "package.json": '{"scripts":{"build":"x"}}' },
    { strategy: "jib", reason: "jib" },
  ],
];

describe("an application of this shape", () => {
  test.each([...languages, ...several])("%s", async (_name, shape, { strategy, reason, missing, builder }) => {
    const { explanation, error } = await explainShape(shape);
    expect(error).toBeUndefined();
    expect(explanation.chosen).toMatchObject({ strategy, reason: expect.stringContaining(reason) });
    expect(explanation.chosen?.builder).toBe(
      builder ?? { buildpacks: "packs", jib: "jib", dockerfile: "files" }[strategy],
    );
    expect(explanation.missing).toEqual(missing === undefined ? [] : [expect.stringContaining(missing)]);
    expect(explanation.applications).toEqual([]);
  });
});

describe("what the policy says", () => {
  const node: Shape = { "package.json": '{"main":"x"}' };
  const byLanguage = rulesWith({
    builders: [
      { name: "for-node", runImage: "golden", languages: ["nodejs"] },
      { name: "for-java", runImage: "golden", languages: ["java", "go"] },
    ],
  });

  test("the first builder that builds the language is taken", async () => {
    expect((await explainShape(node, { rules: byLanguage })).explanation.chosen?.builder).toBe("for-node");
    const java = await explainShape({ "pom.xml": pom("") }, { rules: byLanguage });
    expect(java.explanation.chosen?.builder).toBe("for-java");
  });

  test("a language that no builder has is what is missing, at its file", async () => {
    const { error } = await explainShape({ "requirements.txt": "" }, { rules: byLanguage });
    expect(error).toMatchObject({
      code: "builder-language",
      message: expect.stringContaining("requirements.txt: Python"),
      wayOut: "Have a builder with Python added to the policy's build.builders.",
      places: [{ file: "requirements.txt", line: 1 }],
    });
  });

  test("a strategy that it does not allow is refused at its file, with those that it does", async () => {
    const { error } = await explainShape(
      { Dockerfile: "" },
      { rules: rulesWith({ strategies: ["buildpacks", "jib"] }) },
    );
    expect(error).toMatchObject({
      code: "build-strategy-not-allowed",
      rule: "build.strategy",
      message: expect.stringContaining("(Dockerfile:1), and policy 'acme' allows: buildpacks, jib"),
      places: [{ file: "Dockerfile", line: 1 }],
    });
  });

  test("what it prefers is taken before what tells more", async () => {
    const rules = rulesWith({ prefer: ["dockerfile"] });
    expect((await explainShape({ ...node, Dockerfile: "" }, { rules })).explanation).toMatchObject({
      chosen: { strategy: "dockerfile", reason: expect.stringContaining("prefers dockerfile") },
      notTaken: [expect.stringContaining("package.json")],
    });
    expect((await explainShape(node, { rules })).explanation.chosen?.strategy).toBe("buildpacks");
  });
});
