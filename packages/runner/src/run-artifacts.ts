import type { ArtifactFile, ReadArtifacts } from "@goldenpath/core/report/comment/source";
import { InfrastructureError, UserError } from "@goldenpath/foundation/errors";
import { type EndedRun, readEndedRun } from "./ended-run.ts";
import { type Github, openGithub } from "./github-api.ts";
import { archiveLimits, readArchive } from "./read-archive.ts";

/** A job of a matrix leaves one each. */
const maxArtifacts = 50;
/** All archives together, as they are sent. Bytes. */
const maxPacked = 32 * 1024 * 1024;

/** @param second milliseconds, by which all waits go; tests have a shorter one */
export function createArtifactReader(second = 1_000): ReadArtifacts {
  return async (name, accepts, token, context) => {
    const run = (await readEndedRun(context.env)) ?? readOwnRun(context.env);
    if (run === undefined) {
      throw new UserError("input 'artifact' is given, and the run is neither of a pull request nor of another's end", {
        code: "input-invalid",
        wayOut:
          "Use it in a workflow that has `on: workflow_run`, `pull_request` or `merge_group`; elsewhere, use the input 'results'.",
      });
    }
    const github = openGithub(token, context, second);
    try {
      return await readAll(github, run, name, accepts, context.signal);
    } catch (error) {
      context.signal.throwIfAborted();
      if (error instanceof UserError) throw error;
      throw new InfrastructureError(`the artifacts of run ${run.id} can't be read: ${String(error)}`, {
        code: "github-error",
        cause: error,
        wayOut: "The job needs `permissions: actions: read`. Run it again; artifacts are kept for some days only.",
      });
    } finally {
      await github.close();
    }
  };
}

/** Whose artifacts they are. */
type ArtifactRun = Pick<EndedRun, "owner" | "repo" | "id">;

/**
 * This run itself, where it is a pull request's or a merge queue's: its other jobs ran the change, so that what they
 * left is no less a stranger's than another run's.
 */
function readOwnRun(env: Readonly<Record<string, string | undefined>>): ArtifactRun | undefined {
  const [owner = "", repo = ""] = (env["GITHUB_REPOSITORY"] ?? "").split("/");
  const id = env["GITHUB_RUN_ID"] ?? "";
  const isOfChange = ["pull_request", "merge_group"].includes(env["GITHUB_EVENT_NAME"] ?? "");
  return isOfChange && owner !== "" && repo !== "" && /^\d{1,15}$/.test(id) ? { owner, repo, id } : undefined;
}

async function readAll(
  github: Github,
  run: ArtifactRun,
  name: string,
  accepts: (file: string) => boolean,
  signal: AbortSignal,
): Promise<ArtifactFile[]> {
  const artifacts = (await listArtifacts(github, run, signal)).filter(
    (each) => !each.expired && (each.name === name || each.name.startsWith(`${name}-`)),
  );
  if (artifacts.length > maxArtifacts) throw refused(name, `there are more than ${maxArtifacts} of them`);
  const budget = { unpacked: archiveLimits.unpacked, files: archiveLimits.files };
  let packed = maxPacked;
  const files: ArtifactFile[] = [];
  for (const artifact of artifacts) {
    const archive = await download(github, run, artifact, packed, signal);
    packed -= archive.byteLength;
    const found = await readArchive(archive, artifact.name, accepts, budget);
    files.push(...found.map((file) => ({ name: `${artifact.name}/${file.name}`, text: file.text })));
  }
  return files;
}

interface Artifact {
  id: number;
  name: string;
  size: number;
  expired: boolean;
}

async function listArtifacts(
  { client }: Github,
  { owner, repo, id }: ArtifactRun,
  signal: AbortSignal,
): Promise<Artifact[]> {
  const found: Artifact[] = [];
  for (let page = 1; page <= 10; page++) {
    const { data } = await client.request("GET /repos/{owner}/{repo}/actions/runs/{run_id}/artifacts", {
      ...{ owner, repo, run_id: Number(id), per_page: 100, page },
      request: { signal },
    });
    for (const each of data.artifacts)
      found.push({ id: each.id, name: each.name, size: each.size_in_bytes, expired: each.expired });
    if (data.artifacts.length < 100) break;
  }
  return found;
}

async function download(
  { client, download: get }: Github,
  { owner, repo }: ArtifactRun,
  artifact: Artifact,
  most: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (artifact.size > most) throw refused(artifact.name, `the archives have more than ${maxPacked} bytes`);
  const answer = await client.request("GET /repos/{owner}/{repo}/actions/artifacts/{artifact_id}/{archive_format}", {
    ...{ owner, repo, artifact_id: artifact.id, archive_format: "zip" },
    // The address that GitHub gives is for everybody who has it: the token stays here.
    request: { signal, redirect: "manual" },
  });
  try {
    return await get(answer.headers.location ?? "", most, signal);
  } catch (error) {
    if (error instanceof RangeError) throw refused(artifact.name, `the archives have more than ${maxPacked} bytes`);
    throw error;
  }
}

function refused(name: string, why: string): UserError {
  return new UserError(`the artifact ${name} is refused: ${why}`, {
    code: "artifact-invalid",
    wayOut: "Upload the result files that the actions name by their output `result`, and nothing else.",
  });
}
