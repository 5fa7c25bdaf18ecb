import { enforceVerb } from "@goldenpath/core/verbs/enforce";
import { runAction } from "@goldenpath/runner/run-action";

await runAction(enforceVerb);
