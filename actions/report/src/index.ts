import { createReportVerb } from "@goldenpath/core/verbs/report";
import { createCheckRunOpener } from "@goldenpath/runner/check-run";
import { createPullRequestOpener } from "@goldenpath/runner/pull-request";
import { runAction } from "@goldenpath/runner/run-action";
import { createArtifactReader } from "@goldenpath/runner/run-artifacts";

await runAction(
  createReportVerb({
    openCheckRun: createCheckRunOpener(),
    openPullRequest: createPullRequestOpener(),
    readArtifacts: createArtifactReader(),
  }),
);
