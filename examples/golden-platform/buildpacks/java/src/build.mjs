import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { setVariable } from "../lib/layers.mjs";
import { readCommands, writeProcesses } from "../lib/processes.mjs";
import { run } from "../lib/run.mjs";
import { installRuntime } from "../lib/runtime.mjs";
import { chooseArtifact } from "./artifact.mjs";
import { addPackageManagers } from "./front-ends.mjs";
import { listNamed } from "./named.mjs";
import { serveWar } from "./tomcat.mjs";
import { renderTrustStore } from "./trust-store.mjs";
import { isUnpacked, isUnpackedWar, leaveOutHidden, readMainClass } from "./unpacked.mjs";
import { requireJava } from "./version.mjs";

/** The JRE as a layer, the application built by its own build tool, and of its folder what runs. */
export function build(place) {
  const { directory, env: given } = place;
  const runtime = installRuntime(place, "Java");
  const home = findHome(runtime.build);
  requireJava(directory, home);
  const temporary = given.TMPDIR ?? "/tmp";
  const inImage = prepareImage(place, runtime.root);
  const processes = { folders: [join(inImage, "bin")], names: [] };
  if (isUnpacked(directory)) {
    place.say("There is a jar that was unpacked: nothing has to be built");
    const command = [join(inImage, "bin/java"), "-classpath", ".", readMainClass(directory)];
    return writeProcesses(place, { web: command }, processes);
  }
  if (isUnpackedWar(directory)) {
    place.say("There is a war that was unpacked: nothing has to be built");
    leaveOutHidden(directory);
    return serveWar(place, processes);
  }
  const trust = join(temporary, "trust.jks");
  writeFileSync(trust, renderTrustStore(given.SSL_CERT_FILE || join(place.buildpack, "certificates.pem")));
  const options = [
    given.JAVA_TOOL_OPTIONS,
    `-Djavax.net.ssl.trustStore=${trust}`,
    "-Djavax.net.ssl.trustStoreType=JKS",
  ];
  const env = addPackageManagers(place, {
    ...runtime.env,
    JAVA_HOME: home,
    PATH: `${join(home, "bin")}:${runtime.env.PATH}`,
    JAVA_TOOL_OPTIONS: options.filter(Boolean).join(" "),
  });
  const isMaven = existsSync(join(directory, "pom.xml"));
  if (isMaven) runMaven(place, runtime.build, env, temporary);
  else runGradle(place, env, temporary);
  const output = isMaven ? "target" : "build";
  const { web, ...others } = readCommands(place);
  const named = web === undefined ? [] : listNamed(directory, output, [web]);
  const besides = listNamed(directory, output, Object.values(others));
  if (named.length > 0) {
    keepOnly(directory, [...named, ...besides]);
    return writeProcesses(place, {}, processes);
  }
  const artifact = chooseArtifact(directory, isMaven ? output : "build/libs", given);
  if (artifact.isWar) {
    unpackWar(place, artifact.path, env);
    return serveWar(place, processes);
  }
  keepOnly(directory, [...artifact.kept, ...besides]);
  const command = [join(inImage, "bin/java"), "-jar", relative(directory, artifact.path)];
  writeProcesses(place, { web: command }, processes);
}

/** Where Debian's packages have Java: `usr/lib/jvm/java-17-openjdk-amd64`. */
function findHome(root) {
  const folder = join(root, "usr/lib/jvm");
  const name = readdirSync(folder, { withFileTypes: true }).find(
    (each) => each.isDirectory() && existsSync(join(folder, each.name, "bin/java")),
  )?.name;
  if (name === undefined)
    throw new ApplicationError("This buildpack was packaged without Java. The platform makes it: see languages.ts.");
  return join(folder, name);
}

/** What Debian's maintainer scripts would write: the trusted certificates. */
function prepareImage({ buildpack }, root) {
  const home = findHome(root);
  const target = join(home, "lib/security/cacerts");
  mkdirSync(dirname(target), { recursive: true });
  rmSync(target, { force: true });
  writeFileSync(target, renderTrustStore(join(buildpack, "certificates.pem")));
  setVariable(root, "JAVA_HOME", home);
  // Start commands call it by its name, and of Debian's links to it none is there.
  setVariable(root, "PATH", join(home, "bin"), "prepend");
  return home;
}

