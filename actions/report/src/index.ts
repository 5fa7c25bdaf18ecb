import { createReportVerb } from "@goldenpath/core/verbs/report";
import { openPullRequest } from "@goldenpath/runner/pull-request";
import { runAction } from "@goldenpath/runner/run-action";

await runAction(createReportVerb(openPullRequest));
