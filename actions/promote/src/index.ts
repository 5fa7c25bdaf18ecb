import { promoteVerb } from "@goldenpath/core/verbs/promote";
import { runAction } from "@goldenpath/runner/run-action";

await runAction(promoteVerb);
