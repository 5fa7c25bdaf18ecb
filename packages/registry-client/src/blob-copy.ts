import type { BlobTransfer, TransferOptions } from "./client.ts";
import { blobContent, type DownloadContext } from "./download.ts";
import type { Descriptor } from "./oci/manifest.ts";
import type { Repository } from "./oci/reference.ts";
import { headBlob, uploadBlob } from "./upload.ts";
import { cancelUpload, startMount } from "./upload-session.ts";

/** Mounts a blob where the registry can, and else uploads what the source has, unless it is there. */
export async function copyBlob(
  context: DownloadContext,
  from: Repository,
  to: Repository,
  descriptor: Descriptor,
  options: TransferOptions = {},
): Promise<BlobTransfer> {
  // A mount of what is there costs no more than the question whether it is.
  const begun = await startMount(context, to, descriptor.digest, from);
  if (begun === "mounted") return "mounted";
  if (options.isMissing !== true && (await headBlob(context, to, descriptor.digest, "push"))) {
    if (begun !== undefined) await cancelUpload(context, begun);
    return "present";
  }
  await uploadBlob(context, to, descriptor, blobContent(context, from, descriptor), {
    ...options,
    begun,
    isMissing: true,
  });
  return "copied";
}
