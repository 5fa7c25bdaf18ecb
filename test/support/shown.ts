import type { LoadedPolicy } from "@goldenpath/core/policy/schema";
import { addPart, type Part } from "@goldenpath/core/report/comment/part";
import { renderComment } from "@goldenpath/core/report/comment/render";
import type { Page } from "@goldenpath/core/report/page/model";
import { renderPage } from "@goldenpath/core/report/page/render";
import { reportResults } from "@goldenpath/core/verbs/report-results";
import { type Context, silentPorts } from "@goldenpath/foundation/ports";
import { digestOf } from "@goldenpath/registry-client/oci/digest";
import type { ShownChain } from "./shown-chains.ts";

const commit = "5f3c1d2e9ab04c6f8d7e6a5b4c3d2e1f0a9b8c7d";
const runUrl = "https://github.com/acme/shop/actions/runs/19700000001";
const madeAt = new Date("2026-11-23T10:05:00Z");
const policyWith = (exceptions: ShownChain["exceptions"] = []): LoadedPolicy =>
  ({
    uri: "acme/platform//policy.yaml@9f2c",
    digest: digestOf("policy"),
    policy: { serial: 41, exceptions, environments: {} },
  }) as unknown as LoadedPolicy;

/** What the report verb makes of a chain: everything that people see of it. */
export interface Shown {
  comment: string;
  summary: string;
  page: string;
}

/** As the report's jobs do it, one after another, with their own code and without GitHub. */
export function showChain({ jobs, claimed, exceptions }: ShownChain): Shown {
  const policy = policyWith(exceptions);
  const context = {
    ports: silentPorts(),
    run: { builderId: "https://github.com/acme/platform/.github/workflows/golden-path.yml", runUrl },
    env: { GITHUB_JOB: "judge" },
    now: () => madeAt,
  } as unknown as Context;
  const reports = jobs.map((results) =>
    reportResults(results, policy, context, madeAt, claimed === true ? { artifact: "goldenpath-results" } : {}),
  );
  const [first] = reports;
  const run = { id: "19700000001", attempt: 1, url: runUrl };
  const parts = reports.flatMap(({ describe }) => describe({ commit, run }));
  const page: Page = {
    source: claimed === true ? "claimed" : "run",
    images: reports.flatMap((report) => report.page.images),
    ...(first?.page.exceptions === undefined ? {} : { exceptions: first.page.exceptions }),
    policy: { uri: policy.uri, serial: policy.policy.serial, digest: policy.digest },
    madeAt: madeAt.toISOString(),
    run: runUrl,
  };
  return {
    comment: renderComment(parts.reduce<Part[]>(addPart, [])),
    summary: reports.map(({ summary }) => summary).join("\n"),
    page: renderPage(page),
  };
}
