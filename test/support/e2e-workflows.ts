import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onAnyServer, onGitHub, onServer } from "../../scripts/workflows/places.ts";
import { renderWorkflows } from "../../scripts/workflows/render.ts";
import { actionFiles, projectRoot } from "./workflows.ts";

/** Made-up commits: these repositories are folders, and act looks a commit up in its arguments. */
export const goldenpathCommit = "a".repeat(40);
export const wrapperCommit = "b".repeat(40);
/**
 * The workflows as github.com runs them, which reach goldenpath's actions without a checkout, and a wrapper that calls
 * those.
 */
export const goldenpathCommitOnGitHub = "d".repeat(40);
export const wrapperCommitOnGitHub = "e".repeat(40);
/** Where the same goldenpath is called on a server or runner that does not know `job.workflow_*`: act as it is. */
export const goldenpathCommitOnOldRunner = "c".repeat(40);
export const goldenpathName = "goldenpath-ci/goldenpath";
export const wrapperName = "acme/platform";
export const ofGitHub = { name: goldenpathName, commit: goldenpathCommitOnGitHub };

/** What the workflows take from others, at the commits at which they name them, and who stands in for it. */
const standIns = {
  "actions/checkout": "checkout",
  "docker/login-action": "login",
  "actions/upload-artifact": "upload",
  "actions/download-artifact": "download",
};

/** The workflows for a server whose runners can't say which commit was called: act's can't either. */
export function workflowsOnServer(): Record<string, string> {
  return fullNames(renderWorkflows(onServer(goldenpathName, goldenpathCommit)), goldenpathCommit);
}

/** Those that ask the runner, as they are: in act 0.2.89 `job.workflow_*` are empty. */
export function workflowsOnOldRunner(): Record<string, string> {
  return fullNames(renderWorkflows(onAnyServer), goldenpathCommitOnOldRunner);
}

/**
 * Those for github.com, with what `$/` and `job.workflow_ref` mean there written out, and without `cache-mode`: act
 * 0.2.89 knows none of them.
 */
export function workflowsOnGitHub(): Record<string, string> {
  const files = Object.entries(renderWorkflows(onGitHub)).map(([name, text]) => {
    const ref = `${goldenpathName}/.github/workflows/${name}@${goldenpathCommitOnGitHub}`;
    return [
      name,
      text
        .replaceAll(/uses: \$\/([\w./-]+)/g, `uses: ${goldenpathName}/$1@${goldenpathCommitOnGitHub}`)
        .replaceAll(/\$\{\{ job\.workflow_ref \}\}/g, ref)
        .replaceAll(/^ {4}cache-mode: none\n/gm, ""),
    ] as const;
  });
  for (const [name, text] of files)
    if (/job\.workflow_|uses: [.$]\//.test(text)) throw new Error(`${name} has something that act cannot resolve`);
  return Object.fromEntries(files);
}

/**
 * In a called workflow, act looks for `./.github/workflows` in the caller's repository; GitHub, beside the called one.
 */
function fullNames(files: Readonly<Record<string, string>>, commit: string): Record<string, string> {
  const own = `uses: ${goldenpathName}/.github/workflows/$1@${commit}`;
  return Object.fromEntries(
    Object.entries(files).map(([name, text]) => [
      name,
      text.replaceAll(/uses: \.\/\.github\/workflows\/([\w-]+\.yml)/g, own),
    ]),
  );
}

/** goldenpath as its repository has it at a commit, as far as workflows use it. */
export function renderGoldenpath(target: string, workflows: Readonly<Record<string, string>>): string {
  for (const path of actionFiles()) cpSync(join(projectRoot, path), join(target, path));
  for (const action of actionFiles().map((file) => file.replace(/\/action\.yml$/, ""))) {
    const dist = join(action, "dist");
    if (!existsSync(join(projectRoot, dist, "index.js"))) throw new Error(`${dist} is not built: npm run build`);
    cpSync(join(projectRoot, dist), join(target, dist), { recursive: true });
  }
  mkdirSync(join(target, ".github/workflows"), { recursive: true });
  for (const [name, text] of Object.entries(workflows)) writeFileSync(join(target, ".github/workflows", name), text);
  return target;
}

/** Both workflows of examples/pull-request, by their paths. */
export function readPullRequestExample(): Record<string, string> {
  return Object.fromEntries(
    ["pull-request.yml", "pull-request-comment.yml"].map((name) => {
      const path = `.github/workflows/${name}`;
      return [path, readFileSync(join(projectRoot, "examples/pull-request", path), "utf8")];
    }),
  );
}

export function standInRepositories(): Record<string, string> {
  const used = new Set<string>();
  const own = [workflowsOnServer(), workflowsOnOldRunner(), workflowsOnGitHub()].flatMap(Object.values<string>);
  for (const text of [...own, ...Object.values(readPullRequestExample())])
    for (const [, reference = ""] of text.matchAll(/uses: ([\w-]+\/[\w-]+@[0-9a-f]{40})/g)) used.add(reference);
  return Object.fromEntries(
    [...used].map((reference) => {
      const standIn = standIns[reference.split("@")[0] as keyof typeof standIns];
      if (standIn === undefined) throw new Error(`nothing stands in for ${reference}`);
      return [reference, join(projectRoot, "test/e2e/stand-ins", standIn)];
    }),
  );
}
