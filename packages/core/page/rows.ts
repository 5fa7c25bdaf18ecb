import type { PageFinding } from "../src/report/page/model.ts";
import { element } from "./dom.ts";

/** Columns of the table, the fold's among them. */
const columns = 7;

const states: Readonly<Record<PageFinding["state"], string>> = {
  counts: "counts",
  excepted: "excepted",
  accepted: "accepted",
  unsaid: "",
};
const origins: Readonly<Record<PageFinding["origin"], string>> = {
  base: "base",
  application: "application",
  unknown: "",
};

let made = 0;

/** A finding's row, with a button that unfolds what else is known of it below. */
export function makeRow(finding: PageFinding): HTMLTableRowElement {
  const id = `detail-${++made}`;
  const button = element("button", {
    ...{ type: "button", class: "fold", "aria-expanded": "false", "aria-controls": id },
    "aria-label": `Details of ${finding.id} in ${finding.name}`,
  });
  const row = element(
    "tr",
    { class: `finding ${finding.state}` },
    element("td", {}, button),
    element("td", {}, element("span", { class: `severity ${finding.severity}` }, finding.severity), ...tags(finding)),
    element("td", { class: "id" }, finding.id),
    element("td", { class: "package" }, element("b", {}, finding.name), ` ${finding.version} `, kind(finding.type)),
    element("td", {}, finding.fixed ?? element("span", { class: "quiet" }, noFix(finding))),
    element("td", {}, origins[finding.origin]),
    element("td", { class: "number" }, risk(finding)),
  );
  button.addEventListener("click", () => {
    const below = row.nextElementSibling;
    const isOpen = below?.id === id;
    if (isOpen) below.remove();
    else row.after(element("tr", { class: "detail", id }, element("td", { colspan: `${columns}` }, describe(finding))));
    button.setAttribute("aria-expanded", `${!isOpen}`);
  });
  return row;
}

function tags({ state, change, kev, malicious, vex, isDisputed }: PageFinding): HTMLElement[] {
  const words = [
    states[state],
    change === "new" || change === "worse" ? change : "",
    kev === true ? "exploited" : "",
    malicious === true ? "malicious" : "",
    vex === undefined ? "" : "vex",
    isDisputed === true ? "disputed" : "",
  ];
  return words.filter((word) => word !== "").map((word) => element("span", { class: `tag ${word}` }, word));
}

const kind = (type: string): HTMLElement => element("span", { class: "quiet" }, type);

function noFix({ fixState }: PageFinding): string {
  return fixState === "wont-fix" ? "won’t be fixed" : fixState === "not-fixed" ? "none yet" : "none known";
}

function risk({ epss, cvss }: PageFinding): string {
  const parts = [cvss === undefined ? "" : cvss.toFixed(1), epss === undefined ? "" : `${(epss * 100).toFixed(1)} %`];
  return parts.filter((part) => part !== "").join(" · ");
}

function describe(finding: PageFinding): HTMLElement {
  const { description, hidden, aliases, vex, saidBy = [], layers, paths, purl, urls } = finding;
  const line = (name: string, ...values: (Node | string)[]): HTMLElement[] =>
    values.length === 0 ? [] : [element("dt", {}, name), ...values.map((value) => element("dd", {}, value))];
  const link = (url: string): HTMLElement => element("a", { href: url, rel: "noopener noreferrer" }, url);
  return element(
    "div",
    {},
    ...(description === undefined ? [] : [element("p", {}, description)]),
    ...(hidden === undefined ? [] : [element("p", {}, hidden)]),
    element(
      "dl",
      {},
      ...line("Also", ...(aliases.length === 0 ? [] : [aliases.join(", ")])),
      ...line("Said by", ...saidBy.map(({ source, says }) => `${source}: ${says}`)),
      ...line("VEX", ...(vex === undefined ? [] : [vex])),
      ...line("Layer", ...(layers.length === 0 ? [] : [layers.join(", ")])),
      ...line("Seen at", ...paths),
      ...line("Package URL", ...(purl === undefined ? [] : [element("code", {}, purl)])),
      ...line("Advisory", ...urls.map(link)),
    ),
  );
}
