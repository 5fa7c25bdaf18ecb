import { runRebase } from "@goldenpath/runner/rebase";

await runRebase();
