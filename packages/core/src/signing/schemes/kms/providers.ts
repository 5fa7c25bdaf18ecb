import type { KmsProvider } from "./provider.ts";
import { pkcs11 } from "./providers/pkcs11.ts";

/** Every way to reach a key that is kept elsewhere, by what its URIs begin with. */
export const providers: readonly KmsProvider[] = [pkcs11];
