import { reportVerb } from "@goldenpath/core/verbs/report";
import { runAction } from "@goldenpath/runner/run-action";

await runAction(reportVerb);
