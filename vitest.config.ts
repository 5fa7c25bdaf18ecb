import { defineConfig } from "vitest/config";

const resolve = { conditions: ["goldenpath-source", "node", "import", "default"] };
// The workspaces' sources are tested, not their compiled output; Node gets the same condition where a test starts one.
const ssr = { resolve: { conditions: resolve.conditions } };
const project = (name: string, include: string[], more: object = {}) => ({
  resolve,
  ssr,
  test: { name, include, environment: "node" as const, ...more },
});

export default defineConfig({
  test: {
    projects: [
      project("unit", ["packages/*/src/**/*.test.ts", "actions/*/src/**/*.test.ts", "scripts/**/*.test.ts"], {
        // Against what hangs alone: beside real builds on two cores, the largest documents take more than 20 s.
        testTimeout: 120_000,
        hookTimeout: 120_000,
      }),
      // Real tools and servers: one file after another, since two cores and the Docker daemon are shared.
      project("integration", ["test/{integration,interop,faults,attacks}/**/*.test.ts"], {
        testTimeout: 300_000,
        hookTimeout: 900_000,
        fileParallelism: false,
      }),
      // What takes too long for every change: npm run test:slow.
      project("slow", ["test/slow/**/*.test.ts"], {
        testTimeout: 3_600_000,
        // The first one after a change of a buildpack makes the platform's builder image from nothing.
        hookTimeout: 3_600_000,
        fileParallelism: false,
      }),
      project("e2e", ["test/e2e/**/*.test.ts"], { testTimeout: 900_000, hookTimeout: 900_000, fileParallelism: false }),
    ],
  },
});
