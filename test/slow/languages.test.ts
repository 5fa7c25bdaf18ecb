import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { gradleFiles, makeGradle } from "../support/gradle.ts";
import { mainClass, page, renderPom, springBootVersion, writeApplication } from "../support/java.ts";
import { expectWholePath } from "../support/language-apps.ts";
import { type LanguageWorld, openLanguageWorld } from "../support/language-world.ts";
import { requireCommand, useTools } from "../support/tools.ts";

type Files = Readonly<Record<string, string>>;

const tools = useTools("lifecycle", "launcher", "syft", "grype");
let world: LanguageWorld;

// biome-ignore lint/correctness/noEmptyPattern: vitest takes the names of fixtures from the first parameter and refuses any other form of it
beforeAll(async ({}, suite) => {
  for (const name of ["apt-get", "dpkg-deb"]) await requireCommand(name, suite);
  const programs = { dockerd: await requireCommand("dockerd", suite), docker: await requireCommand("docker", suite) };
  world = await openLanguageWorld("image", { ...programs, tools: Object.values(tools) });
});
afterAll(() => world?.close());

/** Whole paths by the builder image, which finds out for itself what an application is written in. */
describe.each([
  ["go", "from Go"],
  ["python", "from Python"],
  ["java", "from Java"],
  ["java-war", "from a war, by Apache Tomcat"],
  ["python-uv", "locked by uv"],
  ["python-poetry", "locked by Poetry"],
  ["ruby", "from Ruby"],
  ["php", "from PHP"],
  ["node-yarn", "by yarn"],
  ["node-pnpm", "installed by pnpm"],
  ["node-workspaces", "from a workspace of npm"],
  ["static", "from a site of files"],
] as const)("examples/apps/%s", (app, words) => {
  test("is built without a Dockerfile, answers in a container, and goes along the path", async () => {
    await expectWholePath(world, app, words);
  });
});

