import { pinned } from "./pins.ts";
import { expression, type Mapping, type Place } from "./shape.ts";

/** A repository and a commit in it. */
interface Coordinates {
  repository: string;
  commit: string;
  ref(file: string): string;
}

const ofTheCall: Coordinates = {
  repository: expression("job.workflow_repository"),
  commit: expression("job.workflow_sha"),
  ref: () => expression("job.workflow_ref"),
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

/** Any server: goldenpath is checked out into the job at the commit at which it was called, by what the runner says that is. */
export const checkedOut: Place = {
  guard: [guard],
  fetch: [
    {
      name: "Check out goldenpath at this workflow's own commit",
      uses: pinned("actions/checkout"),
      with: { repository: ofTheCall.repository, ref: ofTheCall.commit, path: ".goldenpath", "persist-credentials": false },
    },
  ],
  workflow: (file) => `./.github/workflows/${file}`,
  action: (name) => `./.goldenpath/actions/${name}`,
  guarded: {},
  workflowRef: ofTheCall.ref,
};
