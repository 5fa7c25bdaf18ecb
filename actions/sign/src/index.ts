import { signVerb } from "@goldenpath/core/verbs/sign";
import { runAction } from "@goldenpath/runner/run-action";

await runAction(signVerb);
