/** What somebody says of a vulnerability in a product, in whichever format it was written. */
export interface VexStatement {
  /** Every name of the vulnerability. Never empty. */
  vulnerability: string[];
  status: VexStatus;
  /** Why it is not affected, or what is said besides; one line. */
  because?: string;
  /** What it is said of; of none: of nothing. */
  products: VexProduct[];
  time: Date;
}

export type VexStatus = "not_affected" | "fixed" | "affected" | "under_investigation";

/** A product, as it is named (a package URL, or a digest of an image), and of which parts of it something is said. */
export interface VexProduct {
  ids: string[];
  /** Of all of it, or of what one of these names: of nothing where its parts are named in no way that is read here. */
  parts: "all" | string[];
}

export interface VexDocument {
  format: "OpenVEX" | "CSAF" | "CycloneDX";
  /** As it calls itself. */
  id: string;
  statements: VexStatement[];
}

/** A text of a document → its time; undefined where it is none. */
export function readTime(text: string | undefined): Date | undefined {
  const time = new Date(text ?? Number.NaN);
  return Number.isNaN(time.getTime()) ? undefined : time;
}
