import { existsSync } from "node:fs";
import { join } from "node:path";
import { ApplicationError } from "../lib/error.mjs";
import { isUnpacked, isUnpackedWar } from "./unpacked.mjs";

/** Files of build tools that the platform has not. */
const others = { "build.sbt": "sbt", "project.clj": "Leiningen", "deps.edn": "Clojure", "build.xml": "Ant" };

export function detect({ directory }) {
  const has = (name) => existsSync(join(directory, name));
  if (has("pom.xml") || isUnpacked(directory) || isUnpackedWar(directory)) return;
  const other = Object.keys(others).find(has);
  if (other !== undefined && !has("build.gradle") && !has("build.gradle.kts"))
    throw new ApplicationError(
      `There is ${other}, and this platform has no ${others[other]}: it builds with Maven and with Gradle's wrapper.`,
    );
  if (!["build.gradle", "build.gradle.kts"].some(has)) {
    throw new ApplicationError(
      "There is neither a pom.xml nor a build.gradle(.kts). A Java application has one at its root.",
    );
  }
  if (!has("gradlew"))
    throw new ApplicationError(
      "There is a Gradle build without its wrapper. Run `gradle wrapper` and commit gradlew and gradle/wrapper.",
    );
}
