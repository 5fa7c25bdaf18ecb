import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { makeLayer } from "../lib/layers.mjs";
import { writeProcesses } from "../lib/processes.mjs";
import { installPart } from "../lib/runtime.mjs";

/** Packages of the JDK that Tomcat's own start script opens to it. */
const opened = ["java.lang", "java.lang.reflect", "java.io", "java.util", "java.util.concurrent"];

/**
 * A war that was unpacked into the application's folder, served at `/` by the distribution's Tomcat: packages, settings
 * and how it starts. Tomcat writes to /tmp alone.
 * @throws ApplicationError
 */
export function serveWar(place, processes) {
  const { directory, env } = place;
  const tomcat = installPart(place, "tomcat", "Tomcat");
  const name = readdirSync(join(tomcat, "usr/share")).find((each) => /^tomcat\d+$/.test(each));
  if (name === undefined) throw new ApplicationError("The platform's package of Tomcat is laid out in another way.");
  const version = name.slice("tomcat".length);
  if (env.BP_TOMCAT_VERSION && !new RegExp(`^${version}(?:\\.|$)`).test(env.BP_TOMCAT_VERSION))
    throw new ApplicationError(`BP_TOMCAT_VERSION is ${env.BP_TOMCAT_VERSION}, and this platform has ${version}.`);
  requireJakarta(join(directory, "WEB-INF/classes"), version);
  const home = join(tomcat, "usr/share", name);
  const base = makeLayer(place, "tomcat-base", ["launch"], "Writing Tomcat's settings", (folder) => {
    for (const each of ["conf", "lib", "webapps"]) mkdirSync(join(folder, each));
    // What a page, a JSP and a file's type are: of the distribution.
    cpSync(join(home, "etc/web.xml"), join(folder, "conf/web.xml"));
    writeFileSync(join(folder, "conf/server.xml"), renderServer(directory));
  });
  const command = [
    join(processes.folders[0], "java"),
    ...opened.map((each) => `--add-opens=java.base/${each}=ALL-UNNAMED`),
    `-Dcatalina.home=${home}`,
    `-Dcatalina.base=${base}`,
    "-Djava.io.tmpdir=/tmp",
    "-Dorg.apache.tomcat.util.digester.PROPERTY_SOURCE=org.apache.tomcat.util.digester.EnvironmentPropertySource",
    ...["-classpath", `${join(home, "bin/bootstrap.jar")}:${join(home, "bin/tomcat-juli.jar")}`],
    "org.apache.catalina.startup.Bootstrap",
    "start",
  ];
  writeProcesses(place, { web: command }, processes);
  // All of the folder is served, but for WEB-INF and META-INF.
  for (const each of ["Procfile", "project.toml"]) rmSync(join(directory, each), { force: true });
}

/** One application, one port, nothing that is deployed later and nothing that tells of the server. */
function renderServer(directory) {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: for Tomcat, which puts the variable in its place
  const port = "${PORT:-8080}";
  return `<?xml version="1.0" encoding="UTF-8"?>
<Server port="-1">
  <Listener className="org.apache.catalina.core.JreMemoryLeakPreventionListener"/>
  <Service name="Catalina">
    <Connector port="${port}" protocol="HTTP/1.1"/>
    <Engine name="Catalina" defaultHost="localhost">
      <Host name="localhost" appBase="webapps" workDir="/tmp/tomcat" autoDeploy="false" deployOnStartup="false" unpackWARs="false">
        <Valve className="org.apache.catalina.valves.ErrorReportValve" showReport="false" showServerInfo="false"/>
        <Context path="" docBase="${directory}"/>
      </Host>
    </Engine>
  </Service>
</Server>
`;
}

/**
 * A war for a Tomcat before the tenth starts, and answers nothing: its servlets are of another name.
 * @throws ApplicationError
 */
function requireJakarta(folder, version) {
  if (Number(version) < 10 || !existsSync(folder)) return;
  const old = readdirSync(folder, { recursive: true, encoding: "utf8" }).find(
    (path) => path.endsWith(".class") && readFileSync(join(folder, path)).includes("javax/servlet/"),
  );
  if (old !== undefined)
    throw new ApplicationError(
      `WEB-INF/classes/${old} is compiled against javax.servlet (Java EE), and this platform's Tomcat ${version} has jakarta.servlet. Move the application to Jakarta EE, or build it into a jar that brings its own server.`,
    );
}
