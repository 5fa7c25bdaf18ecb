import { attestVerb } from "@goldenpath/core/verbs/attest";
import { runAction } from "@goldenpath/runner/run-action";

await runAction(attestVerb);
