import { runPullRequestCache } from "@goldenpath/runner/pull-request-cache";

await runPullRequestCache();
