import { detectEcosystems } from "./survey/ecosystems.ts";
import type { Survey } from "./survey/survey.ts";

/** Files that Node.js starts where a package names none. */
const nodeEntries = ["server.js", "index.js", "app.js"];

/**
 * What an application has not that its image would need to start, one sentence each with what to do. Nothing in it is
 * an error: a buildpack may know a way that is not known here.
 */
export function listMissing(survey: Survey): string[] {
  const { files, processes, node, go, maven } = survey;
  if (processes?.includes("web") === true || files.includes("project.toml")) return [];
  const missing: string[] = [];
  // Beside another language, a package.json is for its pages, and nothing starts by it.
  if (node !== undefined && detectEcosystems(survey)[0]?.language === "nodejs") missing.push(...missingOfNode(survey));
  if (go?.module !== undefined && go.programs.length === 0)
    missing.push(
      "go.mod: there is no `package main` in this folder, in folders of cmd, or in a main.go below: give the folder of a program as the input 'context'",
    );
  if (go !== undefined && !go.programs.includes("") && go.programs.length > 1)
    missing.push(
      `go.mod: there are programs in ${go.programs.join(", ")}, and none in the folder itself: say which by the input 'env' (BP_GO_TARGETS=./${go.programs[0]})`,
    );
  if (maven?.packaging === "pom" && maven.modules.length === 0)
    missing.push("pom.xml: its packaging is 'pom' and it has no modules: nothing to run comes of it");
  return missing;
}

function missingOfNode({ node, files }: Survey): string[] {
  if (node === undefined || node.scripts.includes("start") || node.main !== undefined) return [];
  if (files.some((name) => nodeEntries.includes(name))) return [];
  const built = node.scripts.includes("build")
    ? " It has a script 'build': if that leaves a static site, its image needs a web server (a builder for static sites)."
    : "";
  return [`package.json: there is no script 'start', no 'main' and no server.js: nothing says what starts.${built}`];
}