/** The platform's Maven, whatever the wrapper would download; a proxy is told it in its own way. */
function runMaven(place, build, env, temporary) {
  const { directory } = place;
  const repository = join(temporary, "m2");
  const settings = join(temporary, "settings.xml");
  writeFileSync(settings, renderSettings(env));
  const given = (place.env.BP_MAVEN_BUILD_ARGUMENTS ?? "-DskipTests package").split(/\s+/).filter(Boolean);
  const module = place.env.BP_MAVEN_BUILT_MODULE;
  const command = [
    join(env.JAVA_HOME, "bin/java"),
    ...["-classpath", findFile(join(build, "usr/share/maven/boot"), /^plexus-classworlds.*\.jar$/)],
    `-Dclassworlds.conf=${join(build, "usr/share/maven/bin/m2.conf")}`,
    `-Dmaven.home=${join(build, "usr/share/maven")}`,
    `-Dmaven.multiModuleProjectDirectory=${directory}`,
    "org.codehaus.plexus.classworlds.launcher.Launcher",
    ...["--batch-mode", "--no-transfer-progress", "--global-settings", settings, `-Dmaven.repo.local=${repository}`],
    ...readOptions(directory),
    ...(module === undefined ? [] : ["--projects", module, "--also-make"]),
    ...given,
  ];
  place.say(`Running Maven: ${given.join(" ")}`);
  run(command, { directory, env, failure: "Maven could not build the application." });
}

/** `.mvn/maven.config`: one argument a line. */
function readOptions(directory) {
  const path = join(directory, ".mvn/maven.config");
  return existsSync(path) ? readFileSync(path, "utf8").split(/\s+/).filter(Boolean) : [];
}

function findFile(folder, name) {
  return join(folder, readdirSync(folder).find((each) => name.test(each)) ?? "");
}

function renderSettings({ HTTPS_PROXY: secure, HTTP_PROXY: plain, BP_MAVEN_MIRROR: mirror }) {
  const proxy = (id, text) => {
    const url = text === undefined || text === "" ? null : new URL(text);
    if (url === null) return "";
    return `<proxy><id>${id}</id><active>true</active><protocol>${id}</protocol><host>${url.hostname}</host><port>${url.port || 80}</port><nonProxyHosts>localhost|127.0.0.1</nonProxyHosts></proxy>`;
  };
  const mirrors =
    mirror === undefined
      ? ""
      : `<mirrors><mirror><id>platform</id><mirrorOf>*</mirrorOf><url>${escapeXml(mirror)}</url></mirror></mirrors>`;
  return `<settings xmlns="http://maven.apache.org/SETTINGS/1.0.0"><proxies>${proxy("https", secure)}${proxy("http", plain)}</proxies>${mirrors}</settings>\n`;
}

function escapeXml(text) {
  return text.replace(/[<>&"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** The wrapper, which downloads the Gradle that the application names. */
function runGradle(place, env, temporary) {
  const { directory } = place;
  const given = (place.env.BP_GRADLE_BUILD_ARGUMENTS ?? "assemble -x test").split(/\s+/).filter(Boolean);
  place.say(`Running the Gradle wrapper: ${given.join(" ")}`);
  run(["sh", "./gradlew", "--no-daemon", "--console=plain", ...given], {
    directory,
    env: { ...env, GRADLE_USER_HOME: join(temporary, "gradle") },
    failure:
      "The Gradle wrapper could not build the application. It downloads Gradle itself from the URL in gradle/wrapper/gradle-wrapper.properties.",
  });
}

/** Of the application's folder only what is in the war stays, and what says how it starts. */
function unpackWar({ directory, say }, path, env) {
  const staging = join(directory, ".kept");
  say(`Unpacking ${relative(directory, path)}`);
  rmSync(staging, { recursive: true, force: true });
  mkdirSync(staging);
  run([join(env.JAVA_HOME, "bin/jar"), "--extract", "--file", path], {
    directory: staging,
    env,
    failure: "The war could not be unpacked.",
  });
  replaceWith(directory, staging);
}

/**
 * Of the application's folder only what runs goes into the image, at the place where the build left it: there a Procfile
 * or a manifest names it.
 */
function keepOnly(directory, paths) {
  const staging = join(directory, ".kept");
  rmSync(staging, { recursive: true, force: true });
  // One that is in another moves with it. A manifest can name what is elsewhere.
  for (const path of [...paths].sort()) {
    if (!existsSync(path) || !path.startsWith(`${directory}/`)) continue;
    const kept = join(staging, relative(directory, path));
    mkdirSync(dirname(kept), { recursive: true });
    renameSync(path, kept);
  }
  replaceWith(directory, staging);
}

/** What is in `staging`, and the Procfile, take the place of all that is in the folder. */
function replaceWith(directory, staging) {
  const procfile = join(directory, "Procfile");
  if (existsSync(procfile)) renameSync(procfile, join(staging, "Procfile"));
  for (const name of readdirSync(directory))
    if (name !== ".kept") rmSync(join(directory, name), { recursive: true, force: true });
  for (const name of readdirSync(staging)) renameSync(join(staging, name), join(directory, name));
  rmSync(staging, { recursive: true });
}
