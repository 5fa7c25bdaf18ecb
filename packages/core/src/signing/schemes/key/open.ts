import { loadSigner } from "../../keys.ts";
import type { SchemeOpener } from "../opener.ts";
import { withLegacy } from "./sign.ts";

/** Signs with the private key in input `key`. */
export const keyOpener = {
  needs: ["key"],
  hasLegacy: true,
  async open(inputs, context) {
    const signer = await loadSigner({ key: inputs.key ?? "", passphrase: inputs["key-passphrase"] }, context);
    return inputs.legacy === true ? withLegacy(signer) : signer;
  },
} as const satisfies SchemeOpener;
