import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { crc32 } from "node:zlib";
import { runChecked } from "@goldenpath/foundation/exec/run";
import { digestHex, digestOf } from "@goldenpath/registry-client/oci/digest";
import { type JavaFiles, mainClass, page, springBootVersion, springSources } from "./java.ts";

/**
 * A constructed distribution of Gradle, where Gradle's own can't be had: its engine is Gradle's, as a package of Maven
 * Central has it, and its command line is `test/fixtures/gradle`, of a few options. It has neither the daemon nor builds
 * in Kotlin. Gradle's own wrapper unpacks and starts it as any other.
 */
export const gradleVersion = "8.10";
const engine = {
  name: `gradle-api-${gradleVersion}.jar`,
  digest: "sha256:812c3ca1750ff9c80e8b99fdc7f37327c7ac01ca5cb0d675f7c48944adf7ee5a",
};
const sources = join(import.meta.dirname, "../fixtures/gradle");
const distribution = `gradle-${gradleVersion}`;

export interface Gradle {
  /** The distribution, as the wrapper takes it. */
  archive: string;
  /** Gradle's own. */
  wrapper: string;
}

/** Made once, and kept beside the tests' tools. Needs Maven and a JDK. */
export async function makeGradle(): Promise<Gradle> {
  const own = digestOf(
    listFiles(sources)
      .map((path) => readFileSync(join(sources, path), "utf8"))
      .join("\n"),
  );
  const kept = join(homedir(), ".cache/goldenpath/gradle", `${gradleVersion}-${digestHex(own).slice(0, 12)}`);
  const made = { archive: join(kept, `${distribution}-bin.zip`), wrapper: join(kept, "gradle-wrapper.jar") };
  if (existsSync(kept)) return made;
  const work = mkdtempSync(join(tmpdir(), "goldenpath-gradle-"));
  const run = (program: string, ...args: string[]) =>
    runChecked(program, args, {
      env: { PATH: process.env["PATH"], HOME: process.env["HOME"], JAVA_HOME: process.env["JAVA_HOME"] },
      cwd: work,
      timeoutMs: 600_000,
    });
  try {
    writeFileSync(join(work, "pom.xml"), pom);
    await run("mvn", "-B", "-q", "-ntp", "-C", "dependency:copy-dependencies", "-DoutputDirectory=jars");
    const api = join(work, "jars", engine.name);
    const digest = digestOf(readFileSync(api));
    if (digest !== engine.digest) throw new Error(`${engine.name} has the digest ${digest}, and another is pinned`);
    const listed = (await run("jar", "--list", "--file", api)).stdout.split("\n");
    const modules = listed.filter((name) => /^gradle-[a-z0-9-]+-classpath\.properties$/.test(name));
    await run("jar", "--extract", "--file", api, "gradle-wrapper.jar", ...modules);
    await run("javac", "-classpath", api, "-d", "classes", ...listFiles(sources).map((path) => join(sources, path)));
    await compose(work, modules, run);
    mkdirSync(join(work, "kept"));
    const archive = join("kept", `${distribution}-bin.zip`);
    await run("jar", "--create", "--no-manifest", "--no-compress", "--file", archive, distribution);
    renameSync(join(work, "gradle-wrapper.jar"), join(work, "kept/gradle-wrapper.jar"));
    mkdirSync(dirname(kept), { recursive: true });
    // Whole, or not there.
    await run("cp", "-a", "kept", `${kept}.new`);
    renameSync(`${kept}.new`, kept);
    return made;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

const pom = `<project><modelVersion>4.0.0</modelVersion><groupId>example</groupId><artifactId>gradle</artifactId>
<version>1</version><packaging>pom</packaging><dependencies><dependency><groupId>dev.gradleplugins</groupId>
<artifactId>gradle-api</artifactId><version>${gradleVersion}</version></dependency></dependencies></project>
`;

/**
 * Gradle finds its parts by a jar for each, in which a file says what the part needs. The package has those files and all
 * classes in one jar, so each part's jar is made with that file alone; what else they name is in the package's own
 * dependencies, or in that one jar.
 */
async function compose(work: string, modules: readonly string[], run: (...args: [string, ...string[]]) => unknown) {
  const lib = join(work, distribution, "lib");
  mkdirSync(join(lib, "plugins"), { recursive: true });
  const jars = new Map(readdirSync(join(work, "jars")).map((name) => [withoutVersion(name), join(work, "jars", name)]));
  const needed = new Set<string>();
  for (const file of modules) {
    const text = readFileSync(join(work, file), "utf8");
    for (const name of /^runtime=(.*)$/m.exec(text)?.[1]?.split(",") ?? []) if (name !== "") needed.add(name);
    writeFileSync(join(lib, jarOf(file)), zip({ [file]: text }));
  }
  for (const name of needed) {
    const own = jars.get(withoutVersion(name));
    if (own === undefined) writeFileSync(join(lib, name), zip({ "META-INF/MANIFEST.MF": "Manifest-Version: 1.0\n\n" }));
    else copyFileSync(own, join(lib, name));
  }
  rmSync(join(lib, jarOf("gradle-core-classpath.properties")));
  linkSync(join(work, "jars", engine.name), join(lib, jarOf("gradle-core-classpath.properties")));
  for (const [name, folder] of [
    ["gradle-launcher", "org/gradle/launcher"],
    ["gradle-java-compiler-plugin", "org/gradle/internal/compiler"],
  ] as const) {
    const file = `${name}-classpath.properties`;
    if (!existsSync(join(work, file))) writeFileSync(join(work, file), "projects=\nruntime=\n");
    const target = join(lib, jarOf(file));
    rmSync(target, { force: true });
    await run("jar", "--create", "--file", target, "-C", join(work, "classes"), folder, "-C", work, file);
  }
}

const jarOf = (file: string): string => file.replace(/-classpath\.properties$/, `-${gradleVersion}.jar`);
const withoutVersion = (name: string): string => name.replace(/-\d.*$/, "");

function listFiles(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".java"))
    .sort();
}

