import { describeFailingBuilds } from "../support/failing-build-tests.ts";

// The others, and what is tested: test/faults/builds.test.ts.
describeFailingBuilds("builder", "pack", "dockerfile", "kaniko", "jib", "spring-boot");
