import { buildVerb } from "@goldenpath/core/verbs/build";
import { runAction } from "@goldenpath/runner/run-action";

await runAction(buildVerb);