/** A zip archive of small files that are not compressed. */
function zip(files: Readonly<Record<string, string>>): Buffer {
  const entries: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [path, text] of Object.entries(files)) {
    const [name, content] = [Buffer.from(path), Buffer.from(text)];
    // Version 2.0, no flags, stored, the first day of 1980.
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(content.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(name.length, 22);
    const entry = Buffer.concat([Buffer.from("PK\x03\x04"), common, name, content]);
    const at = Buffer.alloc(14);
    at.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00", "latin1"), common, at, name]));
    entries.push(entry);
    offset += entry.length;
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = Buffer.alloc(18);
  for (const at of [4, 6]) end.writeUInt16LE(directory.length, at);
  end.writeUInt32LE(size, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...entries, ...directory, Buffer.from("PK\x05\x06"), end]);
}

/** What goes into an application besides its build script: the wrapper, with the distribution beside it. */
export function gradleFiles({ archive, wrapper }: Gradle): JavaFiles {
  return {
    gradlew: 'exec java -classpath gradle/wrapper/gradle-wrapper.jar org.gradle.wrapper.GradleWrapperMain "$@"\n',
    "gradle/wrapper/gradle-wrapper.jar": readFileSync(wrapper),
    "gradle/wrapper/gradle-wrapper.properties": `distributionBase=GRADLE_USER_HOME
distributionPath=wrapper/dists
distributionUrl=${distribution}-bin.zip
zipStoreBase=GRADLE_USER_HOME
zipStorePath=wrapper/dists
`,
    [`gradle/wrapper/${distribution}-bin.zip`]: readFileSync(archive),
  };
}

/** Of the plugins' own portal, which has no package of it on Maven Central. */
export const jibGradleVersion = "3.4.4";

/** An application that serves one page, with jib's plugin; `more` goes into its build script. */
export const jibByGradle = (gradle: Gradle, more = ""): JavaFiles => ({
  ...gradleFiles(gradle),
  "settings.gradle": "rootProject.name = 'shop'\n",
  "build.gradle": `buildscript {
  repositories { gradlePluginPortal() }
  dependencies { classpath 'com.google.cloud.tools:jib-gradle-plugin:${jibGradleVersion}' }
}
apply plugin: 'java'
apply plugin: 'com.google.cloud.tools.jib'
${more}
`,
  "src/main/java/example/Main.java": mainClass(),
  "src/main/resources/greeting.txt": "hello",
});

/** An application of Spring Boot with its plugin; `more` goes into its build script. */
export const springByGradle = (gradle: Gradle, more = ""): JavaFiles => ({
  ...gradleFiles(gradle),
  "settings.gradle": "rootProject.name = 'shop'\n",
  "build.gradle": `buildscript {
  repositories { mavenCentral() }
  dependencies { classpath 'org.springframework.boot:spring-boot-gradle-plugin:${springBootVersion}' }
}
apply plugin: 'java'
apply plugin: 'org.springframework.boot'
repositories { mavenCentral() }
dependencies { implementation 'org.springframework.boot:spring-boot-starter-web:${springBootVersion}' }
tasks.named('bootBuildImage') {
  // The tests' daemon is not where the lifecycle would look for one.
  docker { bindHostToBuilder = true }
  ${more}
}
`,
  ...springSources(JSON.stringify(page)),
});
