import { runMirrorData } from "@goldenpath/runner/mirror-data";

await runMirrorData();
