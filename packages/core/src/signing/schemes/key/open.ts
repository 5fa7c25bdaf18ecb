import { loadSigner } from "../../keys.ts";
import type { SchemeOpener } from "../opener.ts";

/** Signs with the private key in input `key`. */
export const keyOpener = {
  needs: ["key"],
  open: (inputs, context) => loadSigner({ key: inputs.key ?? "", passphrase: inputs["key-passphrase"] }, context),
} as const satisfies SchemeOpener;
