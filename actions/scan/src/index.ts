import { scanVerb } from "@goldenpath/core/verbs/scan";
import { runAction } from "@goldenpath/runner/run-action";

await runAction(scanVerb);
