import { runApproveBase } from "@goldenpath/runner/approve-base";

await runApproveBase();
