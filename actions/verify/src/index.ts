import { verifyVerb } from "@goldenpath/core/verbs/verify";
import { runAction } from "@goldenpath/runner/run-action";

await runAction(verifyVerb);
