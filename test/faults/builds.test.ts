import { describeFailingBuilds } from "../support/failing-build-tests.ts";

// The others: test/slow/failing-builds.test.ts.
describeFailingBuilds("buildpacks");