/** One of several, as a matrix of `explain` names it: by the workspace's folder and its own in that. */
describe("one application of a workspace", () => {
  const workspaces: [string, string, Files, string][] = [
    [
      "go.work, which has a library in a module of its own",
      "services/web",
      {
        "go.work": "go 1.22\n\nuse (\n\t./lib\n\t./services/web\n)\n",
        "lib/go.mod": "module example.com/lib\n\ngo 1.22\n",
        "lib/lib.go": 'package lib\n\nfunc Name() string { return "of a library" }\n',
        "services/web/go.mod": "module example.com/web\n\ngo 1.22\n",
        "services/web/words.txt": "A page ",
        "services/web/main.go": `package main

import (
	"net/http"
	"os"

	"example.com/lib"
)

func main() {
	words, _ := os.ReadFile("words.txt")
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { w.Write(append(words, lib.Name()...)) })
	http.ListenAndServe(":"+os.Getenv("PORT"), nil)
}
`,
      },
      "A page of a library",
    ],
    [
      "uv's, whose library is another project of it",
      "services/api",
      {
        "pyproject.toml": '[tool.uv.workspace]\nmembers = ["services/*", "libs/*"]\n',
        "libs/words/pyproject.toml":
          '[project]\nname = "words"\nversion = "1.0.0"\n\n[build-system]\nrequires = ["setuptools==80.9.0"]\nbuild-backend = "setuptools.build_meta"\n',
        "libs/words/words/__init__.py": 'WORDS = "of a library"\n',
        "services/api/pyproject.toml": '[project]\nname = "api"\nversion = "1.0.0"\ndependencies = ["words"]\n',
        "services/api/page.txt": "A page ",
        "services/api/main.py": `import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from words import WORDS


class Pages(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write((Path("page.txt").read_text() + WORDS).encode())


if __name__ == "__main__":
    HTTPServer(("", int(os.environ["PORT"])), Pages).serve_forever()
`,
        "uv.lock": `version = 1
requires-python = ">=3.11"

[manifest]
members = ["api", "words"]

[[package]]
name = "api"
version = "1.0.0"
source = { virtual = "services/api" }
dependencies = [{ name = "words" }]

[[package]]
name = "words"
version = "1.0.0"
source = { editable = "libs/words" }
`,
      },
      "A page of a library",
    ],
    [
      "npm's, whose library has to be built first",
      "apps/web",
      {
        "package.json": '{"name":"all","private":true,"workspaces":["apps/*","libs/*"]}',
        "libs/words/package.json":
          '{"name":"words","version":"1.0.0","main":"built.js","scripts":{"build":"cp source.js built.js"}}',
        "libs/words/source.js": 'exports.words = "of a library";\n',
        "apps/web/package.json":
          '{"name":"web","version":"1.0.0","scripts":{"start":"node server.js"},"dependencies":{"words":"1.0.0"}}',
        "apps/web/page.txt": "A page ",
        "apps/web/server.js": `const page = require("node:fs").readFileSync("page.txt", "utf8");
const { words } = require("words");
require("node:http").createServer((_, response) => response.end(page + words)).listen(process.env.PORT);
`,
        "package-lock.json": JSON.stringify({
          ...{ name: "all", lockfileVersion: 3, requires: true },
          packages: {
            "": { name: "all", workspaces: ["apps/*", "libs/*"] },
            "apps/web": { version: "1.0.0", dependencies: { words: "1.0.0" } },
            "libs/words": { version: "1.0.0" },
            "node_modules/web": { resolved: "apps/web", link: true },
            "node_modules/words": { resolved: "libs/words", link: true },
          },
        }),
      },
      "A page of a library",
    ],
  ];

  test.each(workspaces)("%s: %s is built, answers, and goes along the path", async (_what, module, files, words) => {
    const folder = await mkdtemp(join(tmpdir(), "goldenpath-workspace-"));
    try {
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, "shop", path)), { recursive: true });
        await writeFile(join(folder, "shop", path), text);
      }
      await expectWholePath(world, join(folder, "shop"), words, undefined, module);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** A jar that is no more than the application's own classes, with what it needs in a folder beside it. */
test.each<[string, Files]>([
  ["its manifest", {}],
  ["its Procfile", { Procfile: "web: java -cp target/classes:target/lib/* example.Main\n" }],
])("a program of Java has the jars that %s names, answers, and goes along the path", async (_what, files) => {
  const folder = await mkdtemp(join(tmpdir(), "goldenpath-jars-"));
  const manifest =
    "<addClasspath>true</addClasspath><classpathPrefix>lib/</classpathPrefix><mainClass>example.Main</mainClass>";
  const copied =
    "<executions><execution><phase>package</phase><goals><goal>copy-dependencies</goal></goals><configuration><outputDirectory>target/lib</outputDirectory></configuration></execution></executions>";
  try {
    await writeApplication(join(folder, "shop"), {
      "pom.xml": renderPom({
        more: "<dependencies><dependency><groupId>org.json</groupId><artifactId>json</artifactId><version>20240303</version></dependency></dependencies>",
        plugins: `<plugin><artifactId>maven-jar-plugin</artifactId><configuration><archive><manifest>${manifest}</manifest></archive></configuration></plugin>
      <plugin><artifactId>maven-dependency-plugin</artifactId>${copied}</plugin>`,
      }),
      "src/main/java/example/Main.java": mainClass('new org.json.JSONArray().put("of a library").toString()'),
      ...files,
    });
    await expectWholePath(world, join(folder, "shop"), "of a library");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

/** Gradle's engine is its own; what starts it was made for these tests, where Gradle's distributions can't be had. */
test("an application is built by its Gradle wrapper, with a plugin of Maven Central, answers, and goes along the path", async () => {
  for (const name of ["mvn", "javac"]) await requireCommand(name);
  const folder = await mkdtemp(join(tmpdir(), "goldenpath-gradle-app-"));
  try {
    await writeApplication(join(folder, "shop"), {
      ...gradleFiles(await makeGradle()),
      "settings.gradle": "rootProject.name = 'shop'\n",
      "build.gradle": `buildscript {
  repositories { mavenCentral() }
  dependencies { classpath 'org.springframework.boot:spring-boot-gradle-plugin:${springBootVersion}' }
}
apply plugin: 'java'
apply plugin: 'org.springframework.boot'
`,
      "src/main/java/example/Main.java": mainClass(),
    });
    await expectWholePath(world, join(folder, "shop"), page);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
