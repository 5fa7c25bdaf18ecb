import { formatPlatform } from "@goldenpath/registry-client/oci/manifest";
import { code, escapeMarkdown, renderResultMarkdown } from "../report/markdown.ts";
import type { StageResult } from "../result.ts";
import type { Approval } from "./approval/choose.ts";
import type { BaseDecision, ChildBaseDecision } from "./decide.ts";
import type { ApprovedBase } from "./identify.ts";
import type { PackageChange } from "./packages.ts";

/**
 * What the base stage found, as its predicate says it: for each child the base, how that is proven, and what each of
 * its layers unpacks to.
 */
export function buildBasePredicate(
  image: { repository: string; digest: string },
  decision: BaseDecision,
): Record<string, unknown> {
  return {
    image: { repository: image.repository, digest: image.digest },
    children: decision.children.map((child) => ({
      digest: child.digest,
      platform: child.platform,
      base: child.base === undefined ? null : describeBase(child.base),
      ...(child.sameLayers.length === 0 ? {} : { sameLayers: child.sameLayers.map(describeBase) }),
      proof: "diff-id-prefix",
      matchedLayers: child.matchedLayers,
      totalLayers: child.totalLayers,
      layers: child.layers,
      ...(child.upgraded.length === 0 ? {} : { upgraded: child.upgraded.map(describeUpgrade) }),
      ...(child.claimed === undefined ? {} : { claimed: child.claimed }),
      ...(child.antipatterns.looked.length === 0 ? {} : { antipatterns: child.antipatterns }),
    })),
  };
}

function describeBase(base: ApprovedBase): Record<string, unknown> {
  return {
    name: base.name,
    image: base.image,
    digest: base.digest,
    diffIDs: base.diffIds.length,
    topLayer: base.diffIds.at(-1),
    ...(base.approval?.found.kind === "approved" ? { approval: describeApproval(base.approval.found.approval) } : {}),
  };
}

/** By whose word the base counts: another policy can ask the same of it. */
function describeApproval(approval: Approval): Record<string, unknown> {
  const { approvedAt, signedAt, endOfLife, role, signers, bundle } = approval;
  const dated = signedAt === undefined ? {} : { signedAt: signedAt.toISOString() };
  return { approvedAt: approvedAt.toISOString(), ...dated, endOfLife, role, signers, bundle };
}

/** A package of the base, by the image's own word. */
function describeUpgrade({ package: { manager, name }, before, after }: PackageChange): Record<string, unknown> {
  return { manager, name, base: before, image: after };
}

/** `HOST/NAME@sha256:…` of each base that was proven, one a line, each once. */
export function formatProvenBases(decision: BaseDecision): string {
  const bases = decision.children.flatMap((child) =>
    child.base === undefined ? [] : [`${child.base.image}@${child.base.digest}`],
  );
  return [...new Set(bases)].join("\n");
}

/** The stage as a section of a job summary: verdict, what is refused with the way out, and a row for each child. */
export function renderBaseSummary(result: StageResult, decision: BaseDecision, audit: boolean): string {
  return [
    renderResultMarkdown(result, "golden base").trimEnd(),
    "",
    "| Platform | Verdict | Base | Layers | The image says |",
    "| --- | --- | --- | --- | --- |",
    ...decision.children.map(renderChild),
    ...(audit && result.verdict === "fail" ? ["", "`mode: audit`: the step does not fail, the verdict stays."] : []),
    "",
  ].join("\n");
}

function renderChild(child: ChildBaseDecision): string {
  const base =
    child.base === undefined
      ? "none that is approved"
      : `${escapeMarkdown(child.base.name)} ${code(`${child.base.image}@${child.base.digest}`)}`;
  const layers =
    child.base === undefined ? `${child.totalLayers}` : `${child.matchedLayers} of ${child.totalLayers} are its`;
  const claimed = child.claimed === undefined ? "" : escapeMarkdown(child.claimed.name);
  return `| ${escapeMarkdown(formatPlatform(child.platform))} | ${child.verdict} | ${base} | ${layers} | ${claimed} |`;
}
