import { pinned } from "./pins.ts";
import { expression, type Mapping, type Place } from "./shape.ts";

/** A repository and a commit in it, and one of its workflows at that commit. */
interface Coordinates {
  repository: string;
  commit: string;
  workflowRef(file: string): string;
}

/** What the runner says of the workflow that was called. */
const ofTheCall: Coordinates = {
  repository: expression("job.workflow_repository"),
  commit: expression("job.workflow_sha"),
  workflowRef: () => expression("job.workflow_ref"),
};

/**
 * github.com: an action beside the workflow, at the workflow's own commit, without a checkout (runner 2.336.0 or
 * newer).
 */
export const onGitHub: Place = {
  folder: ".github/workflows",
  guard: [],
  fetch: [],
  workflow: (file) => `$/.github/workflows/${file}`,
  action: (name) => `$/actions/${name}`,
  artifacts: { upload: pinned("actions/upload-artifact"), download: pinned("actions/download-artifact") },
  // Layers are compressed as they are; and a job that is run again leaves what it left before.
  upload: { "compression-level": 0, overwrite: true },
  // Any job of a repository can save an entry under any key, one that runs strangers' code included; here nothing could
  // be restored even by mistake.
  guarded: { "cache-mode": "none" },
  signer: "keyless",
  workflowRef: ofTheCall.workflowRef,
};

const guard: Mapping = {
  "#": "Where a server or runner is too old to know these two, they are empty, and an empty repository would have the caller's own checked out as goldenpath.",
  name: "Refuse where goldenpath's own commit is not known",
  env: { WORKFLOW_REPOSITORY: ofTheCall.repository, WORKFLOW_SHA: ofTheCall.commit },
  shell: "bash",
  run: [
    "if [[ $WORKFLOW_REPOSITORY =~ ^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$ && $WORKFLOW_SHA =~ ^[0-9a-f]{40}$ ]]; then exit 0; fi",
    "echo '::error title=goldenpath::job.workflow_repository and job.workflow_sha do not name a repository and a commit here, so goldenpath cannot be checked out as it was called. Way out: a newer runner, and on GitHub Enterprise Server a newer version, that know them.'",
    "exit 1",
    "",
  ].join("\n"),
};

/**
 * Any server: goldenpath is checked out into the job at the commit at which it was called, by what the runner says that
 * is.
 */
export const onAnyServer: Place = { ...checkedOut(ofTheCall), guard: [guard] };

/** A server whose runners can't say which commit was called: goldenpath is checked out at one that is written down. */
export function onServer(repository: string, commit: string): Place {
  const workflowRef = (file: string): string => `${repository}/.github/workflows/${file}@${commit}`;
  return { ...checkedOut({ repository, commit, workflowRef }), folder: ".github/workflows" };
}

function checkedOut({ repository, commit, workflowRef }: Coordinates): Place {
  return {
    folder: ".github/workflows-ghes",
    guard: [],
    fetch: [
      {
        name: "Check out goldenpath at this workflow's own commit",
        uses: pinned("actions/checkout"),
        with: { repository, ref: commit, path: ".goldenpath", "persist-credentials": false },
      },
    ],
    // Newer ones refuse a GitHub Enterprise Server, and older ones are refused by github.com.
    artifacts: {
      upload: "actions/upload-artifact@ff15f0306b3f739f7b6fd43fb5d26cd321bd4de5 # v3.2.1",
      download: "actions/download-artifact@9bc31d5ccc31df68ecc42ccf4149144866c47d8a # v3.0.2",
    },
    upload: {},
    workflow: (file) => `./.github/workflows/${file}`,
    action: (name) => `./.goldenpath/actions/${name}`,
    guarded: {},
    signer: "key",
    workflowRef,
  };
}
